"""Separate processor cores for jobs that run at the same time on a machine. Needs no torch."""

from __future__ import annotations

import getpass
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

WAIT = 0.5  # seconds between two looks for cores that have become free


def cores() -> list[int]:
    """The numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@contextmanager
def claimed(number: int) -> Iterator[list[int]]:
    """Hold ``number`` cores that no other job of this user holds, of whatever sweep, and stay on them.

    Waits until there are so many. A core is a locked file, which the system unlocks when its holder ends, however that
    comes about. Where a system binds no process to cores (macOS) they are only counted.
    """
    usable = cores()
    number = min(number, len(usable))
    with ExitStack() as held:
        while len(mine := _take(usable, number, held)) < number:
            held.close()  # what others wait for, too
            time.sleep(WAIT)
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, mine)
        try:
            yield mine
        finally:
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, usable)


def _take(usable: list[int], number: int, held: ExitStack) -> list[int]:
    """Those of the free cores that could be locked, at most ``number``; ``held`` lets them go."""
    from filelock import FileLock, Timeout

    folder = Path(tempfile.gettempdir()) / f"repronet-cores-{getpass.getuser()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    mine: list[int] = []
    for core in usable:
        if len(mine) == number:
            break
        try:
            held.enter_context(FileLock(folder / f"{core}.lock", timeout=0))
        except Timeout:
            continue
        mine.append(core)
    return mine
