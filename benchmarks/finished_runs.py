"""Runs for the benchmarks that compare many: each is trained once, and read where it has ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from repronet import runs
from repronet.config.compose import compose
from repronet.session import gan, run


def ended(command: str, folder: Path, *words: str) -> dict[str, Any]:
    """The result of the run in ``folder``, which is trained where it is not there.

    Args:
        command: ``train`` or ``gan_train``.
        words: those of the command line.
    """
    if not (folder / runs.RESULT).exists():
        make = gan.train if command == "gan_train" else run.train
        print(f"  {folder}", flush=True)
        make(compose(command, [*words, f"run_dir={folder}"]), Console(quiet=True))
    return runs.read_result(folder)
