"""ZFNet, which won ILSVRC 2013.

M. Zeiler, R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014 (arXiv:1311.2901): figure 3 and
section 4.1; the wide variant is in the last rows of table 2.

============ ============ ==================================================================================
name          parameters  what it is
============ ============ ==================================================================================
zfnet         62,357,608  AlexNet with a finer first layer, dense connections, 384-384-256 maps at the end
zfnet_wide   107,627,624  the same with 512-1024-512 maps
============ ============ ==================================================================================
"""

from __future__ import annotations

from functools import partial
from types import ModuleType

from torch import Tensor, nn

import repronet.layers
from repronet.models.alexnet import response_norm
from repronet.models.fixed_size import FixedSize
from repronet.models.variant import variant


class ZFNet(FixedSize):
    """Figure 3: five convolutions and three fully connected layers, for images of 224 × 224 pixels.

    The first two pools are each followed by contrast normalisation across maps, which is AlexNet's response
    normalisation. Output sizes of pools are rounded up, otherwise 110 would not give 55. Initial weights are normal
    with σ = 0.01, biases 0 (section 3.1: "initialised to 10⁻² and 0"; random here, as equal weights would stay equal).

    Shapes: (N, in_channels, 224, 224) → logits (N, num_classes).
    """

    input_size = 224
    sizes = 207, 238

    def __init__(
        self,
        maps: tuple[int, int, int],
        num_classes: int = 1000,
        in_channels: int = 3,
        layers: ModuleType = repronet.layers,
    ):
        super().__init__()
        self.conv1 = layers.Conv2d(in_channels, 96, kernel_size=7, stride=2, padding=1)
        self.norm1 = response_norm(layers)
        self.conv2 = layers.Conv2d(96, 256, kernel_size=5, stride=2)
        self.norm2 = response_norm(layers)
        self.conv3 = layers.Conv2d(256, maps[0], kernel_size=3, padding=1)
        self.conv4 = layers.Conv2d(maps[0], maps[1], kernel_size=3, padding=1)
        self.conv5 = layers.Conv2d(maps[1], maps[2], kernel_size=3, padding=1)
        self.pool = layers.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
        self.relu = layers.ReLU(inplace=True)
        self.dropout = layers.Dropout(0.5)
        self.fc6 = layers.Linear(maps[2] * 6 * 6, 4096)
        self.fc7 = layers.Linear(4096, 4096)
        self.fc8 = layers.Linear(4096, num_classes)
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4, self.conv5, self.fc6, self.fc7, self.fc8):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        x = self.relu(self.conv1(images))  # (N, C, 224, 224) → (N, 96, 110, 110)
        x = self.norm1(self.pool(x))  # → (N, 96, 55, 55)
        x = self.relu(self.conv2(x))  # → (N, 256, 26, 26)
        x = self.norm2(self.pool(x))  # → (N, 256, 13, 13)
        x = self.relu(self.conv3(x))  # → (N, 384, 13, 13)
        x = self.relu(self.conv4(x))  # → (N, 384, 13, 13)
        x = self.pool(self.relu(self.conv5(x)))  # → (N, 256, 13, 13) → (N, 256, 6, 6)
        x = self.dropout(self.relu(self.fc6(x.flatten(1))))  # → (N, 9216) → (N, 4096)
        x = self.dropout(self.relu(self.fc7(x)))  # → (N, 4096)
        return self.fc8(x)  # → (N, classes)


zfnet = variant("zfnet", partial(ZFNet, (384, 384, 256)), num_classes=1000)
zfnet_wide = variant("zfnet_wide", partial(ZFNet, (512, 1024, 512)), num_classes=1000)
