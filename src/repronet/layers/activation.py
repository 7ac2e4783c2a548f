"""Activation layers. A layer's `algorithm`, if it has one, chooses how it computes and can be set at any time."""

import torch
from torch import Tensor

from repronet.functional.maxout import maxout
from repronet.functional.rectifier import elu, leaky_relu, prelu, relu, relu6
from repronet.functional.sigmoidal import hardsigmoid, hardswish, scaled_tanh, sigmoid, silu, tanh
from repronet.functional.softmax import log_softmax, softmax
from repronet.layers.has_algorithm import HasAlgorithm
from repronet.layers.layer import Layer


class ReLU(HasAlgorithm, torch.nn.ReLU):
    """torch.nn.ReLU computed by `repronet.functional.relu`: any shape."""

    def forward(self, input: Tensor) -> Tensor:
        return relu(input, self.inplace, self.algorithm)


class ReLU6(Layer, torch.nn.ReLU6):
    """torch.nn.ReLU6 computed by `repronet.functional.relu6`: any shape."""

    def forward(self, input: Tensor) -> Tensor:
        return relu6(input, self.inplace)


class LeakyReLU(Layer, torch.nn.LeakyReLU):
    """torch.nn.LeakyReLU computed by `repronet.functional.leaky_relu`: any shape."""

    def forward(self, input: Tensor) -> Tensor:
        return leaky_relu(input, self.negative_slope, self.inplace)


class PReLU(Layer, torch.nn.PReLU):
    """torch.nn.PReLU computed by `repronet.functional.prelu`: (N, C, …), one learnt slope or one per channel."""

    def forward(self, input: Tensor) -> Tensor:
        return prelu(input, self.weight)


class ELU(Layer, torch.nn.ELU):
    """torch.nn.ELU computed by `repronet.functional.elu`: any shape."""

    def forward(self, input: Tensor) -> Tensor:
        return elu(input, self.alpha, self.inplace)


class Sigmoid(Layer, torch.nn.Sigmoid):
    """torch.nn.Sigmoid computed by `repronet.functional.sigmoid`: any shape."""

    def forward(self, input: Tensor) -> Tensor:
        return sigmoid(input)


class Tanh(Layer, torch.nn.Tanh):
    """torch.nn.Tanh computed by `repronet.functional.tanh`: any shape."""

    def forward(self, input: Tensor) -> Tensor:
        return tanh(input)


class ScaledTanh(Layer):
    """LeCun's 1.7159·tanh(2x/3) by `repronet.functional.scaled_tanh`: any shape. torch has no such layer."""

    def __init__(self, amplitude: float = 1.7159, slope: float = 2 / 3):
        super().__init__()
        self.amplitude = amplitude
        self.slope = slope

    def forward(self, input: Tensor) -> Tensor:
        return scaled_tanh(input, self.amplitude, self.slope)

    def extra_repr(self) -> str:
        return f"amplitude={self.amplitude}, slope={self.slope:.4g}"


class SiLU(Layer, torch.nn.SiLU):
    """torch.nn.SiLU (swish) computed by `repronet.functional.silu`: any shape."""

    def forward(self, input: Tensor) -> Tensor:
        return silu(input, self.inplace)


class Hardsigmoid(Layer, torch.nn.Hardsigmoid):
    """torch.nn.Hardsigmoid computed by `repronet.functional.hardsigmoid`: any shape."""

    def forward(self, input: Tensor) -> Tensor:
        return hardsigmoid(input, self.inplace)


class Hardswish(Layer, torch.nn.Hardswish):
    """torch.nn.Hardswish computed by `repronet.functional.hardswish`: any shape."""

    def forward(self, input: Tensor) -> Tensor:
        return hardswish(input, self.inplace)


class Maxout(Layer):
    """Maximum of neighbouring channels by `repronet.functional.maxout`: (N, C, …) → (N, C/pool_size, …).

    torch has no such layer.
    """

    def __init__(self, pool_size: int, dim: int = 1):
        super().__init__()
        self.pool_size = pool_size
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return maxout(input, self.pool_size, self.dim)

    def extra_repr(self) -> str:
        return f"pool_size={self.pool_size}, dim={self.dim}"


class Softmax(Layer, torch.nn.Softmax):
    """torch.nn.Softmax computed by `repronet.functional.softmax`: any shape. The dimension must be given."""

    def forward(self, input: Tensor) -> Tensor:
        return softmax(input, self.dim)  # type: ignore[arg-type]  # None, which torch warns of, is refused


class LogSoftmax(Layer, torch.nn.LogSoftmax):
    """torch.nn.LogSoftmax computed by `repronet.functional.log_softmax`: any shape. The dimension must be given."""

    def forward(self, input: Tensor) -> Tensor:
        return log_softmax(input, self.dim)  # type: ignore[arg-type]  # None, which torch warns of, is refused
