"""Check a student's file in a separate process, with limits on time and memory. Does not need torch.

The process is no sandbox: the file's code can do anything that the user can.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from repronet.errors import UserError
from repronet.exercises.submission import Submission, Verdict

STANDARD_ERROR = 2


@dataclass(frozen=True)
class Report:
    """The results for a file."""

    file: Path
    error: str | None  #: why the file could not be run; None if it was run
    verdicts: list[Verdict]
    misspelt: tuple[str, ...] = ()  #: as in :class:`~repronet.exercises.submission.Submission`

    def count(self, verdict: str) -> int:
        """The number of exercises with this verdict."""
        return sum(found.verdict == verdict for found in self.verdicts)


def require_hypothesis() -> None:
    """Check that hypothesis is installed.

    Raises:
        UserError: if it is not, with the command that installs it.
    """
    if find_spec("hypothesis") is None:
        raise UserError("check: needs hypothesis to find the smallest case: pip install hypothesis")


def grade(submission: Submission, seconds: int, mebibytes: int, quiet: bool) -> Report:
    """Check the exercises of a file.

    Args:
        seconds: time limit for the whole file; exercises that are left then are reported as unchecked.
        mebibytes: memory that the file may use beyond what the check itself needs.
        quiet: whether to drop what the file prints; otherwise it goes to standard error.
    """
    with TemporaryDirectory() as folder:
        answers = Path(folder) / "answers"
        ended = _run([str(submission.file.resolve()), str(answers), str(mebibytes)], seconds, quiet)
        lines = answers.read_text(encoding="utf-8").splitlines() if answers.is_file() else []
    found: list[dict[str, Any]] = [json.loads(line) for line in lines]
    if found and "error" in found[0]:
        return Report(submission.file, found[0]["error"], [])
    verdicts = [Verdict(**values) for values in found]
    for name in submission.names[len(verdicts) :]:
        verdicts.append(Verdict(name, "unchecked", ended or "the process ended before"))
    return Report(submission.file, None, verdicts, submission.misspelt)


def _run(words: list[str], seconds: int, quiet: bool) -> str:
    """Run the process; returns how it failed, or an empty string if it succeeded."""
    command = [sys.executable, "-P", "-m", "repronet.exercises.examine", *words]
    output = subprocess.DEVNULL if quiet else STANDARD_ERROR
    errors = subprocess.DEVNULL if quiet else None
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=output, stderr=errors, env=environment, start_new_session=True)
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        return f"the file took more than {seconds} seconds"
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if code == 0:
        return ""
    return f"the process ended with {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"
