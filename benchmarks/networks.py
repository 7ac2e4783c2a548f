"""The networks that the benchmarks time, with torch.nn's layers and a batch for each."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torchvision
from torch import Tensor, nn

from repronet import models


class _Block(nn.Module):
    """Two 3×3 convolutions and a shortcut without parameters (He et al. 2016, section 4.2, option A)."""

    def __init__(self, planes: int, filters: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(planes, filters, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(filters)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(filters)
        self.relu2 = nn.ReLU()
        self.stride, self.more = stride, filters - planes

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        if self.more:
            shortcut = torch.constant_pad_nd(shortcut, (0, 0, 0, 0, 0, self.more))
        return self.relu2(y + shortcut)


def resnet20() -> nn.Module:
    """ResNet-20 of He et al. 2016, section 4.2, n = 3."""
    blocks: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    planes = 16
    for filters in (16, 32, 64):
        for _ in range(3):
            blocks.append(_Block(planes, filters, 2 if filters > planes else 1))
            planes = filters
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


SHAPES_OF: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int, int]]] = {
    "lenet5": (lambda: models.create("lenet5", layers="torch"), (64, 1, 32, 32)),
    "alexnet": (torchvision.models.alexnet, (8, 3, 224, 224)),
    "vgg11": (torchvision.models.vgg11, (2, 3, 224, 224)),
    "googlenet": (lambda: torchvision.models.googlenet(aux_logits=False, init_weights=False), (8, 3, 224, 224)),
    "resnet20": (resnet20, (128, 3, 32, 32)),
    "resnet50": (torchvision.models.resnet50, (8, 3, 224, 224)),
    "resnext50": (torchvision.models.resnext50_32x4d, (8, 3, 224, 224)),
    "depthwise": (lambda: _separate(groups=True), (8, 64, 56, 56)),
    "dilated": (lambda: _separate(groups=False), (8, 64, 28, 28)),
}


def _separate(groups: bool) -> nn.Module:
    """Two layers that the networks above lack: depthwise with stride 1 and 2, or with dilation 2 and 4."""
    if groups:
        return nn.Sequential(nn.Conv2d(64, 64, 3, 1, 1, groups=64), nn.Conv2d(64, 64, 3, 2, 1, groups=64))
    return nn.Sequential(nn.Conv2d(64, 64, 3, 1, 2, dilation=2), nn.Conv2d(64, 64, 3, 1, 4, dilation=4))
