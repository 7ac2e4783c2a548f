"""What many tests need: the command line in this process, a small finished run, and data that not everybody has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def repronet(tmp_path, monkeypatch, capsys) -> Callable[..., Outcome]:
    """Runs ``repronet WORDS...`` in an empty folder and returns its exit code and output."""
    from repronet.cli import main

    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Outcome:
        with pytest.raises(SystemExit) as stop:
            main(words)
        captured = capsys.readouterr()
        return Outcome(int(stop.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory) -> Path:
    """The folder of a two-epoch LeNet-5 on the embedded digits; tests read it and change nothing in it."""
    from rich.console import Console

    from repronet.cli.compose import compose
    from repronet.cli.train import train

    folder = tmp_path_factory.mktemp("runs") / "finished"
    train(compose("train", ["trainer.max_epochs=2", f"run_dir={folder}"]), Console(quiet=True))
    return folder


@pytest.fixture(scope="session")
def mnist_root() -> Path:
    """A folder with the official MNIST files beside the checkout; without one the test is skipped."""
    root = REPOSITORY.parent / "shared" / "datasets"
    if not (root / "MNIST" / "raw" / "train-images-idx3-ubyte").exists():
        pytest.skip("the official MNIST files are not beside this checkout")
    return root
