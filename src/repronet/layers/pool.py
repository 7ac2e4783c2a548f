"""Pooling layers."""

import torch
from torch import Tensor

from repronet.functional.pool import avg_pool2d, max_pool2d


class MaxPool2d(torch.nn.MaxPool2d):
    """torch.nn.MaxPool2d computed by `repronet.functional.max_pool2d`: (N, C, H, W) → (N, C, Ho, Wo)."""

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return max_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )


class AvgPool2d(torch.nn.AvgPool2d):
    """torch.nn.AvgPool2d computed by `repronet.functional.avg_pool2d`: (N, C, H, W) → (N, C, Ho, Wo)."""

    def forward(self, input: Tensor) -> Tensor:
        return avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )
