"""``repronet gan train``: its run folder, what it refuses, and that a run that was stopped or killed ends the same."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from repronet.gan.module import GAN
from repronet.training.checkpoints import read_checkpoint

# Six steps an epoch on 120 digits of 8×8 pixels.
TINY = ("data.per_class=12", "data.batch_size=20", "data.fit=resize", "size=8", "width=4", "latent=4")
WORDS = (*TINY, "trainer.max_epochs=3", "trainer.threads=1", "logger=none")
BAGAN = ("kind=bagan", "autoencoder_epochs=1")


def curves(folder: Path) -> list[dict[str, str]]:
    """``history.csv`` without its clock."""
    with (folder / "history.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def weights(folder: Path, name: str = "last") -> dict[str, Any]:
    content = read_checkpoint(folder / "checkpoints" / f"{name}.ckpt")
    return content["state_dict"] | {f"{n}": state for n, state in enumerate(content["optimizer_states"])}


def same(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    return first == second


def assert_ended_alike(whole: Path, other: Path) -> None:
    assert curves(other) == curves(whole)
    assert all(same(weights(other, name), weights(whole, name)) for name in ("best", "last"))
    timed = ("train_seconds", "finished", "git_commit", "git_commits")
    results = [json.loads((folder / "result.json").read_text()) for folder in (whole, other)]
    assert len({json.dumps({k: v for k, v in found.items() if k not in timed}) for found in results}) == 1


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A BAGAN that nothing has stopped: an epoch as autoencoder and two against each other."""
    from rich.console import Console

    from repronet.config.compose import compose
    from repronet.session.gan import train

    folder = tmp_path_factory.mktemp("gan") / "whole"
    train(compose("gan_train", [*WORDS, *BAGAN, f"run_dir={folder}"]), Console(quiet=True))
    return folder


def test_a_run_folder_is_like_a_networks(whole):
    names = {str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_file()}
    wanted = {"config.yaml", "history.csv", "result.json", "train.log", "pictures/generated.png"}
    assert wanted | {"checkpoints/best.ckpt", "checkpoints/last.ckpt"} <= names
    rows = curves(whole)
    assert [bool(row["autoencoder"]) for row in rows] == [True, False, False]
    assert [bool(row["generator"]) for row in rows] == [False, True, True]
    assert [int(row["step"]) for row in rows] == [6, 18, 30]  # the second optimizer steps too
    result = json.loads((whole / "result.json").read_text())
    best = min(rows[1:], key=lambda row: float(row["frechet"]))
    assert (result["best_epoch"], result["frechet"]) == (int(best["epoch"]), float(best["frechet"]))
    by_class = result["recognized_by_class"]
    assert result["recognized"] == pytest.approx(sum(by_class.values()) / 10)
    assert len(by_class) == 10


# Within the autoencoder's epoch, at its end, and while both networks are trained.
@pytest.mark.parametrize(("step", "number"), [(2, signal.SIGTERM), (6, signal.SIGINT), (20, signal.SIGTERM)])
def test_a_run_that_is_stopped_and_resumed_ends_the_same(whole, repronet, tmp_path, monkeypatch, step, number):
    train = GAN.training_step

    def stopping(self, batch, batch_idx):
        train(self, batch, batch_idx)
        if self.trainer.global_step >= step and not self.stopped:
            self.stopped = True
            os.kill(os.getpid(), number)

    monkeypatch.setattr(GAN, "stopped", False, raising=False)
    monkeypatch.setattr(GAN, "training_step", stopping)
    outcome = repronet("gan", "train", *WORDS, *BAGAN, "run_dir=run")
    assert outcome.code == {signal.SIGTERM: 143, signal.SIGINT: 130}[number]
    assert "repronet gan train resume=run" in outcome.err
    monkeypatch.setattr(GAN, "training_step", train)
    outcome = repronet("gan", "train", "resume=run")
    assert (outcome.code, outcome.err) == (0, "")
    assert_ended_alike(whole, tmp_path / "run")


