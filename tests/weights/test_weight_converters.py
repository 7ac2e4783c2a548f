"""Key by key against the networks of those whose names are converted."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import nn
from torchvision.models.resnet import BasicBlock

from repronet import weights
from repronet.weights.converters import convert

REPOSITORY = Path(__file__).resolve().parents[2]


def shapes_of(tensors) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in tensors.items()}


def on_meta(build, *arguments, **settings) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return build(*arguments, **settings).state_dict()


@pytest.mark.parametrize(
    ("legacy", "modern"),
    [("legacy_seresnet50", "seresnet50"), ("legacy_seresnext50_32x4d", "seresnext50_32x4d")],
)
def test_timm_s_legacy_se_networks_get_the_modern_names(legacy, modern):
    old, new = on_meta(timm.create_model, legacy), on_meta(timm.create_model, modern)  # its modern names are ours
    assert old.keys() != new.keys()
    assert shapes_of(convert(old, new.keys())) == shapes_of(new)
    assert shapes_of(convert(new, new.keys())) == shapes_of(new)


def test_timm_s_legacy_senet154():
    old = on_meta(timm.create_model, "legacy_senet154")
    wanted = {
        "conv1.weight": (64, 3, 3, 3), "bn1.weight": (64,), "conv3.weight": (128, 64, 3, 3), "bn3.running_var": (128,),
        "layer1.0.conv1.weight": (128, 128, 1, 1), "layer1.0.se.fc1.weight": (16, 256, 1, 1),
        "layer1.0.se.fc2.bias": (256,), "layer1.0.downsample.0.weight": (256, 128, 1, 1),
        "layer4.2.bn3.num_batches_tracked": (), "fc.weight": (1000, 2048), "fc.bias": (1000,),
    }  # fmt: skip
    found = shapes_of(convert(old, wanted.keys()))
    assert {key: found.get(key) for key in wanted} == wanted
    assert len(found) == len(old)
    assert {key.split(".")[0] for key in found} == {
        *(f"{kind}{i}" for kind in ("conv", "bn") for i in (1, 2, 3)), *(f"layer{i}" for i in (1, 2, 3, 4)), "fc",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnext50_32x4d", "densenet121"])
def test_timm_s_plain_networks_have_torchvision_s_names(name):
    theirs = on_meta(timm.create_model, name)
    ours = on_meta(torchvision.models.get_model, name)
    assert shapes_of(convert(theirs, ours.keys())) == shapes_of(ours)


def test_torchvision_s_published_densenets_are_older_than_their_names():
    ours = on_meta(torchvision.models.densenet121)
    counted = re.compile("num_batches_tracked")
    layer = re.compile(r"(denselayer\d+\.(?:norm|conv))([12])")
    published = {layer.sub(r"\1.\2", key): tensor for key, tensor in ours.items() if not counted.search(key)}
    assert "features.denseblock1.denselayer1.norm.1.weight" in published
    assert convert(published, ours.keys()).keys() == {key for key in ours if not counted.search(key)}


@pytest.mark.parametrize(
    "prefix", ["module.", "network.", "_orig_mod.", "model.", "network._orig_mod.", "module.module."]
)
def test_what_wraps_a_network_leaves_no_prefix(prefix):
    ours = on_meta(torchvision.models.resnet18)
    wrapped = {prefix + key: tensor for key, tensor in ours.items()}
    assert convert(wrapped, ours.keys()).keys() == ours.keys()


def test_a_prefix_that_the_network_has_too_stays():
    network = nn.Sequential()
    network.add_module("model", nn.Linear(2, 2))
    assert convert(network.state_dict(), network.state_dict().keys()).keys() == {"model.weight", "model.bias"}


def test_a_prefix_on_some_keys_alone_stays():
    tensors = {"module.weight": torch.zeros(1), "bias": torch.zeros(1)}
    assert convert(tensors, {"weight", "bias"}).keys() == tensors.keys()


def test_no_tensor_is_lost_when_two_would_get_one_name():
    tensors = {"layer0.conv1.weight": torch.zeros(1), "conv1.weight": torch.ones(1)}
    assert convert(tensors, {"conv1.weight"}).keys() == tensors.keys()


def test_names_that_fit_already_are_left_alone():
    tensors = {"linear.weight": torch.zeros(1), "linear.bias": torch.zeros(1)}
    assert convert(tensors, tensors.keys()).keys() == tensors.keys()


class PadWithZeros(nn.Module):
    """Option A: every second pixel, and planes of zeros around those that are there."""

    def forward(self, x):
        return nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, x.shape[1] // 2, x.shape[1] // 2))


class ResNet20(nn.Module):
    """He et al.'s for CIFAR, section 4.2, under torchvision's names."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(BasicBlock(16, 16) for _ in range(3)))
        self.layer2 = nn.Sequential(BasicBlock(16, 32, 2, PadWithZeros()), *(BasicBlock(32, 32) for _ in range(2)))
        self.layer3 = nn.Sequential(BasicBlock(32, 64, 2, PadWithZeros()), *(BasicBlock(64, 64) for _ in range(2)))
        self.fc = nn.Linear(64, 10)


def test_akamaster_s_resnet20():
    shared = Path(os.environ.get("REPRONET_TEST_DATASETS", REPOSITORY.parent / "shared" / "datasets")).parent
    file = shared / "weights" / "resnet20-12fca82f.th"
    if not file.exists():
        pytest.skip("akamaster's checkpoint is not there; REPRONET_TEST_DATASETS may name a folder beside its weights/")
    network = ResNet20()
    assert sum(p.numel() for p in network.parameters()) == 269_722
    assert weights.load(network, file) == weights.Loaded(str(file), None)
    theirs = torch.load(file, weights_only=True, map_location="cpu")["state_dict"]
    assert torch.equal(network.fc.weight, theirs["module.linear.weight"])
    assert torch.equal(network.layer3[2].bn2.running_var, theirs["module.layer3.2.bn2.running_var"])
