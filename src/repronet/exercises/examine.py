"""The process that runs a student's file and checks its exercises; :mod:`repronet.exercises.grading` starts it.

    python -m repronet.exercises.examine FILE ANSWERS MEBIBYTES

It writes one line of JSON per exercise to the file ANSWERS as soon as the exercise is checked, so that no result is
lost if a later exercise crashes the process.
"""

from __future__ import annotations

import json
import math
import resource
import sys
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from repronet.errors import UserError
from repronet.exercises.catalogue import exercises
from repronet.exercises.checking import check_function, check_number
from repronet.exercises.submission import Submission, Verdict, load, read


def main(file: Path, answers: Path, mebibytes: int) -> None:
    """Check every exercise that the file contains."""
    torch.set_num_threads(1)
    submission = read(file, "")
    _limit_memory(mebibytes)
    with answers.open("w", encoding="utf-8") as lines:
        try:
            module = load(submission.file)
        except UserError as error:
            print(json.dumps({"error": str(error)}), file=lines)
            return
        for name in submission.names:
            print(json.dumps(_finite(asdict(_checked(name, module, submission)))), file=lines, flush=True)


def _checked(name: str, module: ModuleType, submission: Submission) -> Verdict:
    if name in submission.unwritten:
        return Verdict(name, "unwritten")
    exercise, found = exercises()[name], getattr(module, name, None)
    if exercise.arguments:
        return check_function(exercise, found, submission.takes_tensors)
    return check_number(exercise, found)


def _limit_memory(mebibytes: int) -> None:
    """Limit the process to that much memory beyond its present use. No effect if the system lacks such a limit."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + mebibytes * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    except (OSError, ValueError):
        return


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """Replace infinity and NaN, which JSON lacks, by their names."""
    return {k: str(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
