"""Residual networks: one class, and a :class:`Design` with the settings in which networks differ.

The networks themselves are in ``resnet.py``, ``resnext.py`` and ``senet.py``. Their parameters have torchvision's
names: conv1, bn1, layer1.0.conv1, …, layer1.0.downsample.0, …, fc.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad

import repronet.layers
from repronet.layers.norm_relu import norm_relu
from repronet.models.variant import Build, variant

Stem = Literal["224px", "224px_ceil", "224px_deep", "32px"]
Shortcut = Literal["A", "B", "C", "3x3", "none"]


@dataclass(frozen=True)
class Design:
    """The settings in which residual networks differ."""

    depths: tuple[int, ...]  #: blocks in each stage; every stage but the first begins by halving the image
    widths: tuple[int, ...]  #: planes of each stage, before a bottleneck's expansion
    bottleneck: bool  #: whether blocks are 1×1, 3×3 and 1×1 (He et al. 2015, figure 5 right), not two 3×3
    #: "224px" is 7×7/2 and a padded 3×3/2 max-pool; "224px_ceil" has Caffe's unpadded pool instead, which rounds
    #: up; "224px_deep" in addition has three 3×3 instead of the 7×7; "32px" is one 3×3 without a pool
    stem: Stem
    #: where the shape changes, "A" subsamples and pads with planes of zeros, "B" projects by 1×1, "3x3" projects
    #: by 3×3 from the second stage on; "C" projects everywhere; "none" gives a plain network
    shortcut: Shortcut = "B"
    stride_on_3x3: bool = False  #: whether the 3×3 of a bottleneck halves the image, or its first 1×1
    groups: int = 1  #: groups of the 3×3, ResNeXt's cardinality
    width_per_group: int = 64  #: planes of each group in a stage of 64
    half_first: bool = False  #: whether the first 1×1 of a bottleneck has half the planes of the 3×3
    reduction: int | None = None  #: r of squeeze and excitation, or None for blocks without it
    dropout: float = 0.0  #: dropout probability before the last layer

    @property
    def expansion(self) -> int:
        """Output planes of a block divided by the stage's width."""
        return 4 if self.bottleneck else 1

    @property
    def input_size(self) -> int:
        """Side of the images that the stem is designed for, in pixels."""
        return 32 if self.stem == "32px" else 224


