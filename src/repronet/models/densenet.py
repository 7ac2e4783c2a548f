"""Densely connected networks.

G. Huang, Z. Liu, L. van der Maaten, K. Weinberger, "Densely Connected Convolutional Networks", CVPR 2017
(arXiv:1608.06993): table 1 for ImageNet, section 4.2 and table 2 for CIFAR. Parameters have torchvision's names.

============================ ==================================================================================
names                        what they are
============================ ==================================================================================
densenet121 … densenet201    table 1, growth 32, with bottlenecks and compression
densenet161                  table 3, growth 48
densenet40_12, …100_12       CIFAR, L layers and growth k, without bottlenecks or compression
densenet_bc_100_12, …        CIFAR, with both
============================ ==================================================================================
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from types import ModuleType

import torch
from torch import Tensor, nn

import repronet.layers
from repronet.layers.norm_relu import norm_relu
from repronet.models.fixed_size import LimitedSize
from repronet.models.variant import Build, variant


@dataclass(frozen=True)
class Design:
    """The settings in which dense networks differ."""

    depths: tuple[int, ...]  #: dense layers in each block
    growth: int  #: k, the planes that each layer adds
    stem: int  #: output planes of the stem
    bottleneck: bool = True  #: whether a 1×1 convolution to 4k planes precedes each 3×3 (the B of BC)
    compression: float = 0.5  #: θ, the fraction of planes that a transition outputs (1/2 is the C of BC)
    input_size: int = 224  #: 224, or 32 for a stem of one 3×3 convolution


class DenseLayer(nn.Module):
    """BN → ReLU → 1×1 to 4k → BN → ReLU → 3×3 to k, or BN → ReLU → 3×3; dropout follows each convolution.

    Shapes: (N, C, H, W) → (N, k, H, W).
    """

    def __init__(self, channels: int, design: Design, layers: ModuleType):
        super().__init__()
        self.norm1 = layers.BatchNorm2d(channels)
        self.relu1 = layers.ReLU(inplace=True)
        if design.bottleneck:
            self.conv1 = layers.Conv2d(channels, 4 * design.growth, kernel_size=1, bias=False)
            self.norm2 = layers.BatchNorm2d(4 * design.growth)
            self.relu2 = layers.ReLU(inplace=True)
            self.conv2 = layers.Conv2d(4 * design.growth, design.growth, kernel_size=3, padding=1, bias=False)
        else:
            self.conv1 = layers.Conv2d(channels, design.growth, kernel_size=3, padding=1, bias=False)
        self.bottleneck = design.bottleneck
        self.dropout = layers.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        y = norm_relu(self.norm1, self.relu1, x)  # (N, C, H, W)
        y = self.dropout(self.conv1(y))  # → (N, 4k, H, W), or (N, k, H, W)
        if self.bottleneck:
            y = norm_relu(self.norm2, self.relu2, y)
            y = self.dropout(self.conv2(y))  # → (N, k, H, W)
        return y


class DenseBlock(nn.Module):
    """Dense layers, each of which takes the block's input and the outputs of all layers before it.

    Shapes: (N, C, H, W) → (N, C + depth·k, H, W).
    """

    def __init__(self, depth: int, channels: int, design: Design, layers: ModuleType):
        super().__init__()
        for index in range(depth):
            layer = DenseLayer(channels + index * design.growth, design, layers)
            self.add_module(f"denselayer{index + 1}", layer)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = torch.cat((x, layer(x)), dim=1)  # (N, C, H, W) → (N, C + k, H, W)
        return x


class DenseNet(LimitedSize):
    """Stem → dense blocks with transitions between them → BN → ReLU → mean of every plane → one fully connected layer.

    Initial convolution weights are normal with variance 2/(k·k·output planes), as in the authors' release; the last
    layer's bias starts at 0.
    Dropout follows every convolution but the first, also in transitions, with probability 0 until it is set. The paper
    uses 0.2 without data augmentation (section 4.2; models/densenet.lua of liuzhuang13/DenseNet).

    Shapes: (N, in_channels, S, S) → logits (N, num_classes), S = 224 or 32.
    """

    def __init__(self, design: Design, num_classes: int, in_channels: int = 3, layers: ModuleType = repronet.layers):
        super().__init__()
        self.input_size = design.input_size
        self.sizes = (4 if design.input_size == 32 else 29), None
        channels = design.stem
        if design.input_size == 32:
            stem = {"conv0": layers.Conv2d(in_channels, channels, kernel_size=3, padding=1, bias=False)}
        else:
            stem = {
                "conv0": layers.Conv2d(in_channels, channels, kernel_size=7, stride=2, padding=3, bias=False),
                "norm0": layers.BatchNorm2d(channels),
                "relu0": layers.ReLU(inplace=True),
                "pool0": layers.MaxPool2d(kernel_size=3, stride=2, padding=1),
            }
        self.features = nn.Sequential(OrderedDict(stem))
        for index, depth in enumerate(design.depths, start=1):
            self.features.add_module(f"denseblock{index}", DenseBlock(depth, channels, design, layers))
            channels += depth * design.growth
            if index < len(design.depths):
                out = int(channels * design.compression)
                transition = OrderedDict(
                    norm=layers.BatchNorm2d(channels),
                    relu=layers.ReLU(inplace=True),
                    conv=layers.Conv2d(channels, out, kernel_size=1, bias=False),
                    dropout=layers.Dropout(0.0),
                    pool=layers.AvgPool2d(kernel_size=2, stride=2),
                )
                self.features.add_module(f"transition{index}", nn.Sequential(transition))  # → (N, out, H/2, W/2)
                channels = out
        self.features.add_module("norm5", layers.BatchNorm2d(channels))
        self.relu = layers.ReLU(inplace=True)
        self.avgpool = layers.AdaptiveAvgPool2d(1)
        self.classifier = layers.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        x = self.features(images)  # (N, C, 224, 224) → (N, 64, 56, 56) → … → (N, 1024, 7, 7)
        x = self.avgpool(self.relu(x)).flatten(1)  # → (N, 1024)
        return self.classifier(x)  # → (N, classes)


def cifar_design(depth: int, growth: int, *, bc: bool) -> Design:
    """Section 3: three blocks of (L − 4)/3 layers, or half as many layers, of two convolutions each, with bottlenecks.

    The stem has 16 planes, or 2k with bottlenecks and compression.
    """
    each = (depth - 4) // (6 if bc else 3)
    stem = 2 * growth if bc else 16
    return Design((each, each, each), growth, stem, bottleneck=bc, compression=0.5 if bc else 1.0, input_size=32)


def _network(name: str, design: Design) -> Build[DenseNet]:
    return variant(name, partial(DenseNet, design), num_classes=10 if design.input_size == 32 else 1000)


densenet121 = _network("densenet121", Design((6, 12, 24, 16), 32, 64))
densenet169 = _network("densenet169", Design((6, 12, 32, 32), 32, 64))
densenet201 = _network("densenet201", Design((6, 12, 48, 32), 32, 64))
densenet161 = _network("densenet161", Design((6, 12, 36, 24), 48, 96))
densenet40_12, densenet100_12 = (
    _network(f"densenet{depth}_12", cifar_design(depth, 12, bc=False)) for depth in (40, 100)
)
densenet_bc_100_12, densenet_bc_250_24, densenet_bc_190_40 = (
    _network(f"densenet_bc_{depth}_{growth}", cifar_design(depth, growth, bc=True))
    for depth, growth in ((100, 12), (250, 24), (190, 40))
)
