"""LeNet-5.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document Recognition", Proceedings of
the IEEE 86(11), 1998: section II.B, figure 2 and table I.

============ ============ ==================================================================================
name          parameters  what it is
============ ============ ==================================================================================
lenet5            61,706  modern: ReLU, max-pooling, full connection from S2 to C3, linear output
lenet5_1998       60,000  the paper's: C3 connection table, trainable subsampling, scaled tanh, RBF output
============ ============ ==================================================================================
"""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

import repronet.layers
from repronet.errors import UserError
from repronet.models.fixed_size import FixedSize
from repronet.models.normalization import normalization_2d

# Table I of the paper: for each of the 16 maps of C3, the maps of S2 that it is connected to. 60 connections.
C3_TABLE: tuple[tuple[int, ...], ...] = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip


class LeNet5(FixedSize):
    """C1 (6 maps, 5×5) → pool → C3 (16 maps, 5×5) → pool → 120 → 84 → classes, with ReLU and 2×2 max-pooling.

    Deviations from the paper, all of them usual today: ReLU instead of the scaled tanh, max-pooling without parameters
    instead of trainable subsampling, a full C3 instead of the connection table, C5 and the output as linear layers.

    Shapes: (N, in_channels, 32, 32) → logits (N, num_classes).
    """

    input_size = 32
    sizes = 32, 35
    architecture = "lenet5"

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        layers: ModuleType = repronet.layers,
        normalization: str = "none",
    ):
        super().__init__()
        self.c1 = layers.Conv2d(in_channels, 6, kernel_size=5)
        self.n1 = normalization_2d(normalization, 6, layers)
        self.s2 = layers.MaxPool2d(kernel_size=2)
        self.c3 = layers.Conv2d(6, 16, kernel_size=5)
        self.n3 = normalization_2d(normalization, 16, layers)
        self.s4 = layers.MaxPool2d(kernel_size=2)
        self.c5 = layers.Linear(16 * 5 * 5, 120)
        self.f6 = layers.Linear(120, 84)
        self.output = layers.Linear(84, num_classes)
        self.relu = layers.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        x = self.relu(self.n1(self.c1(images)))  # (N, C, 32, 32) → (N, 6, 28, 28)
        x = self.s2(x)  #                          → (N, 6, 14, 14)
        x = self.relu(self.n3(self.c3(x)))  #      → (N, 16, 10, 10)
        x = self.s4(x)  #                          → (N, 16, 5, 5)
        x = self.relu(self.c5(x.flatten(1)))  #    → (N, 120)
        x = self.relu(self.f6(x))  #               → (N, 84)
        return self.output(x)  #                   → (N, classes)


class ConnectionTable(nn.Module):
    """Put the kernels of the existing connections, (connections, k, k), into a dense weight (out, in, k, k).

    Where the table has no connection, the dense weight is zero and stays zero: there is no parameter to count or
    to train.
    """

    target: Tensor  # the C3 map of each connection
    source: Tensor  # the S2 map of each connection

    def __init__(self, table: tuple[tuple[int, ...], ...], in_channels: int):
        super().__init__()
        self.shape = (len(table), in_channels)
        pairs = [(to, source) for to, sources in enumerate(table) for source in sources]
        self.register_buffer("target", torch.tensor([to for to, _ in pairs]), persistent=False)
        self.register_buffer("source", torch.tensor([source for _, source in pairs]), persistent=False)

    def forward(self, kernels: Tensor) -> Tensor:  # (connections, k, k) → (out, in, k, k)
        dense = kernels.new_zeros(*self.shape, *kernels.shape[1:])
        return dense.index_put((self.target, self.source), kernels)

    def right_inverse(self, dense: Tensor) -> Tensor:  # (out, in, k, k) → (connections, k, k)
        return dense[self.target, self.source]


