"""Small baseline networks for grey images of digits, 28 × 28 pixels.

=================== ============ ===========================================================================
name                 parameters  what it is
=================== ============ ===========================================================================
lecture_net              32,998  the small network of the lecture: two convolutions, 12·4·4 → 120 → 60
locally_connected       236,854  the same connections with no weight shared
mlp                     266,610  784 → 300 → 100: LeCun et al. 1998, figure 9 (two hidden layers)
=================== ============ ===========================================================================

Layers have torch's initialisation.
"""

from __future__ import annotations

from functools import partial
from types import ModuleType

from torch import Tensor

import repronet.layers
from repronet.models.fixed_size import FixedSize
from repronet.models.variant import variant


class LectureNet(FixedSize):
    """5×5 (6 maps) → ReLU → pool → 5×5 (12 maps) → ReLU → pool → 120 → 60 → classes.

    Args:
        shared: whether all positions of a map share weights (a convolution), or each has its own. torch has no locally
            connected layer, so that layer is always ours.

    Shapes: (N, in_channels, 28, 28) → logits (N, num_classes).
    """

    input_size = 28

    def __init__(
        self, num_classes: int = 10, in_channels: int = 1, layers: ModuleType = repronet.layers, shared: bool = True
    ):
        super().__init__()
        local = repronet.layers.LocallyConnected2d
        self.sizes = (28, 31) if shared else (28, 28)
        self.conv1 = layers.Conv2d(in_channels, 6, 5) if shared else local(in_channels, 6, (28, 28), 5)
        self.conv2 = layers.Conv2d(6, 12, 5) if shared else local(6, 12, (12, 12), 5)
        self.pool = layers.MaxPool2d(kernel_size=2)
        self.fc1 = layers.Linear(12 * 4 * 4, 120)
        self.fc2 = layers.Linear(120, 60)
        self.output = layers.Linear(60, num_classes)
        self.relu = layers.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        x = self.relu(self.conv1(images))  # (N, C, 28, 28) → (N, 6, 24, 24)
        x = self.pool(x)  # → (N, 6, 12, 12)
        x = self.relu(self.conv2(x))  # → (N, 12, 8, 8)
        x = self.pool(x)  # → (N, 12, 4, 4)
        x = self.relu(self.fc1(x.flatten(1)))  # → (N, 192) → (N, 120)
        x = self.relu(self.fc2(x))  # → (N, 60)
        return self.output(x)  # → (N, classes)


class MultilayerPerceptron(FixedSize):
    """Pixels → 300 → 100 → classes, with ReLU, not the paper's tanh. Shapes: (N, C, 28, 28) → (N, num_classes)."""

    input_size = 28
    sizes = 28, 28

    def __init__(self, num_classes: int = 10, in_channels: int = 1, layers: ModuleType = repronet.layers):
        super().__init__()
        self.fc1 = layers.Linear(in_channels * 28 * 28, 300)
        self.fc2 = layers.Linear(300, 100)
        self.output = layers.Linear(100, num_classes)
        self.relu = layers.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        x = self.relu(self.fc1(images.flatten(1)))  # (N, C, 28, 28) → (N, 784·C) → (N, 300)
        x = self.relu(self.fc2(x))  # → (N, 100)
        return self.output(x)  # → (N, classes)


lecture_net = variant("lecture_net", LectureNet, num_classes=10, in_channels=1)
locally_connected = variant("locally_connected", partial(LectureNet, shared=False), num_classes=10, in_channels=1)
mlp = variant("mlp", MultilayerPerceptron, num_classes=10, in_channels=1)
