"""Runs for the benchmarks that compare many: each is trained once, and read where it has ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from repronet import runs
from repronet.config.compose import compose
from repronet.session import gan, run


def ended(command: str, folder: Path, *words: str) -> dict[str, Any]:
    """The result of the run in ``folder``, which is trained where it is not there, and resumed where it was stopped.

    Args:
        command: ``train`` or ``gan_train``.
        words: those of the command line.
    """
    if not (folder / runs.RESULT).exists():
        session, console = gan if command == "gan_train" else run, Console(quiet=True)
        print(f"  {folder}", flush=True)
        if (folder / runs.CONFIG).exists():
            session.resume(folder, console)
        else:
            session.train(compose(command, [*words, f"run_dir={folder}"]), console)
    return runs.read_result(folder)
