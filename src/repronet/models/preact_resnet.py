"""Pre-activation residual networks.

K. He, X. Zhang, S. Ren, J. Sun, "Identity Mappings in Deep Residual Networks", ECCV 2016 (arXiv:1603.05027): figure
4(e), table 3 and the appendix. Batch norm and ReLU come before each convolution, so that neither is on the path of the
identity shortcuts around the blocks.
"""

from __future__ import annotations

from functools import partial
from types import ModuleType

from torch import Tensor, nn

import repronet.layers
from repronet.layers.norm_relu import norm_relu
from repronet.models.residual import SqueezeExcitation
from repronet.models.variant import Build, variant

_WIDTHS = (16, 32, 64)


class PreActBlock(nn.Module):
    """(BN → ReLU → convolution) three times, with 1×1, 3×3 and 1×1, or twice with 3×3 (→ SE), plus the shortcut.

    The first convolution has the stride, as in the authors' release, KaimingHe/resnet-1k-layers; the paper does not say
    which. Where the shape changes, the shortcut is a 1×1 convolution of the block's first activation (appendix).
    Squeeze and excitation, r = `reduction`, is on the branch, before the sum (Hu et al. 2018, section 3.3).
    Shapes: (N, C, H, W) → (N, planes, H/s, W/s), where a bottleneck's inner width is planes/4.
    """

    def __init__(
        self, channels: int, planes: int, stride: int, bottleneck: bool, reduction: int | None, layers: ModuleType
    ):
        super().__init__()
        width = planes // 4 if bottleneck else planes
        kernels = (1, 3, 1) if bottleneck else (3, 3)
        strides = (stride, *([1] * (len(kernels) - 1)))
        inner = [width] * (len(kernels) - 1)
        sizes = zip([channels, *inner], [*inner, planes], kernels, strides, strict=True)
        self.relu = layers.ReLU(inplace=True)
        self.norms, self.convolutions = nn.ModuleList(), nn.ModuleList()
        for before, after, kernel, step in sizes:
            self.norms.append(layers.BatchNorm2d(before))
            self.convolutions.append(
                layers.Conv2d(before, after, kernel_size=kernel, stride=step, padding=kernel // 2, bias=False)
            )
        self.se = SqueezeExcitation(planes, reduction, layers) if reduction else nn.Identity()
        changes = channels != planes or stride != 1
        self.projection = layers.Conv2d(channels, planes, kernel_size=1, stride=stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        y = norm_relu(self.norms[0], self.relu, x)  # (N, C, H, W)
        around = x if self.projection is None else self.projection(y)  # → (N, planes, H/s, W/s)
        y = self.convolutions[0](y)  # → (N, width, H/s, W/s)
        for norm, convolution in list(zip(self.norms, self.convolutions, strict=True))[1:]:
            y = convolution(norm_relu(norm, self.relu, y))  # → (N, width, H/s, W/s), (N, planes, H/s, W/s)
        return self.se(y) + around


class PreActResNet(nn.Module):
    """3×3 convolution → three stages of blocks → BN → ReLU → mean of every plane → one fully connected layer.

    Initial convolution weights are as in He et al. 2015, normal with variance 2/(k·k·output planes).
    Shapes: (N, in_channels, 32, 32) → logits (N, num_classes).
    """

    input_size = 32

    def __init__(
        self,
        blocks: int,
        bottleneck: bool,
        num_classes: int = 10,
        in_channels: int = 3,
        layers: ModuleType = repronet.layers,
        *,
        reduction: int | None = None,
    ):
        super().__init__()
        expansion = 4 if bottleneck else 1
        self.stem = layers.Conv2d(in_channels, _WIDTHS[0], kernel_size=3, padding=1, bias=False)
        channels, stages = _WIDTHS[0], []
        for width in _WIDTHS:
            planes, strides = width * expansion, [1 if width == _WIDTHS[0] else 2] + [1] * (blocks - 1)
            inputs = [channels] + [planes] * (blocks - 1)
            sizes = zip(inputs, strides, strict=True)
            blocks_here = (PreActBlock(c, planes, s, bottleneck, reduction, layers) for c, s in sizes)
            stages.append(nn.Sequential(*blocks_here))
            channels = planes
        self.stages = nn.Sequential(*stages)
        self.norm = layers.BatchNorm2d(channels)
        self.relu = layers.ReLU(inplace=True)
        self.avgpool = layers.AdaptiveAvgPool2d(1)
        self.fc = layers.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images)  # (N, C, 32, 32) → (N, 16, 32, 32)
        x = self.stages(x)  # → (N, 4·16, 32, 32) → (N, 4·32, 16, 16) → (N, 4·64, 8, 8)
        x = norm_relu(self.norm, self.relu, x)
        return self.fc(self.avgpool(x).flatten(1))  # → (N, 4·64) → (N, classes)


def network(name: str, depth: int, reduction: int | None = None) -> Build[PreActResNet]:
    """The network with ``depth`` layers, with squeeze and excitation if ``reduction`` is given.

    With 110 layers it has blocks of two 3×3 convolutions (table 2), with more it has bottlenecks (tables 3 and 4).
    """
    bottleneck = depth > 110
    blocks = (depth - 2) // (9 if bottleneck else 6)
    return variant(name, partial(PreActResNet, blocks, bottleneck, reduction=reduction), num_classes=10)


preact_resnet110, preact_resnet164, preact_resnet1001 = (
    network(f"preact_resnet{depth}", depth) for depth in (110, 164, 1001)
)
