"""What many tests need: the command line in this process, a small finished run, and data that not everybody has."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # One thread a process, also in those that tests start: what shares cores waits for itself. Torch reads it once.
    os.environ["OMP_NUM_THREADS"] = "1"

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
    import torch._dynamo  # noqa: F401  # or the command would defer it, and what a later test compiles here would fail

    from repronet.cli import main

    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Outcome:
        with pytest.raises(SystemExit) as stop:
            main(words)
        captured = capsys.readouterr()
        return Outcome(int(stop.value.code or 0), captured.out, captured.err)

    return run


def _trained(folder: Path, *words: str) -> Path:
    from rich.console import Console

    from repronet.config.compose import compose
    from repronet.session.run import train

    train(compose("train", [*words, f"run_dir={folder}"]), Console(quiet=True))
    return folder


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory) -> Path:
    """The folder of a two-epoch LeNet-5 on the embedded digits; tests read it and change nothing in it."""
    return _trained(tmp_path_factory.mktemp("runs") / "finished", "trainer.max_epochs=2")


# A rate that is far too high from the third epoch on, which loses what the first two learned. On the network of 1998,
# whose bounded activations keep the loss finite whatever the weights do.
PEAKED = (
    "model=lenet5_1998",
    "preprocessing=lecun",
    "augmentation=none",
    "optimizer.lr=0.003",
    "optimizer.weight_decay=0",
    "schedule=lecun",
    "schedule.rates=[1,1000]",
    "schedule.epochs_each=[2,1]",
    "trainer.max_epochs=4",
)


@pytest.fixture(scope="session")
def peaked_run(tmp_path_factory) -> Path:
    """The folder of a run whose best epoch is not its last; read only."""
    return _trained(tmp_path_factory.mktemp("runs") / "peaked", *PEAKED)


@pytest.fixture(scope="session")
def mnist_root() -> Path:
    """The folder with the official MNIST files that REPRONET_TEST_DATASETS names, or one beside the checkout.

    Without one the test is skipped.
    """
    root = Path(os.environ.get("REPRONET_TEST_DATASETS", REPOSITORY.parent / "shared" / "datasets"))
    if not (root / "MNIST" / "raw" / "train-images-idx3-ubyte").exists():
        pytest.skip("the official MNIST files are not there; REPRONET_TEST_DATASETS may name their folder")
    return root


@pytest.fixture
def tables_as_they_were():
    """What a test registers of parts of its own is gone after it."""
    from repronet import models
    from repronet.config import plugins, register, schema
    from repronet.data import sources
    from repronet.data.augmentation_ops import OPERATIONS
    from repronet.data.operations import OURS
    from repronet.training import losses, optimizers

    tables = (
        *(plugins.PARTS, plugins._LOADED, models.MODELS, sources.SOURCES, OPERATIONS, OURS, losses.LOSSES),
        *(optimizers.OPTIMIZERS, register.CALLBACKS),
        *(schema.SCHEMAS[kind] for kind in ("model", "data", "optimizer")),
    )
    kept, names = [dict(table) for table in tables], list(schema.LOSSES)
    yield
    for table, content in zip(tables, kept, strict=True):
        table.clear()
        table.update(content)
    schema.LOSSES[:] = names
    plugins.give([])
    for module in plugins.OURS:  # which enters its parts when it is imported
        sys.modules.pop(module, None)
