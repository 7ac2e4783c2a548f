"""Pooling layers. A layer's `algorithm`, if it has one, chooses how it computes and can be set at any time."""

import torch
from torch import Tensor

from repronet.functional.adaptive_pool import adaptive_avg_pool2d, adaptive_max_pool2d
from repronet.functional.lp_pool import feature_pool, lp_pool2d
from repronet.functional.pool import avg_pool2d, max_pool2d
from repronet.layers.has_algorithm import HasAlgorithm
from repronet.layers.layer import Layer


class MaxPool2d(HasAlgorithm, torch.nn.MaxPool2d):
    """torch.nn.MaxPool2d computed by `repronet.functional.max_pool2d`: (N, C, H, W) → (N, C, Ho, Wo)."""

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
            self.algorithm,
        )


class AvgPool2d(HasAlgorithm, torch.nn.AvgPool2d):
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
            self.algorithm,
        )


class LPPool2d(HasAlgorithm, torch.nn.LPPool2d):
    """torch.nn.LPPool2d computed by `repronet.functional.lp_pool2d`: (N, C, H, W) → (N, C, Ho, Wo)."""

    def forward(self, input: Tensor) -> Tensor:
        norm_type = float(self.norm_type)
        return lp_pool2d(input, norm_type, self.kernel_size, self.stride, self.ceil_mode, self.algorithm)


class AdaptiveAvgPool2d(HasAlgorithm, torch.nn.AdaptiveAvgPool2d):
    """torch.nn.AdaptiveAvgPool2d computed by `repronet.functional.adaptive_avg_pool2d`: (N, C, H, W) → (N, C, Ho, Wo).

    An output size of 1 gives global average pooling.
    """

    def forward(self, input: Tensor) -> Tensor:
        # torch's type of an output size allows None, its functions do not.
        return adaptive_avg_pool2d(input, self.output_size, self.algorithm)  # type: ignore[arg-type]


class AdaptiveMaxPool2d(HasAlgorithm, torch.nn.AdaptiveMaxPool2d):
    """torch.nn.AdaptiveMaxPool2d computed by `repronet.functional.adaptive_max_pool2d`.

    (N, C, H, W) → (N, C, Ho, Wo).
    """

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return adaptive_max_pool2d(input, self.output_size, self.return_indices, self.algorithm)  # type: ignore[arg-type]


class FeaturePool(Layer):
    """L2 norm of neighbouring channels by `repronet.functional.feature_pool`: (N, C, H, W) → (N, C/pool_size, H, W).

    torch has no such layer.
    """

    def __init__(self, pool_size: int):
        super().__init__()
        self.pool_size = pool_size

    def forward(self, input: Tensor) -> Tensor:
        return feature_pool(input, self.pool_size)

    def extra_repr(self) -> str:
        return f"pool_size={self.pool_size}"
