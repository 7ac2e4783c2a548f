"""One run of a sweep as a job for a separate process, which takes cores, starts or resumes the run, and returns how it
ended. Torch is imported only once the job has its cores, since torch counts threads when it is imported.
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

STOP = "stop"  # a file in a sweep's folder that asks its jobs to save and end
OUTPUT = "output"  # the folder in a sweep's folder with the output of its jobs
LOOK = 1.0  # seconds between two checks for the file or the end of the starter
_AT_WORK = threading.Lock()


class Ended(NamedTuple):
    """How a job ended: the name of its run folder, and the reason if the run has no result."""

    folder: str
    reason: str | None


def folder_name(number: int, words: Sequence[str]) -> str:
    """The name of a run's folder: a number and the run's own words, in characters that every system allows."""
    return re.sub(r"[^\w.=,+-]+", "_", f"{number}_{','.join(words)}"[:100]).rstrip("_")


@dataclass(frozen=True)
class Job:
    """A run of a sweep; called in the process that trains it."""

    sweep: Path  # the folder of the sweep, absolute
    name: str  # the name of the run's folder in it
    threads: int  # number of cores to hold, and of threads unless the run's config sets it
    plugins: tuple[str, ...] = ()  # the plugins given with ``--plugin``, files as absolute paths
    # the process on this machine whose end also ends the job; None if the job outlives the process that started it
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
        """Resume the run, or start it if it has no checkpoint yet.

        Raises:
            UserError, Fault, KeyboardInterrupt: as :func:`repronet.session.run.resume`.
        """
        from repronet.session.run import resume

        if not (self.sweep / self.name / runs.RESULT).exists():
            resume(self.sweep / self.name, console)
        return Ended(self.name, None)

    def checkpoint(self, *_: Any) -> Any:
        """The job that submitit queues when a job's time is over: the same one, which resumes the run."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


@contextmanager
def _output(folder: Path, name: str) -> Iterator[Console]:
    """Within the context, write everything that is printed to a file in ``folder``."""
    folder.mkdir(exist_ok=True)
    with (folder / f"{name}.txt").open("a", encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
        yield Console(file=file, highlight=False, width=80)


@contextmanager
def _stopped_with(starter: int | None, stop: Path) -> Iterator[None]:
    """Make this process save and end once ``starter`` has ended or the file ``stop`` exists."""
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
    """End this process once ``starter`` has ended and the job is done; some libraries' workers would wait for more."""

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
