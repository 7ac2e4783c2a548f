"""One run of a sweep, as it is sent to a process of its own: there it takes cores, goes on or begins, and says how it
ended. Needs no torch until it has its cores, as torch counts threads when it is imported.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from repronet import runs
from repronet.config import plugins
from repronet.errors import in_one_line
from repronet.runs.stopping import StopSwitch
from repronet.session.console import speaking_to
from repronet.session.cores import claimed

STOP = "stop"  # a file in a sweep's folder: whoever started it wants its jobs to save and end
OUTPUT = "output"  # the folder there with what the jobs printed
LOOK = 1.0  # seconds between two looks for it
_AT_WORK = threading.Lock()


class Ended(NamedTuple):
    """How a job ended: the name of its run's folder, and of a run that has no result why."""

    folder: str
    reason: str | None


def folder_name(number: int, words: Sequence[str]) -> str:
    """What the folder of a run is called: a number and what the run has of its own, as any system takes it."""
    return re.sub(r"[^\w.=,+-]+", "_", f"{number}_{','.join(words)}"[:100]).rstrip("_")


@dataclass(frozen=True)
class Job:
    """A run of a sweep, called in the process that is to train it."""

    sweep: Path  # the folder of the sweep, absolute
    name: str  # of the run's folder in there
    threads: int  # cores to take, and to compute with where the run's config says nothing
    plugins: tuple[str, ...] = ()  # what was given with ``--plugin``, files as absolute paths
    # the process on this machine that the job ends with; None where it outlives whoever started it
    starter: int | None = None

    def __call__(self) -> Ended:
        os.environ["OMP_NUM_THREADS"] = str(self.threads)
        if self.starter is not None:
            _leave_after(self.starter)
        try:
            with (
                _AT_WORK,
                StopSwitch().listening(),
                _stopped_with(self.starter, self.sweep / STOP),
                claimed(self.threads),
            ):
                import torch

                torch.set_num_threads(self.threads)
                plugins.give(list(self.plugins))
                with _output(self.sweep / OUTPUT, self.name) as console, speaking_to(console):
                    return self.run(console)
        except (Exception, KeyboardInterrupt) as error:
            return Ended(self.name, in_one_line(error))

    def run(self, console: Console) -> Ended:
        """Go on with the run, from its start where it has no checkpoint yet.

        Raises:
            UserError, Fault, KeyboardInterrupt: as :func:`repronet.session.run.resume`.
        """
        from repronet.session.run import resume

        if not (self.sweep / self.name / runs.RESULT).exists():
            resume(self.sweep / self.name, console)
        return Ended(self.name, None)

    def checkpoint(self, *_: Any) -> Any:
        """What submitit puts into the queue when the time of a job is over: the same, which goes on."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


@contextmanager
def _output(folder: Path, name: str) -> Iterator[Console]:
    """What is printed meanwhile goes into a file in ``folder``."""
    folder.mkdir(exist_ok=True)
    with (folder / f"{name}.txt").open("a", encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
        yield Console(file=file, highlight=False, width=80)


@contextmanager
def _stopped_with(starter: int | None, stop: Path) -> Iterator[None]:
    """Ask this process to save and end once ``starter`` is gone, or has left the file ``stop``."""
    done = threading.Event()

    def look() -> None:
        while not done.wait(LOOK):
            if stop.exists() or not (starter is None or _lives(starter)):
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=look, daemon=True).start()
    try:
        yield
    finally:
        done.set()


@cache
def _leave_after(starter: int) -> None:
    """End this process once ``starter`` is gone and the job is done: some libraries' processes wait for more."""

    def look() -> None:
        while _lives(starter):
            time.sleep(LOOK)
        with _AT_WORK:
            os._exit(0)

    threading.Thread(target=look, daemon=True).start()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True
