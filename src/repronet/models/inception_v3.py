"""Inception-v3.

C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna, "Rethinking the Inception Architecture for Computer Vision",
CVPR 2016 (arXiv:1512.00567): table 1 and figures 5 to 8, 10; the branch widths, which table 1 does not give, are those
of the authors' release. Parameters have torchvision's names.
"""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor, nn

import repronet.layers
from repronet.models.fixed_size import LimitedSize

Sides = int | tuple[int, int]


class InceptionV3Output(NamedTuple):
    """The scores of a network in training, each (N, classes)."""

    logits: Tensor
    aux_logits: Tensor


class Convolution(nn.Module):
    """Convolution → batch norm → ReLU, no bias. Shapes: (N, C, H, W) → (N, out, H', W')."""

    def __init__(
        self, channels: int, out: int, layers: ModuleType, kernel_size: Sides, stride: int = 1, padding: Sides = 0
    ):
        super().__init__()
        self.conv = layers.Conv2d(channels, out, kernel_size, stride=stride, padding=padding, bias=False)
        self.bn = layers.BatchNorm2d(out, eps=0.001)
        self.relu = layers.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(x)))  # (N, C, H, W) → (N, out, H', W')


class InceptionA(nn.Module):
    """Figure 5: 1×1; 5×5; two 3×3 instead of 5×5; mean → 1×1. Shapes: (N, C, 35, 35) → (N, 224 + pool, 35, 35)."""

    def __init__(self, channels: int, pool: int, layers: ModuleType):
        super().__init__()
        conv = partial(Convolution, layers=layers)
        self.branch1x1 = conv(channels, 64, kernel_size=1)
        self.branch5x5_1 = conv(channels, 48, kernel_size=1)
        self.branch5x5_2 = conv(48, 64, kernel_size=5, padding=2)
        self.branch3x3dbl_1 = conv(channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = conv(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = conv(96, 96, kernel_size=3, padding=1)
        self.average = layers.AvgPool2d(kernel_size=3, stride=1, padding=1)
        self.branch_pool = conv(channels, pool, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        five = self.branch5x5_2(self.branch5x5_1(x))  # (N, C, 35, 35) → (N, 64, 35, 35)
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))  # → (N, 96, 35, 35)
        pooled = self.branch_pool(self.average(x))  # → (N, pool, 35, 35)
        return torch.cat((self.branch1x1(x), five, double, pooled), dim=1)  # → (N, 64 + 64 + 96 + pool, 35, 35)


class ReductionB(nn.Module):
    """Figure 10: 3×3/2; 3×3 → 3×3/2; max-pool. Shapes: (N, C, 35, 35) → (N, C + 480, 17, 17)."""

    def __init__(self, channels: int, layers: ModuleType):
        super().__init__()
        conv = partial(Convolution, layers=layers)
        self.branch3x3 = conv(channels, 384, kernel_size=3, stride=2)
        self.branch3x3dbl_1 = conv(channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = conv(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = conv(96, 96, kernel_size=3, stride=2)
        self.pool = layers.MaxPool2d(kernel_size=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))  # (N, C, 35, 35) → (N, 96, 17, 17)
        return torch.cat((self.branch3x3(x), double, self.pool(x)), dim=1)  # → (N, 384 + 96 + C, 17, 17)


class InceptionC(nn.Module):
    """Figure 6 with n = 7: 1×1; 1×7 → 7×1; 7×1 → 1×7, twice; mean → 1×1. Shapes: (N, 768, 17, 17) → the same."""

    def __init__(self, channels: int, width: int, layers: ModuleType):
        super().__init__()
        conv = partial(Convolution, layers=layers)
        row = partial(conv, kernel_size=(1, 7), padding=(0, 3))
        column = partial(conv, kernel_size=(7, 1), padding=(3, 0))
        self.branch1x1 = conv(channels, 192, kernel_size=1)
        self.branch7x7_1 = conv(channels, width, kernel_size=1)
        self.branch7x7_2 = row(width, width)
        self.branch7x7_3 = column(width, 192)
        self.branch7x7dbl_1 = conv(channels, width, kernel_size=1)
        self.branch7x7dbl_2 = column(width, width)
        self.branch7x7dbl_3 = row(width, width)
        self.branch7x7dbl_4 = column(width, width)
        self.branch7x7dbl_5 = row(width, 192)
        self.average = layers.AvgPool2d(kernel_size=3, stride=1, padding=1)
        self.branch_pool = conv(channels, 192, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))  # (N, C, 17, 17) → (N, 192, 17, 17)
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))  # → (N, width, 17, 17)
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))  # → (N, 192, 17, 17)
        pooled = self.branch_pool(self.average(x))  # → (N, 192, 17, 17)
        return torch.cat((self.branch1x1(x), seven, double, pooled), dim=1)  # → (N, 768, 17, 17)


