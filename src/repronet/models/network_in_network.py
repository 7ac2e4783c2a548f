"""Network in Network.

M. Lin, Q. Chen, S. Yan, "Network In Network", ICLR 2014 (arXiv:1312.4400): figure 2 and section 4.2 for CIFAR-10. The
numbers of maps and the sizes of the pools, which the paper does not print, are those of the first author's release
(mavenlin/cuda-convnet, NIN/cifar-10_def). In the Caffe model that he published later, the second pool averages.
"""

from __future__ import annotations

from types import ModuleType

from torch import Tensor, nn

import repronet.layers
from repronet.models.fixed_size import LimitedSize
from repronet.models.variant import variant


class NetworkInNetwork(LimitedSize):
    """Three blocks of a convolution and two 1×1 convolutions, each with ReLU; then the mean of one map per class.

    A 1×1 convolution is a fully connected layer that slides over the maps: the paper's mlpconv. Only convolutions have
    weights. Initial weights are normal with σ = 0.05 and biases 0, as in the release. Max pooling and dropout follow
    the first two blocks (section 4.1).

    Shapes: (N, in_channels, 32, 32) → logits (N, num_classes).
    """

    input_size = 32
    sizes = 4, None

    def __init__(self, num_classes: int = 10, in_channels: int = 3, layers: ModuleType = repronet.layers):
        super().__init__()
        self.block1 = _mlpconv(layers, in_channels, 5, (192, 160, 96))
        self.pool1 = layers.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
        self.block2 = _mlpconv(layers, 96, 5, (192, 192, 192))
        self.pool2 = layers.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
        self.block3 = _mlpconv(layers, 192, 3, (192, 192, num_classes))
        self.dropout = layers.Dropout(0.5)
        self.average = layers.AdaptiveAvgPool2d(1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.05)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # never None here

    def forward(self, images: Tensor) -> Tensor:
        x = self.dropout(self.pool1(self.block1(images)))  # (N, C, 32, 32) → (N, 96, 32, 32) → (N, 96, 16, 16)
        x = self.dropout(self.pool2(self.block2(x)))  # → (N, 192, 16, 16) → (N, 192, 8, 8)
        x = self.block3(x)  # → (N, classes, 8, 8)
        return self.average(x).flatten(1)  # → (N, classes)


def _mlpconv(layers: ModuleType, channels: int, kernel: int, maps: tuple[int, int, int]) -> nn.Sequential:
    """kernel×kernel → ReLU → 1×1 → ReLU → 1×1 → ReLU: (N, channels, H, W) → (N, maps[-1], H, W)."""
    return nn.Sequential(
        layers.Conv2d(channels, maps[0], kernel_size=kernel, padding=kernel // 2),
        layers.ReLU(inplace=True),
        layers.Conv2d(maps[0], maps[1], kernel_size=1),
        layers.ReLU(inplace=True),
        layers.Conv2d(maps[1], maps[2], kernel_size=1),
        layers.ReLU(inplace=True),
    )


nin = variant("nin", NetworkInNetwork, num_classes=10)
