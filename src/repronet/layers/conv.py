"""Convolution layers."""

import torch
from torch import Tensor

from repronet.functional.conv import conv2d
from repronet.functional.conv_transpose import conv_transpose2d
from repronet.layers.has_algorithm import HasAlgorithm


class Conv2d(HasAlgorithm, torch.nn.Conv2d):
    """torch.nn.Conv2d computed by `repronet.functional.conv2d`: (N, C, H, W) → (N, O, Ho, Wo).

    `algorithm` is that function's argument; it can be set at any time.
    """

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            # Pad the input with its reflected, replicated or circular border first; then no zero padding is needed.
            input = torch.nn.functional.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = 0
        return conv2d(input, weight, bias, self.stride, padding, self.dilation, self.groups, self.algorithm)


class ConvTranspose2d(HasAlgorithm, torch.nn.ConvTranspose2d):
    """torch.nn.ConvTranspose2d computed by `repronet.functional.conv_transpose2d`: (N, C, H, W) → (N, O, Ho, Wo).

    `algorithm` is that function's argument; it can be set at any time. An `output_size` given to a call replaces the
    layer's `output_padding`.
    """

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        windows = self.stride, self.padding, self.kernel_size
        beyond = self._output_padding(input, output_size, *windows, 2, self.dilation)  # type: ignore[arg-type]
        return conv_transpose2d(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,  # type: ignore[arg-type]
            beyond,
            self.groups,
            self.dilation,
            self.algorithm,
        )