class ReductionD(nn.Module):
    """3×3/2; 1×7 → 7×1 → 3×3/2; max-pool. Shapes: (N, C, 17, 17) → (N, C + 512, 8, 8)."""

    def __init__(self, channels: int, layers: ModuleType):
        super().__init__()
        conv = partial(Convolution, layers=layers)
        self.branch3x3_1 = conv(channels, 192, kernel_size=1)
        self.branch3x3_2 = conv(192, 320, kernel_size=3, stride=2)
        self.branch7x7x3_1 = conv(channels, 192, kernel_size=1)
        self.branch7x7x3_2 = conv(192, 192, kernel_size=(1, 7), padding=(0, 3))
        self.branch7x7x3_3 = conv(192, 192, kernel_size=(7, 1), padding=(3, 0))
        self.branch7x7x3_4 = conv(192, 192, kernel_size=3, stride=2)
        self.pool = layers.MaxPool2d(kernel_size=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        three = self.branch3x3_2(self.branch3x3_1(x))  # (N, C, 17, 17) → (N, 320, 8, 8)
        seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))  # → (N, 192, 17, 17)
        seven = self.branch7x7x3_4(seven)  # → (N, 192, 8, 8)
        return torch.cat((three, seven, self.pool(x)), dim=1)  # → (N, 320 + 192 + C, 8, 8)


