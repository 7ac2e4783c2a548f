"""Runs of earlier versions: read by every command, and not resumed by another training loop than theirs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from repronet import load, runs
from repronet.errors import UserError
from repronet.training.checkpoints import read_checkpoint, write_checkpoint


def as_old(content: dict, averaged: bool = False) -> dict:
    """A checkpoint as version 0.1.0 wrote it before its training loop changed."""
    ours = content.pop("repronet")
    content.pop("training_sums")
    content["hyper_parameters"] = {"config": ours["config"]}
    position = ours["position"]
    content["position"] = {"epochs": position["epochs"], "steps": position["batches"], "rate": 0.1, "running": {}}
    content["threads"] = ours["threads"]
    if averaged:  # beside the latest weights, which are others
        weights = content["state_dict"]
        mean = {key.replace("network.", "averaged.module."): value for key, value in weights.items()}
        latest = {key: torch.zeros_like(value) for key, value in weights.items()}
        content["state_dict"] = {**latest, **mean, "averaged.n_averaged": torch.tensor(9)}
    return content


@pytest.fixture(params=[False, True], ids=["plain", "averaged"])
def old_run(request, tmp_path, finished_run) -> Path:
    folder = shutil.copytree(finished_run, tmp_path / "old")
    for name in (runs.BEST, runs.LAST):
        write_checkpoint(as_old(read_checkpoint(folder / name), request.param), folder / name)
    return folder


def test_it_is_evaluated_and_loaded(repronet, old_run, finished_run):
    now, then = repronet("eval", f"run={old_run}"), repronet("eval", f"run={finished_run}")
    assert (now.code, now.out) == (0, then.out)
    image = torch.zeros(1, 28, 28, dtype=torch.uint8)
    expected = load(finished_run).probabilities([image])
    assert torch.equal(load(old_run).probabilities([image]), expected)


def test_it_is_not_resumed(repronet, old_run):
    (old_run / runs.RESULT).unlink()
    outcome = repronet("train", f"resume={old_run}")
    assert outcome.code == 2
    assert "of repronet 0.1.0 before its training loop changed (commit ecba6cd); resume it there" in outcome.err
    assert outcome.err.count("\n") == 1


def test_weights_of_it_are_tuned(old_run, tmp_path):
    from repronet import models, weights

    network = models.create("lenet5")
    weights.load(network, old_run / runs.BEST)
    assert network.c1.weight.abs().sum() > 0
    with pytest.raises(UserError, match="weights of model=lenet5, not of model=lenet5_1998"):
        weights.load(models.create("lenet5_1998"), old_run / runs.BEST)
