"""Three small networks that stand in :mod:`repronet.models` during a test, two of them of the same shapes."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from repronet import models
from repronet.models.variant import variant


class Tiny(nn.Module):
    """Two convolutions with an auxiliary output between them; ``first_stride`` says which of the two goes down."""

    def __init__(self, num_classes: int, in_channels: int, layers: ModuleType, first_stride: int, width: int):
        super().__init__()
        self.conv1 = layers.Conv2d(in_channels, 4, kernel_size=3, stride=first_stride, padding=1, bias=False)
        self.bn1 = layers.BatchNorm2d(4)
        self.aux = layers.Linear(4, num_classes)
        self.conv2 = layers.Conv2d(4, width, kernel_size=3, stride=3 - first_stride, padding=1)
        self.pool = layers.AdaptiveAvgPool2d(1)
        self.drop = layers.Dropout(0.1)
        self.fc = layers.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.conv2(self.bn1(self.conv1(images)).relu())  # (N, C, H, W) → (N, width, H/2, W/2)
        return self.fc(self.drop(self.pool(x).flatten(1)))  #  → (N, classes)


def _builder(name: str, first_stride: int, width: int):
    def make(num_classes: int, in_channels: int, layers: ModuleType) -> Tiny:
        return Tiny(num_classes, in_channels, layers, first_stride, width)

    return variant(name, make, num_classes=10)


def install(patch: pytest.MonkeyPatch) -> None:
    """Make ``tiny``, ``tiny_v1_5`` (another stride, the same shapes) and ``tiny_wide`` networks like any other."""
    family = ModuleType("repronet.models.tiny_family")
    shapes = {"tiny": (2, 8), "tiny_v1_5": (1, 8), "tiny_wide": (2, 16)}
    builders = {name: _builder(name, *shape) for name, shape in shapes.items()}
    vars(family).update(builders)
    patch.setitem(sys.modules, family.__name__, family)
    known = {"lenet5": "lenet", "lenet5_1998": "lenet", **dict.fromkeys(builders, "tiny_family")}
    patch.setattr(models, "MODELS", known)


def drawn(name: str, seed: int = 0, **settings: Any) -> nn.Module:
    """A network with weights and batch statistics that another seed does not give."""
    torch.manual_seed(seed)
    network = models.create(name, **settings)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module(torch.randn(4, module.num_features, 2, 2))  # moves the running statistics
    return network


def same(network: nn.Module, other: nn.Module) -> bool:
    """Whether both hold the same numbers under the same keys."""
    ours, theirs = network.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)