class InceptionE(nn.Module):
    """Figure 7: 1×3 and 3×1 in parallel, after a 1×1 and after a 3×3. Shapes: (N, C, 8, 8) → (N, 2048, 8, 8)."""

    def __init__(self, channels: int, layers: ModuleType):
        super().__init__()
        conv = partial(Convolution, layers=layers)
        row = partial(conv, kernel_size=(1, 3), padding=(0, 1))
        column = partial(conv, kernel_size=(3, 1), padding=(1, 0))
        self.branch1x1 = conv(channels, 320, kernel_size=1)
        self.branch3x3_1 = conv(channels, 384, kernel_size=1)
        self.branch3x3_2a = row(384, 384)
        self.branch3x3_2b = column(384, 384)
        self.branch3x3dbl_1 = conv(channels, 448, kernel_size=1)
        self.branch3x3dbl_2 = conv(448, 384, kernel_size=3, padding=1)
        self.branch3x3dbl_3a = row(384, 384)
        self.branch3x3dbl_3b = column(384, 384)
        self.average = layers.AvgPool2d(kernel_size=3, stride=1, padding=1)
        self.branch_pool = conv(channels, 192, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        three = self.branch3x3_1(x)  # (N, C, 8, 8) → (N, 384, 8, 8)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))  # → (N, 384, 8, 8)
        branches = (
            self.branch1x1(x),  # (N, 320, 8, 8)
            self.branch3x3_2a(three),  # (N, 384, 8, 8), likewise the next three
            self.branch3x3_2b(three),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(self.average(x)),  # (N, 192, 8, 8)
        )
        return torch.cat(branches, dim=1)  # → (N, 2048, 8, 8)


class AuxiliaryHead(nn.Module):
    """5×5/3 mean → 1×1 → 5×5 → mean → classes (figure 8). Shapes: (N, 768, 17, 17) → (N, classes)."""

    def __init__(self, channels: int, num_classes: int, layers: ModuleType):
        super().__init__()
        self.pool = layers.AvgPool2d(kernel_size=5, stride=3)
        self.conv0 = Convolution(channels, 128, layers, kernel_size=1)
        self.conv1 = Convolution(128, 768, layers, kernel_size=5)
        self.average = layers.AdaptiveAvgPool2d(1)
        self.fc = layers.Linear(768, num_classes)
        nn.init.trunc_normal_(self.conv0.conv.weight, std=0.1)
        nn.init.trunc_normal_(self.conv1.conv.weight, std=0.01)
        nn.init.trunc_normal_(self.fc.weight, std=0.001)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(self.conv0(self.pool(x)))  # (N, 768, 17, 17) → (N, 128, 5, 5) → (N, 768, 1, 1)
        return self.fc(self.average(x).flatten(1))  # → (N, classes)


class InceptionV3(LimitedSize):
    """Stem → three A → reduction → four C → reduction → two E → mean → dropout → classes; a head after the last C.

    Initial weights are normal with σ = 0.1, but 0.01 and 0.001 in the last two layers of the auxiliary head, truncated
    at ±2, as in torchvision, which took them from the authors' release.

    Shapes: (N, in_channels, 299, 299) → logits (N, num_classes); in training with the head, an `InceptionV3Output`.
    """

    input_size = 299
    sizes = 75, None
    architecture = "inception_v3"
    aux_weight = 0.4  # weight of the auxiliary loss in the total, from the authors' release; not in the paper

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        layers: ModuleType = repronet.layers,
        *,
        aux_logits: bool = True,
    ):
        super().__init__()
        if aux_logits:
            self.sizes_in_training = 299, None
        conv = partial(Convolution, layers=layers)
        self.Conv2d_1a_3x3 = conv(in_channels, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = conv(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = conv(32, 64, kernel_size=3, padding=1)
        self.maxpool1 = layers.MaxPool2d(kernel_size=3, stride=2)
        self.Conv2d_3b_1x1 = conv(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = conv(80, 192, kernel_size=3)
        self.maxpool2 = layers.MaxPool2d(kernel_size=3, stride=2)
        self.Mixed_5b = InceptionA(192, 32, layers)
        self.Mixed_5c = InceptionA(256, 64, layers)
        self.Mixed_5d = InceptionA(288, 64, layers)
        self.Mixed_6a = ReductionB(288, layers)
        self.Mixed_6b = InceptionC(768, 128, layers)
        self.Mixed_6c = InceptionC(768, 160, layers)
        self.Mixed_6d = InceptionC(768, 160, layers)
        self.Mixed_6e = InceptionC(768, 192, layers)
        self.Mixed_7a = ReductionD(768, layers)
        self.Mixed_7b = InceptionE(1280, layers)
        self.Mixed_7c = InceptionE(2048, layers)
        self.avgpool = layers.AdaptiveAvgPool2d(1)
        self.dropout = layers.Dropout(0.5)
        self.fc = layers.Linear(2048, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.1)
        self.AuxLogits = AuxiliaryHead(768, num_classes, layers) if aux_logits else None

    def forward(self, images: Tensor) -> Tensor | InceptionV3Output:
        x = self.Conv2d_1a_3x3(images)  # (N, C, 299, 299) → (N, 32, 149, 149)
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(x))  # → (N, 32, 147, 147) → (N, 64, 147, 147)
        x = self.Conv2d_3b_1x1(self.maxpool1(x))  # → (N, 64, 73, 73) → (N, 80, 73, 73)
        x = self.maxpool2(self.Conv2d_4a_3x3(x))  # → (N, 192, 71, 71) → (N, 192, 35, 35)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))  # → (N, 256, 35, 35) → (N, 288, 35, 35)
        x = self.Mixed_6a(x)  # → (N, 768, 17, 17)
        middle = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))  # → (N, 768, 17, 17)
        x = self.Mixed_7a(middle)  # → (N, 1280, 8, 8)
        x = self.Mixed_7c(self.Mixed_7b(x))  # → (N, 2048, 8, 8)
        logits = self.fc(self.dropout(self.avgpool(x).flatten(1)))  # → (N, 2048) → (N, classes)
        if not self.training or self.AuxLogits is None:
            return logits
        return InceptionV3Output(logits, self.AuxLogits(middle))


def inception_v3(
    num_classes: int = 1000, in_channels: int = 3, layers: ModuleType = repronet.layers, *, aux_logits: bool = True
) -> InceptionV3:
    """Inception-v3 as torchvision builds it: 23,834,568 parameters, 27,161,264 with the auxiliary head."""
    return InceptionV3(num_classes, in_channels, layers, aux_logits=aux_logits)
