"""AlexNet, which won ILSVRC 2012, and its one-tower successor.

A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012:
section 3 and figure 2. A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks",
arXiv:1404.5997, 2014.

================ ============ ==============================================================================
name              parameters  what it is
================ ============ ==============================================================================
alexnet           60,965,224  the paper's: two towers (groups), local response normalisation, overlapping pooling
alexnet_abutting  60,965,224  pools of 2×2, which do not overlap, instead of 3×3: section 3.4's comparison
alexnet_owt       61,100,840  one tower, fewer filters, as torchvision builds it: without normalisation
================ ============ ==============================================================================
"""

from __future__ import annotations

from functools import partial
from types import ModuleType

from torch import Tensor, nn

import repronet.layers
from repronet.models.fixed_size import FixedSize, LimitedSize
from repronet.models.variant import variant


def response_norm(layers: ModuleType, *, mean: bool = False) -> nn.Module:
    """b = a / (k + α Σ a²)^β over five neighbouring planes, k = 2, α = 1e-4, β = 0.75 (section 3.3).

    α can be read in two ways. The networks follow the paper's formula, the only printed source: α multiplies the sum.
    With ``mean``, α multiplies the mean over the five, as in Caffe, in torch, and in the author's cuda-convnet, with
    which the paper's networks were trained: it divides the ``scale`` of its files by the size (layer.py).
    """
    return layers.LocalResponseNorm(5, alpha=1e-4 if mean else 5 * 1e-4, beta=0.75, k=2.0)


class AlexNet(FixedSize):
    """AlexNet of section 3.5, with the halves on two GPUs as two groups of one network.

    The paper says that its images are 224 pixels wide; its 55 × 55 maps need 227, or 224 with two pixels of padding on
    one side and one on the other. Initial weights are normal with σ = 0.01; biases are 1 in the second, fourth and
    fifth convolution and the hidden fully connected layers, else 0 (section 5). Dropout acts on the outputs of the
    first two fully connected layers (section 4.2). ``window`` is the side of the pooling windows, with stride 2.

    Shapes: (N, in_channels, 227, 227) → logits (N, num_classes).
    """

    input_size = 227
    sizes = 227, 258

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        layers: ModuleType = repronet.layers,
        window: int = 3,
    ):
        super().__init__()
        self.conv1 = layers.Conv2d(in_channels, 96, kernel_size=11, stride=4)
        self.norm1 = response_norm(layers)
        self.conv2 = layers.Conv2d(96, 256, kernel_size=5, padding=2, groups=2)
        self.norm2 = response_norm(layers)
        self.conv3 = layers.Conv2d(256, 384, kernel_size=3, padding=1)
        self.conv4 = layers.Conv2d(384, 384, kernel_size=3, padding=1, groups=2)
        self.conv5 = layers.Conv2d(384, 256, kernel_size=3, padding=1, groups=2)
        self.pool = layers.MaxPool2d(kernel_size=window, stride=2)  # windows overlap: section 3.4
        self.relu = layers.ReLU(inplace=True)
        self.dropout = layers.Dropout(0.5)
        self.fc6 = layers.Linear(256 * 6 * 6, 4096)
        self.fc7 = layers.Linear(4096, 4096)
        self.fc8 = layers.Linear(4096, num_classes)
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4, self.conv5, self.fc6, self.fc7, self.fc8):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
        for layer in (self.conv2, self.conv4, self.conv5, self.fc6, self.fc7):
            nn.init.ones_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        x = self.norm1(self.relu(self.conv1(images)))  # (N, C, 227, 227) → (N, 96, 55, 55)
        x = self.pool(x)  # → (N, 96, 27, 27)
        x = self.norm2(self.relu(self.conv2(x)))  # → (N, 256, 27, 27)
        x = self.pool(x)  # → (N, 256, 13, 13)
        x = self.relu(self.conv3(x))  # → (N, 384, 13, 13)
        x = self.relu(self.conv4(x))  # → (N, 384, 13, 13)
        x = self.pool(self.relu(self.conv5(x)))  # → (N, 256, 13, 13) → (N, 256, 6, 6)
        x = self.dropout(self.relu(self.fc6(x.flatten(1))))  # → (N, 9216) → (N, 4096)
        x = self.dropout(self.relu(self.fc7(x)))  # → (N, 4096)
        return self.fc8(x)  # → (N, classes)


class OneTowerAlexNet(LimitedSize):
    """torchvision's version of the network in "One weird trick", section 5, footnote 1.

    The paper's network keeps response norm after the first two convolutions, applies dropout to the outputs of both
    hidden layers (here to their inputs), and ends in 1000 independent logistic units; its fourth layer has 384 maps in
    the text, 256 in the author's release (layers-imagenet-1gpu.cfg) and here. The mean over 6 × 6 regions is
    torchvision's, and layers have torch's initialisation.

    Shapes: (N, in_channels, 224, 224) → logits (N, num_classes).
    """

    input_size = 224
    sizes = 63, None

    def __init__(self, num_classes: int = 1000, in_channels: int = 3, layers: ModuleType = repronet.layers):
        super().__init__()
        self.features = nn.Sequential(
            layers.Conv2d(in_channels, 64, kernel_size=11, stride=4, padding=2),  # → (N, 64, 55, 55)
            layers.ReLU(inplace=True),
            layers.MaxPool2d(kernel_size=3, stride=2),  # → (N, 64, 27, 27)
            layers.Conv2d(64, 192, kernel_size=5, padding=2),  # → (N, 192, 27, 27)
            layers.ReLU(inplace=True),
            layers.MaxPool2d(kernel_size=3, stride=2),  # → (N, 192, 13, 13)
            layers.Conv2d(192, 384, kernel_size=3, padding=1),  # → (N, 384, 13, 13)
            layers.ReLU(inplace=True),
            layers.Conv2d(384, 256, kernel_size=3, padding=1),  # → (N, 256, 13, 13)
            layers.ReLU(inplace=True),
            layers.Conv2d(256, 256, kernel_size=3, padding=1),
            layers.ReLU(inplace=True),
            layers.MaxPool2d(kernel_size=3, stride=2),  # → (N, 256, 6, 6)
        )
        self.avgpool = layers.AdaptiveAvgPool2d(6)
        self.classifier = nn.Sequential(
            layers.Dropout(0.5),
            layers.Linear(256 * 6 * 6, 4096),
            layers.ReLU(inplace=True),
            layers.Dropout(0.5),
            layers.Linear(4096, 4096),
            layers.ReLU(inplace=True),
            layers.Linear(4096, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        x = self.avgpool(self.features(images))  # (N, C, 224, 224) → (N, 256, 6, 6)
        return self.classifier(x.flatten(1))  # → (N, classes)


alexnet = variant("alexnet", AlexNet, num_classes=1000)
alexnet_abutting = variant("alexnet_abutting", partial(AlexNet, window=2), num_classes=1000)  # maps of the same sizes
alexnet_owt = variant("alexnet_owt", OneTowerAlexNet, num_classes=1000)
