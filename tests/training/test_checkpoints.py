"""Checkpoints are read without running anything that stands in them."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger, WandbLogger

from repronet.errors import UserError
from repronet.training.callbacks.checkpoints import BestAndLast
from repronet.training.checkpoints import load_weights, read_checkpoint


class Malicious:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    marker = tmp_path / "it ran"
    content = {"state_dict": {}, "epoch": 0, "global_step": 0, "x": Malicious(marker)}
    torch.save(content, tmp_path / "evil.ckpt")
    (tmp_path / "evil.pickle").write_bytes(pickle.dumps(content))
    for name in ("evil.ckpt", "evil.pickle"):
        with pytest.raises(UserError, match="refused"):
            read_checkpoint(tmp_path / name)
    assert not marker.exists()


def test_a_damaged_checkpoint_is_one_line(tmp_path, finished_run):
    whole = (finished_run / "checkpoints" / "best.ckpt").read_bytes()
    for name, content in (("half", whole[: len(whole) // 2]), ("empty", b""), ("text", b"hello world\n" * 50)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError) as caught:
            read_checkpoint(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)


def test_something_else_than_a_checkpoint_is_said(tmp_path):
    torch.save({"weight": torch.zeros(2)}, tmp_path / "w.pth")
    with pytest.raises(UserError, match="not a checkpoint of a run; it lacks"):
        read_checkpoint(tmp_path / "w.pth")


def test_a_checkpoint_stands_alone(finished_run):
    content = read_checkpoint(finished_run / "checkpoints" / "best.ckpt")
    config = content["repronet"]["config"]
    assert config["model"]["name"] == "lenet5"
    assert config["optimizer"]["lr"] == 0.05
    assert content["callbacks"]["History"]["rows"]


def test_weights_of_another_network_are_refused(finished_run):
    from repronet.config.build import assemble
    from repronet.config.compose import compose

    parts = assemble(compose("train", ["model=lenet5_1998", "preprocessing=lecun"]))
    with pytest.raises(UserError, match="weights belong to another network"):
        load_weights(parts.task, finished_run / "checkpoints" / "best.ckpt")


def test_a_checkpoint_says_what_a_service_calls_its_run_and_nothing_of_folders(tmp_path):
    class Service(WandbLogger):
        version, failed = "a1b2", False

        def __init__(self):
            pass

    loggers = [Service(), TensorBoardLogger(tmp_path, name="", version="run"), CSVLogger(tmp_path)]
    best_and_last = BestAndLast(tmp_path, {}, None, None, 5.0)
    checkpoint = {}
    best_and_last.on_save_checkpoint(SimpleNamespace(loggers=loggers, world_size=1), None, checkpoint)
    assert checkpoint["repronet"]["logged"] == {"Service": "a1b2"}
    loggers[0].failed = True  # what no longer works is not gone on with
    best_and_last.on_save_checkpoint(SimpleNamespace(loggers=loggers, world_size=1), None, checkpoint)
    assert checkpoint["repronet"]["logged"] == {}
