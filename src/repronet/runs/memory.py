"""Make a process keep the memory that it frees."""

from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # from glibc's malloc.h


def keep_memory() -> None:
    """Make glibc keep freed memory for the next training step, which needs the same amounts again.

    By default it returns blocks above some MB to the system, which must then clear every page again for the next step:
    that made a step a twentieth to a third slower (docs/guide/speed.md). No result changes.
    """
    import ctypes  # takes 8 ms, which help and lists need not spend

    with suppress(OSError, AttributeError):  # no glibc
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(_MMAP_MAX, 0)  # take every block from the heap,
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)  # which shrinks only when 2 GB are free at its end
