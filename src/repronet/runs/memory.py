"""How a process keeps its memory."""

from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of glibc's malloc.h


def keep_memory() -> None:
    """Let glibc keep what is freed for the next step, which asks for the same again.

    It gives pieces above some MB back to the system, which then clears every page of every map anew: a step took a
    twentieth to a third more time so (docs/guide/speed.md). No number changes by it.
    """
    import ctypes  # 8 ms, which help and lists do without

    with suppress(OSError, AttributeError):  # no glibc
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(_MMAP_MAX, 0)  # every piece comes from the heap,
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)  # which shrinks once 2 GB are free at its end
