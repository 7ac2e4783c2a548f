"""Checkpoints as other people's programs write them: wrapped, prefixed, with plain objects beside the tensors."""

from __future__ import annotations

import argparse
import collections
import datetime
import decimal
import functools
import pathlib
import subprocess
import sys
import types
import uuid

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from tiny_networks import drawn, install, same

from repronet import weights
from repronet.errors import UserError
from repronet.weights import files

pytestmark = pytest.mark.field


@pytest.fixture(autouse=True)
def zoo(monkeypatch):
    install(monkeypatch)


def state() -> dict[str, torch.Tensor]:
    return drawn("tiny", seed=1).state_dict()


def under(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + key: tensor for key, tensor in state().items()}


def refusal(source) -> str:
    with pytest.raises(UserError) as caught:
        weights.load(drawn("tiny"), source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


BESIDE = {
    "argparse": argparse.Namespace(lr=0.1, nested=argparse.Namespace(size=3)),
    "SimpleNamespace": types.SimpleNamespace(lr=0.1),
    "path": pathlib.PosixPath("data"),
    "pure Windows path": pathlib.PureWindowsPath("C:/data"),
    "NumPy scalar": np.float64(91.2),
    "NumPy whole number": np.int64(3),
    "NumPy truth": np.bool_(True),
    "NumPy array": np.arange(6.0).reshape(2, 3),
    "NumPy words": np.array(["cat", "dog"]),
    "NumPy dtype": np.dtype("float32"),
    "NumPy type": np.float32,
    "OrderedDict": collections.OrderedDict(a=1),
    "defaultdict": collections.defaultdict(list, a=[1]),
    "datetime": datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC),
    "date": datetime.date(2026, 1, 31),
    "timedelta": datetime.timedelta(seconds=3),
    "Decimal": decimal.Decimal("91.2"),
    "UUID": uuid.UUID(int=7),
    "range": range(3),
    "slice": slice(1, 2),
    "frozenset": frozenset({1}),
    "class": dict,
    "torch dtype": torch.float16,
    "partial optimizer": functools.partial(torch.optim.Adam, lr=0.1),
    "OmegaConf": OmegaConf.create({"lr": 0.1, "steps": [1, 2]}),
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("what", BESIDE)
def test_plain_objects_beside_the_tensors_are_passed_over(what, zipped, tmp_path):
    content = {"state_dict": state(), "epoch": 3, "args": BESIDE[what]}
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    network = drawn("tiny")
    weights.load(network, tmp_path / "w.pth")
    assert same(network, drawn("tiny", seed=1))


def test_a_path_of_windows_is_passed_over_elsewhere(tmp_path):
    old = {"state_dict": state(), "root": pathlib.PosixPath("data")}
    torch.save(old, tmp_path / "w.pth", _use_new_zipfile_serialization=False)  # a stream of names that end in newlines
    content = (tmp_path / "w.pth").read_bytes()
    assert content.count(b"PosixPath\n") == 1
    (tmp_path / "w.pth").write_bytes(content.replace(b"PosixPath\n", b"WindowsPath\n"))
    weights.load(drawn("tiny"), tmp_path / "w.pth")


def test_nothing_of_an_object_is_built(tmp_path):
    torch.save(
        {"state_dict": state(), "args": argparse.Namespace(a=1), "p": BESIDE["partial optimizer"]}, tmp_path / "w"
    )
    content = files.plain_content(tmp_path / "w")
    assert not isinstance(content["args"], argparse.Namespace)
    assert not callable(content["p"])


@pytest.mark.parametrize("zipped", [True, False])
def test_any_other_type_is_named_with_what_to_do(zipped, tmp_path):
    torch.save({"state_dict": state(), "x": torch.nn.ReLU()}, tmp_path / "w", _use_new_zipfile_serialization=zipped)
    said = refusal(tmp_path / "w")
    assert "it holds torch.nn.modules.activation.ReLU" in said
    assert "torch.save(" in said


@pytest.mark.parametrize("zipped", [True, False])
def test_a_whole_pickled_network_is_refused_with_the_way_out(zipped, tmp_path):
    net = torch.nn.Sequential(torch.nn.Linear(2, 2))
    torch.save(net, tmp_path / "whole.pth", _use_new_zipfile_serialization=zipped)
    said = refusal(tmp_path / "whole.pth")
    assert "torch.nn.modules.container.Sequential" in said
    command = said[said.index("torch.save(") :].split("; ")[0]
    program = f"import os, torch; os.chdir({str(tmp_path)!r}); {command}"
    subprocess.run([sys.executable, "-c", program], check=True)  # what is advised works
    written = torch.load(tmp_path / "weights.pth", weights_only=True)
    assert all(torch.equal(written[key], tensor) for key, tensor in net.state_dict().items())


def test_a_scripted_network_is_refused_with_the_way_out(tmp_path):
    with pytest.warns((DeprecationWarning, FutureWarning)):
        torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), tmp_path / "w.pt")
    assert "TorchScript" in refusal(tmp_path / "w.pt")


def averaged() -> dict[str, torch.Tensor]:
    return torch.optim.swa_utils.AveragedModel(drawn("tiny", seed=1)).state_dict()