class Subsampling(nn.Module):
    """S2 and S4: the sum over each 2×2 window, times a trained coefficient, plus a trained bias, both one per map.

    y = coefficient · Σ x + bias (section II.B). Shapes: (N, C, H, W) → (N, C, H/2, W/2); 2·C parameters.
    """

    def __init__(self, channels: int, layers: ModuleType):
        super().__init__()
        self.window_sum = layers.AvgPool2d(kernel_size=2, divisor_override=1)
        self.coefficient = nn.Parameter(torch.empty(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.coefficient * self.window_sum(x) + self.bias  # (N, C, H, W) → (N, C, H/2, W/2)


class ScaledTanh(nn.Module):
    """f(a) = 1.7159 · tanh(2a/3), appendix A: f(±1) = ±1, where its curvature is largest. Any shape."""

    def __init__(self, layers: ModuleType):
        super().__init__()
        self.is_one_layer = hasattr(layers, "ScaledTanh")  # torch.nn has none
        self.tanh = layers.ScaledTanh(1.7159, 2.0 / 3.0) if self.is_one_layer else layers.Tanh()

    def forward(self, x: Tensor) -> Tensor:
        return self.tanh(x) if self.is_one_layer else 1.7159 * self.tanh(x * (2.0 / 3.0))


# The targets of the output layer are stylised 7 × 12 images of the characters, so that similar characters have similar
# targets. Ours are redrawn from figure 3, the only place where the paper prints its own: # is +1 and . is −1.
_CODES = """
..###.. ...##.. .#####. .#####. .##..## ####### ..####. ####### .#####. .#####.
.##.##. ..###.. ##...## ##...## .##..## ##..... .##.... ##...## ##...## ##...##
##...## .####.. .....## .....## .##..## ##..... ##..... .....## ##...## ##...##
##...## ...##.. .....## .....## ##...## ##..... ##..... ....##. ##...## ##...##
##...## ...##.. ....##. ....##. ##...## ######. ######. ....##. .##.##. ##...##
##...## ...##.. ...##.. ..###.. ##...## .....## ##...## ...##.. ..###.. .######
##...## ...##.. ..##... ....##. ####### .....## ##...## ...##.. .##.##. .....##
##...## ...##.. .##.... .....## .....## .....## ##...## ..##... ##...## .....##
##...## ...##.. ##..... .....## .....## .....## ##...## ..##... ##...## .....##
##...## ...##.. ##..... .....## .....## .....## ##...## ..##... ##...## .....##
.##.##. ...##.. ##..... ##...## .....## ##...## ##...## .##.... ##...## ....##.
..###.. .###### ####### .#####. .....## .#####. .#####. .##.... .#####. .####..
"""


def digit_codes() -> Tensor:
    """The ten codes as rows of ±1, shape (10, 84)."""
    rows = [line.split() for line in _CODES.strip().splitlines()]
    images = ["".join(row[digit] for row in rows) for digit in range(10)]
    return torch.tensor([[1.0 if pixel == "#" else -1.0 for pixel in image] for image in images])


class EuclideanRBF(nn.Module):
    """The output layer: y_i = Σ_j (x_j − w_ij)², the squared distance to the fixed code of class i (equation 7).

    The codes are 7×12 images of the characters with components ±1; they are not trained. The layer returns −y, so that
    the nearest class has the largest score, as in every other network here.

    Shapes: (N, 84) → (N, classes).
    """

    codes: Tensor

    def __init__(self, codes: Tensor):
        super().__init__()
        self.register_buffer("codes", codes)

    def forward(self, x: Tensor) -> Tensor:
        return -(x.unsqueeze(1) - self.codes).square().sum(dim=2)  # (N, 1, 84) − (classes, 84) → (N, classes)


class LeNet5of1998(FixedSize):
    """The network of the paper's figure 2 with exactly 60,000 trainable parameters.

    C1 156 · S2 12 · C3 1,516 (connection table) · S4 32 · C5 48,120 · F6 10,164; the RBF output's 840 are fixed.
    Initial weights are uniform in ±2.4/F, where F is the fan-in of the unit (appendix A).

    Deviation: the output codes are redrawn from figure 3, not copied from it bit by bit.

    Shapes: (N, 1, 32, 32) → negated squared distances (N, 10).
    """

    input_size = 32
    sizes = 32, 35
    architecture = "lenet5_1998"

    def __init__(self, layers: ModuleType = repronet.layers):
        super().__init__()
        self.squash = ScaledTanh(layers)
        self.c1 = layers.Conv2d(1, 6, kernel_size=5)
        self.s2 = Subsampling(6, layers)
        self.c3 = layers.Conv2d(6, 16, kernel_size=5)
        self.s4 = Subsampling(16, layers)
        self.c5 = layers.Conv2d(16, 120, kernel_size=5)
        self.f6 = layers.Linear(120, 7 * 12)
        self.output = EuclideanRBF(digit_codes())

        def uniform(tensor: Tensor, fan_in: float | Tensor) -> None:
            with torch.no_grad():
                tensor.uniform_(-1, 1).mul_(2.4).div_(fan_in)

        inputs_per_map = torch.tensor([len(sources) for sources in C3_TABLE]).reshape(-1, 1, 1, 1)
        uniform(self.c1.weight, 5 * 5)
        uniform(self.s2.coefficient, 4)
        uniform(self.c3.weight, 5 * 5 * inputs_per_map)
        uniform(self.s4.coefficient, 4)
        uniform(self.c5.weight, 16 * 5 * 5)
        uniform(self.f6.weight, 120)
        for layer in (self.c1, self.c3, self.c5, self.f6):
            nn.init.zeros_(layer.bias)
        parametrize.register_parametrization(self.c3, "weight", ConnectionTable(C3_TABLE, in_channels=6))

    def forward(self, images: Tensor) -> Tensor:
        x = self.squash(self.c1(images))  #    (N, 1, 32, 32) → (N, 6, 28, 28)
        x = self.squash(self.s2(x))  #         → (N, 6, 14, 14)
        x = self.squash(self.c3(x))  #         → (N, 16, 10, 10)
        x = self.squash(self.s4(x))  #         → (N, 16, 5, 5)
        x = self.squash(self.c5(x))  #         → (N, 120, 1, 1)
        x = self.squash(self.f6(x.flatten(1)))  # → (N, 84)
        return self.output(x)  #               → (N, 10)


def lenet5(
    num_classes: int = 10, in_channels: int = 1, layers: ModuleType = repronet.layers, normalization: str = "none"
) -> LeNet5:
    """The modern LeNet-5: 61,706 parameters for one input channel and ten classes, 62,006 for three channels."""
    return LeNet5(num_classes, in_channels, layers, normalization)


def lenet5_1998(num_classes: int = 10, in_channels: int = 1, layers: ModuleType = repronet.layers) -> LeNet5of1998:
    """The LeNet-5 of the paper, for one input channel and ten classes, since its output codes are images of digits."""
    if num_classes != 10 or in_channels != 1:
        raise UserError(
            f"model=lenet5_1998: num_classes={num_classes}, in_channels={in_channels}: its output codes are images "
            "of the ten digits and its input is grey; it takes 10 and 1 (model=lenet5 takes any)"
        )
    return LeNet5of1998(layers)
