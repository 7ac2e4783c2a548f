"""The small network of the AlexNet paper, for CIFAR-10: ReLU or tanh, response norm or none, overlapping pools or not.

A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012:
section 3.1 and figure 1 (ReLU against tanh), section 3.3 (response normalisation), section 3.4 (overlapping pooling).

=================== ========== ===============================================================================
name                parameters what it is
=================== ========== ===============================================================================
four_layer              89,578 ReLU, response normalisation, pools of 3×3 at every second pixel
four_layer_tanh         89,578 tanh for ReLU
four_layer_abutting     89,578 pools of 2×2 at every second pixel: their windows do not overlap
=================== ========== ===============================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType

from torch import Tensor, nn

import repronet.layers
from repronet.models.normalization import RESPONSE_NORMS, normalization_2d

OVERLAPPING, ABUTTING = 3, 2  # sides of a pool's window, which moves by two pixels
# α of the response norm. Of pixels with the mean square p², AlexNet's first convolution makes maps of 363 · 0.01² · p²
# (11 × 11 × 3 weights with a deviation of 0.01), on pixels that run to 255 (section 5); ours makes 2 p², of pixels that
# run to 1. With the paper's 1e-4 the sum would be nothing beside k.
ALPHA = 1e-4 * 255**2 * (363 * 0.01**2) / 2


class FourLayer(nn.Module):
    """Three times convolution (5×5) → activation → pool, the first two followed by response norm; then the classes.

    The paper prints no layers of its network for CIFAR-10. These are of the shape of the authors' small networks for
    it: 32, 32 and 64 maps, a max pool and then two average pools, one fully connected layer. The released network that
    comes to 11 % is larger: its third and fourth layer are locally connected. Three deviations of our own:

    - weights start normal with variance 2 / fan-in and the classifier's with 1 / fan-in, biases at 0, for the
      release's 1e-4 and 0.01, with which nothing happens for many epochs;
    - response normalisation has AlexNet's constants (section 3.3) but for α, which belongs to the size of what it
      normalises: :data:`ALPHA` lets α Σ a² begin beside k as it begins in the first layer of AlexNet;
    - another normalisation may stand in the two places of that one.

    Shapes: (N, in_channels, 32, 32) → logits (N, num_classes).
    """

    input_size = 32
    architecture = "four_layer"

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 3,
        layers: ModuleType = repronet.layers,
        normalization: str = "local_response",
        activation: str = "ReLU",
        window: int = OVERLAPPING,
    ):
        super().__init__()
        self.conv1 = layers.Conv2d(in_channels, 32, kernel_size=5, padding=2)
        self.pool1 = layers.MaxPool2d(window, stride=2, ceil_mode=True)
        self.norm1 = _normalization(normalization, 32, layers)
        self.conv2 = layers.Conv2d(32, 32, kernel_size=5, padding=2)
        self.pool2 = layers.AvgPool2d(window, stride=2, ceil_mode=True)
        self.norm2 = _normalization(normalization, 32, layers)
        self.conv3 = layers.Conv2d(32, 64, kernel_size=5, padding=2)
        self.pool3 = layers.AvgPool2d(window, stride=2, ceil_mode=True)
        self.fc = layers.Linear(64 * 4 * 4, num_classes)
        self.activation = getattr(layers, activation)()
        for layer, gain in ((self.conv1, 2), (self.conv2, 2), (self.conv3, 2), (self.fc, 1)):
            nn.init.normal_(layer.weight, std=math.sqrt(gain / layer.weight[0].numel()))
            nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        x = self.activation(self.conv1(images))  # (N, C, 32, 32) → (N, 32, 32, 32)
        x = self.norm1(self.pool1(x))  #           → (N, 32, 16, 16)
        x = self.activation(self.conv2(x))  #      → (N, 32, 16, 16)
        x = self.norm2(self.pool2(x))  #           → (N, 32, 8, 8)
        x = self.activation(self.conv3(x))  #      → (N, 64, 8, 8)
        x = self.pool3(x)  #                       → (N, 64, 4, 4)
        return self.fc(x.flatten(1))  #            → (N, classes)


def _normalization(name: str, channels: int, layers: ModuleType) -> nn.Module:
    """As :func:`normalization_2d`, but response norm with :data:`ALPHA`, times the five maps that torch divides by."""
    if name in RESPONSE_NORMS:
        return layers.LocalResponseNorm(5, alpha=(5 if name == "local_response" else 1) * ALPHA, beta=0.75, k=2.0)
    return normalization_2d(name, channels, layers)


def _network(name: str, doc: str, activation: str = "ReLU", window: int = OVERLAPPING) -> Callable[..., FourLayer]:
    def build(
        num_classes: int = 10,
        in_channels: int = 3,
        layers: ModuleType = repronet.layers,
        normalization: str = "local_response",
    ) -> FourLayer:
        network = FourLayer(num_classes, in_channels, layers, normalization, activation, window)
        network.architecture = name
        return network

    build.__name__ = build.__qualname__ = name
    build.__doc__ = doc
    return build


four_layer = _network(
    "four_layer",
    "ReLU and overlapping pools: 89,578 parameters; 13 % without and 11 % with response norm (section 3.3).",
)
four_layer_tanh = _network(
    "four_layer_tanh", "tanh for ReLU, and the same fresh weights: the dashed line of figure 1.", activation="Tanh"
)
four_layer_abutting = _network(
    "four_layer_abutting", "Pools of 2×2, which do not overlap, for those of 3×3 (section 3.4).", window=ABUTTING
)
