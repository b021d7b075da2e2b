"""When memory goes back to the system, and buffers that blocks take over from each other.

How the C library keeps memory is set in `allocator`. Memory that goes back is cleared by the kernel before it comes
again, so it goes only where the process has become large.
"""

import os
import threading
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.ingest.allocator import of_c_library

_LARGE: Final = 7 << 27
"""Bytes (896 MiB): a process that is smaller keeps what is free in it."""
_MOST_BUFFERS: Final = 16
_free: Final[list[NDArray[np.uint8]]] = []
_lock: Final = threading.Lock()


_trim: Final = of_c_library("malloc_trim")
"""None where the C library has none and needs none."""


def release_unused() -> None:
    """Give memory that is free in this process back to the system, if it has become large."""
    if _trim is None:
        return
    try:
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        resident = _LARGE
    if resident >= _LARGE:
        _trim(0)


def buffer(size: int) -> NDArray[np.uint8]:
    """A buffer of at least `size` bytes, with anything in it; perhaps one that was given back."""
    with _lock:
        for place, held in enumerate(_free):
            if size <= len(held) <= 4 * size:
                return _free.pop(place)
    # A little more, for blocks differ a little.
    return np.empty(size + size // 8, dtype=np.uint8)


def give_back(held: NDArray[np.uint8]) -> None:
    """Offer a buffer that nobody looks at any more to the next block."""
    with _lock:
        _free.append(held)
        if len(_free) > _MOST_BUFFERS:
            del _free[0]
