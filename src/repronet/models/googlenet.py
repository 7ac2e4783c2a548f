"""GoogLeNet, the first Inception network.

C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015 (arXiv:1409.4842): table 1, figures 2 and 3.

============= ============ ============== ================================================================
name           parameters  with its heads  what it is
============= ============ ============== ================================================================
googlenet       6,998,552      13,378,280  the paper's: 5×5 branches, biases, local response normalisation
googlenet_bn    6,624,904      13,004,888  batch norm, 3×3 in the third branch, as torchvision builds it
============= ============ ============== ================================================================
"""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor, nn

import repronet.layers
from repronet.models.alexnet import response_norm
from repronet.models.fixed_size import LimitedSize


class GoogLeNetOutput(NamedTuple):
    """The scores of a network in training, each (N, classes): its own and those of the two auxiliary heads."""

    logits: Tensor
    aux_logits2: Tensor  # after 4d
    aux_logits1: Tensor  # after 4a


class Convolution(nn.Module):
    """A convolution with bias or followed by batch norm, then ReLU. Shapes: (N, C, H, W) → (N, out, H', W')."""

    def __init__(self, channels: int, out: int, kernel: int, layers: ModuleType, batch_norm: bool, stride: int = 1):
        super().__init__()
        self.conv = layers.Conv2d(channels, out, kernel, stride, padding=kernel // 2, bias=not batch_norm)
        self.bn = layers.BatchNorm2d(out, eps=0.001) if batch_norm else nn.Identity()
        self.relu = layers.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(x)))  # (N, C, H, W) → (N, out, H/stride, W/stride)


class InceptionWidths(NamedTuple):
    """A row of table 1: planes of each branch; None for the convolutions that the naive module does not have."""

    one: int
    three_reduce: int | None
    three: int
    five_reduce: int | None
    five: int
    pool_projection: int | None


class InceptionModule(nn.Module):
    """Four branches side by side: 1×1; 1×1 → 3×3; 1×1 → 5×5; 3×3 max-pool → 1×1 (figure 2b).

    Without the reductions it is the naive module of figure 2a, which outputs all planes of the pool.

    Args:
        channels: C of the input.
        widths: planes of the branches.
        third_kernel: side of the third branch's filters, 5 in the paper.
        batch_norm: whether batch norm follows each convolution.

    Shapes: (N, C, H, W) → (N, sum of the branches, H, W).
    """

    def __init__(
        self,
        channels: int,
        widths: InceptionWidths,
        layers: ModuleType = repronet.layers,
        third_kernel: int = 5,
        batch_norm: bool = False,
    ):
        super().__init__()
        convolution = partial(Convolution, layers=layers, batch_norm=batch_norm)

        def branch(reduce: int | None, out: int, kernel: int) -> nn.Module:
            if reduce is None:
                return convolution(channels, out, kernel)
            return nn.Sequential(convolution(channels, reduce, 1), convolution(reduce, out, kernel))

        self.branch1 = convolution(channels, widths.one, 1)
        self.branch2 = branch(widths.three_reduce, widths.three, 3)
        self.branch3 = branch(widths.five_reduce, widths.five, third_kernel)
        pool = layers.MaxPool2d(kernel_size=3, stride=1, padding=1, ceil_mode=batch_norm)
        projection = (
            nn.Identity() if widths.pool_projection is None else convolution(channels, widths.pool_projection, 1)
        )
        self.branch4 = nn.Sequential(pool, projection)

    def forward(self, x: Tensor) -> Tensor:
        branches = (self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x))  # each (N, ·, H, W)
        return torch.cat(branches, dim=1)


class AuxiliaryHead(nn.Module):
    """5×5/3 mean → 1×1 to 128 → 1024 → dropout 0.7 → classes (section 5). Shapes: (N, C, 14, 14) → (N, classes)."""

    def __init__(self, channels: int, num_classes: int, layers: ModuleType, batch_norm: bool):
        super().__init__()
        # torchvision averages 4 × 4 adaptive regions instead, which overlap differently.
        self.pool = layers.AdaptiveAvgPool2d(4) if batch_norm else layers.AvgPool2d(kernel_size=5, stride=3)
        self.conv = Convolution(channels, 128, 1, layers, batch_norm)
        self.fc1 = layers.Linear(2048, 1024)
        self.relu = layers.ReLU(inplace=True)
        self.dropout = layers.Dropout(0.7)
        self.fc2 = layers.Linear(1024, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.pool(x))  # (N, C, 14, 14) → (N, C, 4, 4) → (N, 128, 4, 4)
        x = self.dropout(self.relu(self.fc1(x.flatten(1))))  # → (N, 2048) → (N, 1024)
        return self.fc2(x)  # → (N, classes)


