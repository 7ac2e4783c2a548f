"""The AlexNet paper's four-layer networks for CIFAR-10, as released, and small ones of our own for comparisons.

A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012:
section 3.3, whose third footnote says that the networks of 13 % and 11 % are specified by the released code and
parameter files. Those are cuda-convnet's example-layers. Section 3.1 and figure 1 compare ReLU with tanh, section 3.4
overlapping with non-overlapping pools; the small networks, which are in no paper, are for such comparisons.

=================== ========== ===============================================================================
name                parameters what it is
=================== ========== ===============================================================================
four_layer_13pct     1,116,490 the release without response norm: two convolutions, two locally connected layers
four_layer_11pct     2,112,970 the release with it, and twice as many maps in the third layer
four_layer_18pct        89,578 the small release: three convolutions, response norm within each map
four_layer              89,578 our own: the same layers, ReLU, response normalisation across maps
four_layer_tanh         89,578 our own with tanh instead of ReLU
four_layer_abutting     89,578 our own with pools of 2×2 and stride 2: their windows do not overlap
=================== ========== ===============================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from types import ModuleType

from torch import Tensor, nn

import repronet.layers
from repronet.models.fixed_size import FixedSize
from repronet.models.normalization import RESPONSE_NORMS, normalization_2d
from repronet.models.variant import variant

OVERLAPPING, ABUTTING = 3, 2  # side of a pooling window, with stride 2
# α of the response norm. From pixels with mean square p², AlexNet's first convolution gives maps with mean square
# 363 · 0.01² · p² (11 × 11 × 3 weights with a deviation of 0.01) for pixel values up to 255 (section 5); ours gives
# 2 p² for pixel values up to 1. With the paper's 1e-4 the sum would be negligible compared with k.
ALPHA = 1e-4 * 255**2 * (363 * 0.01**2) / 2


class FourLayer(FixedSize):
    """Three times convolution (5×5) → activation → pool, the first two followed by response norm; then the classes.

    A network of our own with the layers of the released 18 % network (:class:`Released18`): 32, 32 and 64 maps, a max
    pool and then two average pools, one fully connected layer. Three deviations from that:

    - initial weights are normal with variance 2 / fan-in, the classifier's with 1 / fan-in, and biases are 0, instead
      of the release's σ of 1e-4 and 0.01, with which training makes no progress for many epochs;
    - response normalisation is across maps and has AlexNet's constants (section 3.3) except α, which depends on the
      scale of the input: :data:`ALPHA` gives α Σ a² initially the same size relative to k as in AlexNet's first layer;
    - another normalisation can replace it in its two places.

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
        self.sizes = (32, 39) if window == OVERLAPPING else (25, 32)
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


class Released18(FourLayer):
    """cuda-convnet's layers-18pct.cfg: the layers of :class:`FourLayer` with response norm within each map.

    The norm covers 3 × 3 pixels with α = 5e-5, β = 0.75, k = 1. Initial weights are normal with σ = 1e-4 in the first
    layer and 0.01 in the others, chosen for pixel values up to 255 minus the mean image.

    Shapes: (N, in_channels, 32, 32) → logits (N, num_classes).
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3, layers: ModuleType = repronet.layers):
        super().__init__(num_classes, in_channels, layers, normalization="none")
        self.norm1 = repronet.layers.ResponseNormWithinMaps()  # torch.nn has none
        self.norm2 = repronet.layers.ResponseNormWithinMaps()
        for layer, deviation in ((self.conv1, 1e-4), (self.conv2, 0.01), (self.conv3, 0.01), (self.fc, 0.01)):
            nn.init.normal_(layer.weight, std=deviation)


class ReleasedLocal(FixedSize):
    """cuda-convnet's layers-conv-local-13pct.cfg and -11pct.cfg: two convolutions, two locally connected layers.

    The input is a 24 × 24 crop of a 32 × 32 image. The 11 % network normalises across nine maps (α / n = 1e-3 / 9,
    β = 0.75, k = 1), after the first pool and before the second. Initial weights are normal with σ = 1e-4 in the first
    convolution, 0.01 in the second, 0.04 in the locally connected layers and 0.01 in the last, biases are 0; these
    values are for pixel values up to 255 minus the mean image. The files' weight decay by layer is 0, 0, 0.004, 0.004
    and 0.004, but 0.01 in the last layer of the 11 % network.

    Args:
        maps: number of maps of the third layer.
        normalized: whether the first two layers have response normalisation.

    Shapes: (N, in_channels, 24, 24) → logits (N, num_classes).
    """

    input_size = 24
    sizes = 24, 27

    def __init__(
        self,
        maps: int,
        normalized: bool,
        num_classes: int = 10,
        in_channels: int = 3,
        layers: ModuleType = repronet.layers,
    ):
        super().__init__()

        def norm() -> nn.Module:
            return layers.LocalResponseNorm(9, alpha=1e-3, beta=0.75, k=1.0) if normalized else nn.Identity()

        local = repronet.layers.LocallyConnected2d  # torch.nn has none
        self.conv1 = layers.Conv2d(in_channels, 64, kernel_size=5, padding=2)
        self.pool1 = layers.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
        self.norm1 = norm()
        self.conv2 = layers.Conv2d(64, 64, kernel_size=5, padding=2)
        self.norm2 = norm()
        self.pool2 = layers.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
        self.local3 = local(64, maps, input_size=6, kernel_size=3, padding=1)
        self.local4 = local(maps, 32, input_size=6, kernel_size=3, padding=1)
        self.fc = layers.Linear(32 * 6 * 6, num_classes)
        self.relu = layers.ReLU()
        deviations = ((self.conv1, 1e-4), (self.conv2, 0.01), (self.local3, 0.04), (self.local4, 0.04), (self.fc, 0.01))
        for layer, deviation in deviations:
            nn.init.normal_(layer.weight, std=deviation)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # never None here

    def forward(self, images: Tensor) -> Tensor:
        x = self.relu(self.conv1(images))  # (N, C, 24, 24) → (N, 64, 24, 24)
        x = self.norm1(self.pool1(x))  # → (N, 64, 12, 12)
        x = self.relu(self.conv2(x))  # → (N, 64, 12, 12)
        x = self.pool2(self.norm2(x))  # → (N, 64, 6, 6)
        x = self.relu(self.local3(x))  # → (N, maps, 6, 6)
        x = self.relu(self.local4(x))  # → (N, 32, 6, 6)
        return self.fc(x.flatten(1))  # → (N, classes)


def _normalization(name: str, channels: int, layers: ModuleType) -> nn.Module:
    """As :func:`normalization_2d`, but with :data:`ALPHA`, times 5 for ``local_response`` since torch divides by 5."""
    if name in RESPONSE_NORMS:
        return layers.LocalResponseNorm(5, alpha=(5 if name == "local_response" else 1) * ALPHA, beta=0.75, k=2.0)
    return normalization_2d(name, channels, layers)


def _network(name: str, activation: str = "ReLU", window: int = OVERLAPPING) -> Callable[..., FourLayer]:
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
    build.__doc__ = f"{name}: see the table of this module."
    return build


four_layer = _network("four_layer")
four_layer_tanh = _network("four_layer_tanh", activation="Tanh")  # same initial weights, for figure 1's comparison
four_layer_abutting = _network("four_layer_abutting", window=ABUTTING)

four_layer_13pct = variant("four_layer_13pct", partial(ReleasedLocal, 32, False), num_classes=10)
four_layer_11pct = variant("four_layer_11pct", partial(ReleasedLocal, 64, True), num_classes=10)
four_layer_18pct = variant("four_layer_18pct", Released18, num_classes=10)
