"""How the C library keeps memory, set before a process has threads.

glibc gives each thread an arena of its own. A block's arrays, tens of MiB, are made in one thread and dropped in
another, so what is free in an arena serves no other thread; large arrays are mapped and unmapped one by one, and the
kernel clears each again, a tenth of the time of an ingest. One arena that keeps what it has is faster and smaller.
Other C libraries have no such knobs and need none.
"""

import ctypes
from typing import Any, Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
"""Numbers of the options in glibc's malloc.h."""
_KEPT: Final = 1 << 30
_LARGE: Final = 1 << 20


def of_c_library(name: str) -> Any:
    """A function of the C library; None where it has no such function."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError, TypeError):
        return None


def keep_memory() -> None:
    """Ask for one arena that keeps what it has. Threads that exist already keep theirs, so call it early."""
    mallopt = of_c_library("mallopt")
    if mallopt is None:
        return
    mallopt(_ARENA_MAX, 1)
    mallopt(_MMAP_THRESHOLD, _KEPT)
    mallopt(_TRIM_THRESHOLD, _KEPT)


def return_memory() -> None:
    """Ask for large arrays to be mapped one by one again, so that what is dropped goes back to the system at once: a
    ranking makes few of them and holds each long."""
    mallopt = of_c_library("mallopt")
    if mallopt is None:
        return
    mallopt(_MMAP_THRESHOLD, _LARGE)
    mallopt(_TRIM_THRESHOLD, _LARGE)
