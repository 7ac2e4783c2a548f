"""VGG networks.

K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015
(arXiv:1409.1556): table 1, columns A to E. The number in a name counts the layers with weights.

============================ ==================================================================================
names                        what they are
============================ ==================================================================================
vgg11 vgg13 vgg16 vgg19      columns A, B, D, E
vgg11_lrn                    column A-LRN: AlexNet's response normalisation after the first convolution
vgg16_c                      column C: the third convolution of each late stage is 1×1
…_bn                         modern: batch norm after each convolution; torchvision's
…_32px                       modern: five halvings reduce 32 pixels to one; one fully connected layer follows
============================ ==================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType

from torch import Tensor, nn
from torch.nn.functional import conv2d

import repronet.layers
from repronet.models.alexnet import response_norm
from repronet.models.fixed_size import LimitedSize
from repronet.models.variant import Build, variant

_PLANES = (64, 128, 256, 512, 512)


@dataclass(frozen=True)
class Column:
    """A column of table 1."""

    depths: tuple[int, int, int, int, int]  #: convolutions in each of the five stages
    last_1x1: tuple[int, ...] = ()  #: stages (from 0) whose last convolution is 1×1
    normalization: str = "none"  #: "none", "batch" after each convolution, or "local_response" after the first
    input_size: int = 224  #: 224, or 32 for images that five halvings reduce to one pixel


A = Column((1, 1, 2, 2, 2))
B = Column((2, 2, 2, 2, 2))
C = Column((2, 2, 3, 3, 3), last_1x1=(2, 3, 4))
D = Column((2, 2, 3, 3, 3))
E = Column((2, 2, 4, 4, 4))


class VGG(LimitedSize):
    """Five stages of 3×3 convolutions and a 2×2 max-pool, then three fully connected layers; torchvision's names.

    Initial weights are normal, with variance 2/(k·k·output planes) in convolutions and σ = 0.01 in fully connected
    layers; biases are 0. The paper used σ = 0.1 and copied the first layers of a trained column A (section 3.1).

    Shapes: (N, in_channels, 224, 224) → logits (N, num_classes).
    """

    def __init__(
        self, column: Column, num_classes: int = 1000, in_channels: int = 3, layers: ModuleType = repronet.layers
    ):
        super().__init__()
        self.input_size = column.input_size
        self.sizes = (32, 63) if column.input_size == 32 else (32, None)
        self.features = nn.Sequential(*_features(column, in_channels, layers))
        if column.input_size == 32:
            self.avgpool = nn.Identity()
            self.classifier = nn.Sequential(layers.Dropout(0.5), layers.Linear(512, num_classes))
        else:
            self.avgpool = layers.AdaptiveAvgPool2d(7)
            hidden = [
                module
                for inputs in (512 * 7 * 7, 4096)
                for module in (layers.Linear(inputs, 4096), layers.ReLU(inplace=True), layers.Dropout(0.5))
            ]
            self.classifier = nn.Sequential(*hidden, layers.Linear(4096, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # never None here
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        x = self.features(images)  # (N, C, 224, 224) → (N, 64, 112, 112) → … → (N, 512, 7, 7)
        x = self.avgpool(x).flatten(1)  # → (N, 25088)
        return self.classifier(x)  # → (N, 4096) → (N, 4096) → (N, classes)

    def densely(self, images: Tensor) -> Tensor:
        """Mean of the logits over all positions of the network in the image: (N, C, H, W), any size → (N, classes).

        Fully connected layers become convolutions, the first one 7×7 (section 3.2).
        """
        x = self.features(images)  # (N, C, H, W) → (N, 512, H/32, W/32)
        for module in self.classifier:
            if isinstance(module, nn.Linear):
                side = math.isqrt(module.in_features // x.shape[1])
                x = conv2d(x, module.weight.view(module.out_features, -1, side, side), module.bias)
            else:
                x = module(x)
        return x.mean((2, 3))  # (N, classes, H/32 − 6, W/32 − 6) → (N, classes)


def _features(column: Column, in_channels: int, layers: ModuleType) -> Iterator[nn.Module]:
    channels = in_channels
    for stage, (depth, planes) in enumerate(zip(column.depths, _PLANES, strict=True)):
        for position in range(depth):
            is_1x1 = stage in column.last_1x1 and position == depth - 1
            yield layers.Conv2d(channels, planes, kernel_size=1 if is_1x1 else 3, padding=0 if is_1x1 else 1)
            if column.normalization == "batch":
                yield layers.BatchNorm2d(planes)
            yield layers.ReLU(inplace=True)
            if column.normalization == "local_response" and channels == in_channels:
                yield response_norm(layers)
            channels = planes
        yield layers.MaxPool2d(kernel_size=2, stride=2)


def _network(name: str, column: Column) -> Build[VGG]:
    return variant(name, partial(VGG, column), num_classes=10 if column.input_size == 32 else 1000)


_COLUMNS = {11: A, 13: B, 16: D, 19: E}

vgg11, vgg13, vgg16, vgg19 = (_network(f"vgg{depth}", column) for depth, column in _COLUMNS.items())
vgg11_lrn = _network("vgg11_lrn", replace(A, normalization="local_response"))
vgg16_c = _network("vgg16_c", C)
vgg11_bn, vgg13_bn, vgg16_bn, vgg19_bn = (
    _network(f"vgg{depth}_bn", replace(column, normalization="batch")) for depth, column in _COLUMNS.items()
)
vgg11_32px, vgg13_32px, vgg16_32px, vgg19_32px = (
    _network(f"vgg{depth}_32px", replace(column, input_size=32)) for depth, column in _COLUMNS.items()
)
vgg11_bn_32px, vgg13_bn_32px, vgg16_bn_32px, vgg19_bn_32px = (
    _network(f"vgg{depth}_bn_32px", replace(column, normalization="batch", input_size=32))
    for depth, column in _COLUMNS.items()
)
