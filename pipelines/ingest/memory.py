"""How the C library hands memory back after a cycle."""

import ctypes
import ctypes.util


def release_unused() -> None:
    """Give memory that is free in this process back to the system.

    glibc gives each thread an arena of its own, and a cycle's arrays, tens of MiB each, are made in one thread
    and dropped in another: what is free in an arena serves no other thread. Other C libraries have no
    `malloc_trim` and need none.
    """
    library = ctypes.util.find_library("c")
    if library is None:
        return
    try:
        trim = ctypes.CDLL(library).malloc_trim
    except (OSError, AttributeError):
        return
    trim(0)
