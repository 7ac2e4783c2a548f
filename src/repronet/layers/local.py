"""The locally connected layer."""

import math

import torch
from torch import Tensor, nn

from repronet.functional.local import locally_connected2d
from repronet.functional.windows import Geometry, IntOrPair, pair
from repronet.layers.layer import Layer


class LocallyConnected2d(Layer):
    """`repronet.functional.locally_connected2d`: (N, C, H, W) → (N, O, Ho, Wo), with weights for each position.

    Weights and biases are initialised as in torch.nn.Conv2d: uniformly between ±1/√(C·kh·kw).

    Args:
        in_channels, out_channels: C and O.
        input_size: H and W, one integer or (height, width), which fix the number of positions.
        kernel_size, stride, padding, dilation: one integer, or (height, width).
        bias: whether every output has a bias.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        input_size: IntOrPair,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: IntOrPair = 0,
        dilation: IntOrPair = 1,
        bias: bool = True,
    ):
        super().__init__()
        kernel, self.input_size = pair(kernel_size, "kernel_size"), pair(input_size, "input_size")
        self.stride, self.padding = pair(stride, "stride"), pair(padding, "padding")
        self.dilation = pair(dilation, "dilation")
        positions = Geometry(kernel, self.stride, self.padding, self.dilation).output_size(self.input_size)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, *kernel, *positions))
        self.bias = nn.Parameter(torch.empty(out_channels, *positions)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights and biases."""
        bound = 1 / math.sqrt(math.prod(self.weight.shape[1:4]))  # C·kh·kw inputs for each output
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        return locally_connected2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation)

    def extra_repr(self) -> str:
        filters, channels, kh, kw, *_ = self.weight.shape
        size = f"input_size={self.input_size}, kernel_size={(kh, kw)}, stride={self.stride}"
        windows = f"padding={self.padding}, dilation={self.dilation}"
        return f"{channels}, {filters}, {size}, {windows}" + (", bias=False" if self.bias is None else "")