# Table 1.
_MODULES = {
    "3a": (192, InceptionWidths(64, 96, 128, 16, 32, 32)),
    "3b": (256, InceptionWidths(128, 128, 192, 32, 96, 64)),
    "4a": (480, InceptionWidths(192, 96, 208, 16, 48, 64)),
    "4b": (512, InceptionWidths(160, 112, 224, 24, 64, 64)),
    "4c": (512, InceptionWidths(128, 128, 256, 24, 64, 64)),
    "4d": (512, InceptionWidths(112, 144, 288, 32, 64, 64)),
    "4e": (528, InceptionWidths(256, 160, 320, 32, 128, 128)),
    "5a": (832, InceptionWidths(256, 160, 320, 32, 128, 128)),
    "5b": (832, InceptionWidths(384, 192, 384, 48, 128, 128)),
}


class GoogLeNet(LimitedSize):
    """Stem → nine inception modules with pools between them → mean → dropout → classes; heads after 4a and 4d.

    Output sizes of pools are rounded up, as in the authors' release. Initial weights are normal with σ = 0.01,
    truncated at two σ, which is torchvision's choice; the paper does not say how they were drawn.

    Args:
        batch_norm: whether to build torchvision's variant.
        aux_logits: whether to build the auxiliary heads.

    Shapes: (N, in_channels, 224, 224) → logits (N, num_classes); in training with heads, a `GoogLeNetOutput`.
    """

    input_size = 224
    aux_weight = 0.3  # weight of each auxiliary loss in the total (section 5)

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        layers: ModuleType = repronet.layers,
        *,
        batch_norm: bool = False,
        aux_logits: bool = True,
    ):
        super().__init__()
        self.architecture = "googlenet_bn" if batch_norm else "googlenet"
        self.sizes = (15 if batch_norm else 31), None
        if aux_logits and not batch_norm:
            self.sizes_in_training = 223, 270  # for which the auxiliary heads pool to 4×4
        convolution = partial(Convolution, layers=layers, batch_norm=batch_norm)
        pool = partial(layers.MaxPool2d, stride=2, ceil_mode=True)
        self.conv1 = convolution(in_channels, 64, 7, stride=2)
        self.maxpool1 = pool(3)
        self.norm1 = nn.Identity() if batch_norm else response_norm(layers)
        self.conv2 = convolution(64, 64, 1)
        self.conv3 = convolution(64, 192, 3)
        self.norm2 = nn.Identity() if batch_norm else response_norm(layers)
        self.maxpool2 = pool(3)
        self.maxpool3 = pool(3)
        self.maxpool4 = pool(2 if batch_norm else 3)
        third = 3 if batch_norm else 5
        for name, (channels, widths) in _MODULES.items():
            self.add_module(f"inception{name}", InceptionModule(channels, widths, layers, third, batch_norm))
        self.aux1 = AuxiliaryHead(512, num_classes, layers, batch_norm) if aux_logits else None
        self.aux2 = AuxiliaryHead(528, num_classes, layers, batch_norm) if aux_logits else None
        self.avgpool = layers.AdaptiveAvgPool2d(1)
        self.dropout = layers.Dropout(0.2 if batch_norm else 0.4)
        self.fc = layers.Linear(1024, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.01, a=-0.02, b=0.02)

    def _through(self, x: Tensor, names: str) -> Tensor:
        for name in names.split():
            x = self.get_submodule(f"inception{name}")(x)
        return x

    def forward(self, images: Tensor) -> Tensor | GoogLeNetOutput:
        x = self.norm1(self.maxpool1(self.conv1(images)))  # (N, C, 224, 224) → (N, 64, 112, 112) → (N, 64, 56, 56)
        x = self.norm2(self.conv3(self.conv2(x)))  # → (N, 64, 56, 56) → (N, 192, 56, 56)
        x = self._through(self.maxpool2(x), "3a 3b")  # → (N, 192, 28, 28) → (N, 480, 28, 28)
        after_4a = self._through(self.maxpool3(x), "4a")  # → (N, 480, 14, 14) → (N, 512, 14, 14)
        after_4d = self._through(after_4a, "4b 4c 4d")  # → (N, 528, 14, 14)
        x = self._through(after_4d, "4e")  # → (N, 832, 14, 14)
        x = self._through(self.maxpool4(x), "5a 5b")  # → (N, 832, 7, 7) → (N, 1024, 7, 7)
        logits = self.fc(self.dropout(self.avgpool(x).flatten(1)))  # → (N, 1024) → (N, classes)
        if not self.training or self.aux1 is None or self.aux2 is None:
            return logits
        return GoogLeNetOutput(logits, self.aux2(after_4d), self.aux1(after_4a))


def googlenet(
    num_classes: int = 1000, in_channels: int = 3, layers: ModuleType = repronet.layers, *, aux_logits: bool = True
) -> GoogLeNet:
    """GoogLeNet as in the paper: 6,998,552 parameters, 13,378,280 with both auxiliary heads."""
    return GoogLeNet(num_classes, in_channels, layers, aux_logits=aux_logits)


def googlenet_bn(
    num_classes: int = 1000, in_channels: int = 3, layers: ModuleType = repronet.layers, *, aux_logits: bool = True
) -> GoogLeNet:
    """torchvision's googlenet: 6,624,904 parameters, 13,004,888 with both auxiliary heads."""
    return GoogLeNet(num_classes, in_channels, layers, batch_norm=True, aux_logits=aux_logits)
