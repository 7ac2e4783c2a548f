"""Give jobs that run at the same time on one machine separate processor cores. Needs no torch."""

from __future__ import annotations

import getpass
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

WAIT = 0.5  # seconds between two checks for free cores


def cores() -> list[int]:
    """The numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@contextmanager
def claimed(number: int) -> Iterator[list[int]]:
    """Hold ``number`` cores that no other job of this user holds, in any sweep, and bind this process to them.

    Waits until that many are free. Each core is represented by a locked file, which the system unlocks when its holder
    ends, even if it is killed. Where a system cannot bind processes to cores (macOS), they are only counted.
    """
    usable = cores()
    number = min(number, len(usable))
    with ExitStack() as held:
        while len(mine := _take(usable, number, held)) < number:
            held.close()  # other jobs may be waiting for these cores too
            time.sleep(WAIT)
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, mine)
        try:
            yield mine
        finally:
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, usable)


def _take(usable: list[int], number: int, held: ExitStack) -> list[int]:
    """Lock free cores, at most ``number``, and return them; closing ``held`` releases them."""
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
