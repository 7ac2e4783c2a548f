"""The networks that torchvision has too: its weights load, and both compute the same."""

from __future__ import annotations

import pytest
import torch
import torchvision

from models.agreement import assert_same_network, largest_difference
from repronet import models

TWINS = {
    "alexnet_owt": "alexnet",
    "googlenet_bn": "googlenet",
    **{name: name for name in ("inception_v3", "densenet121", "densenet161", "densenet169", "densenet201")},
    **{name: name for name in ("vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn")},
    **{name: name for name in ("resnet18", "resnet34", "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d")},
    **{f"resnet{depth}_v1_5": f"resnet{depth}" for depth in (50, 101, 152)},
}
QUICK = ("resnet18",)


def pair(name: str, layers: str) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Ours and torchvision's, with torchvision's weights in both."""
    torch.manual_seed(0)
    drawn = name.startswith(("googlenet_bn", "inception_v3", "vgg"))
    heads = {"init_weights": False} if drawn else {}  # else minutes of drawing
    theirs = torchvision.models.get_model(TWINS[name], weights=None, **heads)
    with torch.device("meta"):  # all of it is loaded, nothing need be drawn
        ours = models.create(name, layers=layers)
    missing, unexpected = ours.load_state_dict(theirs.state_dict(), assign=True)
    assert not missing
    assert not unexpected
    return ours, theirs


@pytest.mark.parametrize("layers", ["custom", "torch"])
@pytest.mark.parametrize("name", QUICK)
def test_computes_what_torchvision_computes(name, layers):
    ours, theirs = pair(name, layers)
    assert_same_network(ours, theirs, ours.input_size)


@pytest.mark.thorough
@pytest.mark.parametrize("layers", ["custom", "torch"])
@pytest.mark.parametrize("name", [name for name in TWINS if name not in QUICK])
def test_computes_what_torchvision_computes_at_any_depth(name, layers):
    ours, theirs = pair(name, layers)
    very_deep = name.startswith(("resnet101", "resnet152", "inception"))  # batch norm over a few numbers is no measure
    size = ours.input_size if very_deep else 96 if name.startswith("vgg") else 160
    assert_same_network(ours, theirs, size, smaller=name.startswith("vgg"))


def test_he_et_al_stride_elsewhere_than_torchvision():
    """The same weights, another network: this is what a test of shapes alone would not see."""
    torch.manual_seed(0)
    theirs = torchvision.models.resnet50(weights=None).eval()
    ours = models.create("resnet50", layers="torch").eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(1, 3, 64, 64)
    assert largest_difference(ours, theirs, images) > 0.01