class SqueezeExcitation(nn.Module):
    """x · σ(W₂ δ(W₁ mean(x))): scale each plane by a factor from the means of all planes (Hu et al. 2018, section 3).

    The two fully connected layers are written as 1×1 convolutions. Shapes: (N, C, H, W) → the same.
    """

    def __init__(self, channels: int, reduction: int, layers: ModuleType):
        super().__init__()
        self.squeeze = layers.AdaptiveAvgPool2d(1)
        self.fc1 = layers.Conv2d(channels, channels // reduction, kernel_size=1)
        self.relu = layers.ReLU(inplace=True)
        self.fc2 = layers.Conv2d(channels // reduction, channels, kernel_size=1)
        self.sigmoid = layers.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        z = self.squeeze(x)  # (N, C, H, W) → (N, C, 1, 1)
        s = self.relu(self.fc1(z))  # → (N, C/r, 1, 1)
        return x * self.sigmoid(self.fc2(s))  # → (N, C, 1, 1), times (N, C, H, W)


class PaddedShortcut(nn.Module):
    """Option A: subsample by the stride and add planes of zeros, half before and half after; no parameters.

    The paper does not say where the zero planes are; for a network that learns, their position makes no difference.
    Shapes: (N, C, H, W) → (N, planes, H/stride, W/stride).
    """

    def __init__(self, channels: int, planes: int, stride: int):
        super().__init__()
        self.stride = stride
        self.before = (planes - channels) // 2
        self.behind = planes - channels - self.before

    def forward(self, x: Tensor) -> Tensor:
        # Both keep a channels-last layout forward and backward, which slices and cat do not: one gradient in another
        # layout makes every earlier layer copy it or run slowly.
        x = avg_pool2d(x, 1, self.stride)  # (N, C, H, W) → (N, C, H/stride, W/stride)
        return pad(x, (0, 0, 0, 0, self.before, self.behind))  # → (N, planes, H/stride, W/stride)


class BasicBlock(nn.Module):
    """3×3 → BN → ReLU → 3×3 → BN (→ SE), plus the shortcut, ReLU. Shapes: (N, C, H, W) → (N, planes, H/s, W/s)."""

    def __init__(self, design: Design, channels: int, planes: int, stride: int, layers: ModuleType):
        super().__init__()
        self.conv1 = layers.Conv2d(channels, planes, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = layers.BatchNorm2d(planes)
        self.relu = layers.ReLU(inplace=True)
        self.conv2 = layers.Conv2d(planes, planes, kernel_size=3, padding=1, bias=False)
        self.bn2 = layers.BatchNorm2d(planes)
        self.se = SqueezeExcitation(planes, design.reduction, layers) if design.reduction else nn.Identity()
        self.downsample = _shortcut(design, channels, planes, stride, layers)

    def forward(self, x: Tensor) -> Tensor:
        y = norm_relu(self.bn1, self.relu, self.conv1(x))  # (N, C, H, W) → (N, planes, H/s, W/s)
        return _last_of_block(self, self.bn2, self.conv2(y), x)  # → the same


class Bottleneck(nn.Module):
    """1×1 → BN → ReLU → 3×3 → BN → ReLU → 1×1 → BN (→ SE), plus the shortcut, ReLU.

    Shapes: (N, C, H, W) → (N, 4·planes, H/s, W/s).
    """

    def __init__(self, design: Design, channels: int, planes: int, stride: int, layers: ModuleType):
        super().__init__()
        width = planes * design.width_per_group // 64 * design.groups
        first = width // 2 if design.half_first else width
        strides = (1, stride) if design.stride_on_3x3 else (stride, 1)
        out = planes * design.expansion
        self.conv1 = layers.Conv2d(channels, first, kernel_size=1, stride=strides[0], bias=False)
        self.bn1 = layers.BatchNorm2d(first)
        self.conv2 = layers.Conv2d(
            first, width, kernel_size=3, stride=strides[1], padding=1, groups=design.groups, bias=False
        )
        self.bn2 = layers.BatchNorm2d(width)
        self.conv3 = layers.Conv2d(width, out, kernel_size=1, bias=False)
        self.bn3 = layers.BatchNorm2d(out)
        self.se = SqueezeExcitation(out, design.reduction, layers) if design.reduction else nn.Identity()
        self.relu = layers.ReLU(inplace=True)
        self.downsample = _shortcut(design, channels, out, stride, layers)

    def forward(self, x: Tensor) -> Tensor:
        y = norm_relu(self.bn1, self.relu, self.conv1(x))  # (N, C, H, W) → (N, first, H, W), or halved here
        y = norm_relu(self.bn2, self.relu, self.conv2(y))  # → (N, width, H/s, W/s)
        return _last_of_block(self, self.bn3, self.conv3(y), x)  # → (N, 4·planes, H/s, W/s)


def _last_of_block(block: BasicBlock | Bottleneck, norm: nn.Module, y: Tensor, x: Tensor) -> Tensor:
    """BN (→ SE), plus the shortcut, ReLU: the last convolution's output and the block's input → the block's output."""
    shortcut = None if block.downsample is None else partial(block.downsample, x)
    if isinstance(block.se, nn.Identity):
        return norm_relu(norm, block.relu, y, shortcut)
    y = block.se(norm(y))
    return block.relu(y if shortcut is None else y + shortcut())


def _shortcut(design: Design, channels: int, planes: int, stride: int, layers: ModuleType) -> nn.Module | None:
    """The shortcut around a block; None for a plain network."""
    if design.shortcut == "none":
        return None
    if channels == planes and stride == 1 and design.shortcut != "C":
        return nn.Identity()
    if design.shortcut == "A":
        return PaddedShortcut(channels, planes, stride)
    kernel = 3 if design.shortcut == "3x3" and stride > 1 else 1
    projection = layers.Conv2d(channels, planes, kernel_size=kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(projection, layers.BatchNorm2d(planes))


def _stem_convolution(design: Design, in_channels: int, layers: ModuleType) -> nn.Module:
    """(N, in_channels, S, S) → (N, width, S, S) for 32 pixels; for 224, S/2, and 2·width planes if the stem is deep."""
    width = design.widths[0]
    if design.stem == "32px":
        return layers.Conv2d(in_channels, width, kernel_size=3, padding=1, bias=False)
    if design.stem != "224px_deep":
        return layers.Conv2d(in_channels, width, kernel_size=7, stride=2, padding=3, bias=False)
    return nn.Sequential(
        layers.Conv2d(in_channels, width, kernel_size=3, stride=2, padding=1, bias=False),
        layers.BatchNorm2d(width),
        layers.ReLU(inplace=True),
        layers.Conv2d(width, width, kernel_size=3, padding=1, bias=False),
        layers.BatchNorm2d(width),
        layers.ReLU(inplace=True),
        layers.Conv2d(width, 2 * width, kernel_size=3, padding=1, bias=False),
    )


class ResNet(nn.Module):
    """Stem → stages of blocks → mean of every plane → one fully connected layer.

    Initial convolution weights are normal with variance 2/(k·k·output planes) (He et al., "Delving deep into
    rectifiers", 2015, section 2.2), batch norms start as the identity, the last layer as torch's Linear does.

    Shapes: (N, in_channels, S, S) → logits (N, num_classes), S = `input_size` or any multiple of the total stride.
    """

    def __init__(self, design: Design, num_classes: int, in_channels: int = 3, layers: ModuleType = repronet.layers):
        super().__init__()
        self.design = design
        self.input_size = design.input_size
        channels = design.widths[0] * (2 if design.stem == "224px_deep" else 1)
        self.conv1 = _stem_convolution(design, in_channels, layers)
        self.bn1 = layers.BatchNorm2d(channels)
        self.relu = layers.ReLU(inplace=True)
        self.maxpool = nn.Identity()
        if design.stem == "224px":
            self.maxpool = layers.MaxPool2d(kernel_size=3, stride=2, padding=1)
        elif design.stem != "32px":
            self.maxpool = layers.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
        block = Bottleneck if design.bottleneck else BasicBlock
        for stage, (depth, width) in enumerate(zip(design.depths, design.widths, strict=True)):
            blocks = []
            for stride in [1 if stage == 0 else 2] + [1] * (depth - 1):
                blocks.append(block(design, channels, width, stride, layers))
                channels = width * design.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.avgpool = layers.AdaptiveAvgPool2d(1)
        self.dropout = layers.Dropout(design.dropout) if design.dropout else nn.Identity()
        self.fc = layers.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def stages(self) -> list[nn.Module]:
        """layer1, layer2, …"""
        return [self.get_submodule(f"layer{stage + 1}") for stage in range(len(self.design.depths))]

    def forward(self, images: Tensor) -> Tensor:
        x = self.conv1(images)  # (N, C, 224, 224) → (N, 64, 112, 112); (N, 16, 32, 32) for CIFAR
        x = norm_relu(self.bn1, self.relu, x)
        x = self.maxpool(x)  # → (N, 64, 56, 56)
        for stage in self.stages:
            x = stage(x)  # → (N, 4·64, 56, 56), (N, 4·128, 28, 28), (N, 4·256, 14, 14), (N, 4·512, 7, 7)
        x = self.avgpool(x).flatten(1)  # → (N, 4·512)
        return self.fc(self.dropout(x))  # → (N, classes)


def network(name: str, design: Design) -> Build[ResNet]:
    """The network of that design; by default it has ImageNet's number of classes or, for 32 pixels, CIFAR-10's."""
    return variant(name, partial(ResNet, design), num_classes=10 if design.input_size == 32 else 1000)