KILLED = """
import os, signal, sys
from repronet.gan.module import GAN
train, count = GAN.training_step, int(sys.argv[1])

def striking(self, batch, batch_idx):
    if self.trainer.global_step == count:
        os.kill(os.getpid(), signal.SIGKILL)
    train(self, batch, batch_idx)

GAN.training_step = striking
from repronet.cli import main
main(["gan", "train", *sys.argv[2:]])
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["acgan", "bagan"])
def test_a_run_that_is_killed_twice_ends_the_same(tmp_path, kind):
    def run(step: int, *words: str) -> int:
        return subprocess.run(
            [sys.executable, "-c", KILLED, str(step), *words], cwd=tmp_path, capture_output=True
        ).returncode

    words = (*WORDS, f"kind={kind}", *(BAGAN[1:] if kind == "bagan" else ()))
    assert run(-1, *words, "run_dir=whole") == 0
    assert run(10, *words, "run_dir=struck") == -signal.SIGKILL  # within an epoch
    assert run(24 if kind == "acgan" else 18, "resume=struck") == -signal.SIGKILL  # at an epoch's first step
    assert run(-1, "resume=struck") == 0
    assert_ended_alike(tmp_path / "whole", tmp_path / "struck")


def test_a_run_is_the_same_whoever_logs_it(whole, repronet, tmp_path):
    outcome = repronet(
        "gan", "train", *WORDS, *BAGAN, "logger=tensorboard", "run_dir=run", "trainer.log_every_n_steps=1"
    )
    assert (outcome.code, outcome.err) == (0, "")
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert curves(tmp_path / "run") == curves(whole)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    assert {"train/autoencoder", "train/discriminator", "train/generator", "val/frechet"} <= set(
        events.Tags()["scalars"]
    )
    assert len(events.Scalars("train/generator")) == 12
    assert len(events.Images("generated")) == 2


@pytest.mark.parametrize("kind", ["dcgan", "acgan"])
def test_other_kinds_train(repronet, tmp_path, kind):
    words = (*TINY, f"kind={kind}", "norm=spectral", "trainer.max_epochs=1", "logger=none", "run_dir=run")
    assert repronet("gan", "train", *words).code == 0
    (row,) = curves(tmp_path / "run")
    assert float(row["frechet"]) > 0
    assert bool(row["recognized"]) == (kind == "acgan")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["size=30"], "size=30: must be a power of 2 of at least 8"),
        (["size=16"], "the images are 28×28, larger than the 16×16"),
        (["kind=gan"], "kind=gan: must be one of dcgan, acgan, bagan"),
        (["autoencoder_epochs=3"], "autoencoder_epochs=3: kind=acgan has no autoencoder; leave it out"),
        (["kind=bagan", "trainer.max_epochs=5"], "trainer.max_epochs=5: the autoencoder takes 5 of them; give more"),
        (["trainer.patience=3"], "trainer.patience=3: has no effect on a GAN; leave it out"),
        (["data.balance=loss"], "data.balance=loss: is for classifiers"),
        (["data.workers=2"], "data.workers=2: has no effect on a GAN"),
        (["trainer.accelerator=cuda"], "trainer.accelerator=cuda: PyTorch finds no such device"),
        (["judge=repronet/lenet"], "weights=repronet/lenet: no such weights; nearest: repronet/lenet5-mnist"),
        (["bagan"], "bagan: not KEY=VALUE"),
        (["resume=none"], "resume=none: no run there"),
        (["resume=none", "seed=1"], "seed=1: a resumed run keeps its config; give resume=none alone"),
    ],
)
def test_what_is_wrong_is_one_line_and_no_folder(repronet, tmp_path, words, message):
    outcome = repronet("gan", "train", *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_runs_of_classifiers_and_gans_are_told_apart(whole, finished_run, repronet):
    outcome = repronet("gan", "train", f"resume={whole}")
    assert (outcome.code, "the run has ended" in outcome.err) == (2, True)
    outcome = repronet("eval", f"run={whole}")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "holds no config of a run" in outcome.err