WRITTEN = {
    "net and module.": lambda: {"net": under("module."), "acc": 91.2, "epoch": 3},
    "the tutorial's": lambda: {"model_state_dict": state(), "optimizer_state_dict": {"state": {}}, "loss": 0.1},
    "any name": lambda: {"my_resnet": state(), "epoch": 3},
    "wrapped twice": lambda: {"model": {"state_dict": under("module.")}, "epoch": 3},
    "Lightning, net.": lambda: {"state_dict": under("net."), "pytorch-lightning_version": "2.0"},
    "Lightning, any name": lambda: {"state_dict": under("my_encoder.net.")},
    "Lightning with a criterion": lambda: {"state_dict": {**under("model."), "criterion.weight": torch.ones(10)}},
    "Lightning with a metric": lambda: {"state_dict": {"acc.total": torch.tensor(3), **under("model.")}},
    "AveragedModel": averaged,
    "AveragedModel in a wrapper": lambda: {"state_dict": averaged()},
    "AveragedModel in Lightning": lambda: {"state_dict": {f"ema.{key}": value for key, value in averaged().items()}},
    "compiled and in parallel": lambda: {"model": under("_orig_mod.module.")},
    "fastai": lambda: {"model": state(), "opt": {"state": [], "hypers": [{"lr": 0.1}]}},
    "DeepSpeed": lambda: {"module": under("module."), "global_steps": 3, "ds_version": "0.14"},
    "mmpretrain": lambda: {"meta": {"epoch": 3, "CLASSES": ["cat"]}, "state_dict": under("backbone.")},
    "Composer": lambda: {"state": {"model": under("module."), "timestamp": {"epoch": 3}}, "rng": []},
    "detectron2": lambda: {"model": under("module."), "iteration": 3, "__author__": "someone"},
    "Lightning around a compiled one": lambda: {"state_dict": under("model._orig_mod.")},
    "FSDP": lambda: {"model": under("_fsdp_wrapped_module."), "step": 3},
    "activation checkpoints": lambda: {"model": under("_checkpoint_wrapped_module.")},
    "only the mean": lambda: {"state_dict_ema": state(), "epoch": 3},
    "only the mean, torchvision": lambda: {"model_ema": {"n_averaged": torch.tensor(3), **under("module.")}},
}


@pytest.mark.parametrize("form", WRITTEN)
def test_wrappers_and_prefixes_are_taken_off(form, tmp_path):
    torch.save(WRITTEN[form](), tmp_path / "w.pth")
    network = drawn("tiny")
    loaded = weights.load(network, tmp_path / "w.pth")
    assert same(network, drawn("tiny", seed=1))
    if "criterion" in form:
        assert loaded.aside == ("criterion.weight",)


def test_the_network_comes_before_its_mean(tmp_path):
    zeros = {key: torch.zeros_like(tensor) for key, tensor in state().items()}
    for pair in ({"model": state(), "model_ema": zeros}, {"state_dict_ema": zeros, "state_dict": state()}):
        torch.save(pair, tmp_path / "w.pth")
        network = drawn("tiny")
        weights.load(network, tmp_path / "w.pth")
        assert same(network, drawn("tiny", seed=1))


def test_of_several_networks_none_is_guessed(tmp_path):
    torch.save({"generator": state(), "discriminator": state()}, tmp_path / "w.pth")
    assert "several state dicts (generator, discriminator)" in refusal(tmp_path / "w.pth")
    torch.save({"state_dict": {**under("student."), **under("teacher.")}}, tmp_path / "w.pth")
    assert refusal(tmp_path / "w.pth").endswith("; the network is in it under student. and teacher.; keep one of them")


def test_a_part_of_a_larger_network_is_not_taken_for_it(tmp_path):
    torch.save({**state(), "extra.weight": torch.zeros(1)}, tmp_path / "w.pth")
    assert "1 unexpected: extra.weight" in refusal(tmp_path / "w.pth")
    without = {key: tensor for key, tensor in under("backbone.").items() if ".fc." not in key}
    torch.save({**without, "head.weight": torch.zeros(1)}, tmp_path / "w.pth")
    assert "missing" in refusal(tmp_path / "w.pth")


EIGHT_BIT = [name for name in dir(torch) if name.startswith("float8_")]


@pytest.mark.parametrize("kind", EIGHT_BIT)
def test_eight_bit_floats_are_loaded_exactly(kind, tmp_path):
    powers = {key: tensor.sign() * 2.0 if tensor.is_floating_point() else tensor for key, tensor in state().items()}
    if kind == "float8_e8m0fnu":  # which has neither sign nor zero
        powers = {key: torch.full_like(tensor, 2) for key, tensor in powers.items()}
    small = {k: t.to(getattr(torch, kind)) if t.is_floating_point() else t for k, t in powers.items()}
    torch.save(small, tmp_path / "w.pth")
    for source in (small, tmp_path / "w.pth"):
        network = drawn("tiny")
        weights.load(network, source)
        assert all(torch.equal(tensor, powers[key]) for key, tensor in network.state_dict().items())


def test_eight_bit_floats_that_are_not_finite_are_refused():
    small = {key: (t / 0).to(torch.float8_e5m2) if t.is_floating_point() else t for key, t in state().items()}
    assert "not finite" in refusal(small)


@pytest.mark.skipif(not hasattr(torch, "float4_e2m1fn_x2"), reason="this torch has no four-bit floats")
def test_numbers_that_torch_cannot_convert_are_refused():
    packed = {**state(), "fc.weight": torch.zeros(10, 4, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)}
    assert "fc.weight is float4_e2m1fn_x2" in refusal(packed)


def test_arrays_in_place_of_tensors_are_named():
    assert "conv1.weight is a ndarray, not a tensor" in refusal(
        {key: tensor.numpy() for key, tensor in state().items()}
    )


def test_a_run_folder_is_a_source(finished_run, tmp_path, monkeypatch):
    from repronet import models

    network, other = models.create("lenet5", in_channels=1), models.create("lenet5", in_channels=1)
    weights.load(network, finished_run)
    weights.load(other, finished_run / "checkpoints" / "best.ckpt")
    assert same(network, other)
    monkeypatch.setenv("HOME", str(finished_run.parent))
    weights.load(network, f"~/{finished_run.name}")
    assert "no run there" in refusal(tmp_path)
