"""Runs for benchmarks that compare many runs: each is trained once, and only read if it has ended before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from repronet import runs
from repronet.cli.commands.reproduce import asked, differences
from repronet.config.build import written_config
from repronet.config.compose import compose
from repronet.errors import UserError
from repronet.session import gan, run


def ended(command: str, folder: Path, *words: str) -> dict[str, Any]:
    """The result of the run in ``folder``, which is trained if it does not exist, and resumed if it was stopped.

    Args:
        command: ``train`` or ``gan_train``.
        words: the command line's arguments.

    Raises:
        UserError: if the folder has a classifier's run with another config.
    """
    wanted = compose(command, [*words, f"run_dir={folder}"])
    if command == "train" and (folder / runs.CONFIG).exists():
        differing = differences(asked(written_config(folder / runs.CONFIG)), asked(wanted))
        if differing:
            raise UserError(f"{folder}: has another config ({differing}); remove it or give another --out")
    if not (folder / runs.RESULT).exists():
        session, console = gan if command == "gan_train" else run, Console(quiet=True)
        print(f"  {folder}", flush=True)
        if (folder / runs.CONFIG).exists():
            session.resume(folder, console)
        else:
            session.train(wanted, console)
    return runs.read_result(folder)
