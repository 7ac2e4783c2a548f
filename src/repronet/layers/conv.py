"""Convolution layers."""

import torch
from torch import Tensor

from repronet.functional.conv import conv2d


class Conv2d(torch.nn.Conv2d):
    """torch.nn.Conv2d computed by `repronet.functional.conv2d`: (N, C, H, W) → (N, O, Ho, Wo)."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.padding_mode == "zeros":
            return conv2d(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)
        # Reflected, replicated or circular borders are laid around the input first; no zeros are left to add.
        bordered = torch.nn.functional.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
        return conv2d(bordered, weight, bias, self.stride, 0, self.dilation, self.groups)
