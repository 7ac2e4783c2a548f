"""Normalisation layers."""

import torch
from torch import Tensor

from repronet.functional.layer_norm import group_norm, layer_norm
from repronet.functional.local_norm import (
    local_contrast_norm,
    local_response_norm,
    local_response_norm_krizhevsky,
    local_response_norm_within_maps,
)
from repronet.functional.norm import batch_norm
from repronet.functional.norm_relu import batch_norm_relu
from repronet.functional.synchronized_norm import several_processes, synchronized_batch_norm
from repronet.layers.has_algorithm import HasAlgorithm
from repronet.layers.layer import Layer


class _BatchNorm(HasAlgorithm, torch.nn.modules.batchnorm._BatchNorm):
    """torch.nn's batch normalisation computed by `repronet.functional.batch_norm`.

    `momentum=None` keeps the cumulative average of all batches. Without running statistics, evaluation uses those of
    the batch too. `algorithm` is that function's argument; it can be set at any time. If `synchronized`, training uses
    statistics over the batches of all processes, by `repronet.functional.synchronized_norm`.
    """

    synchronized = False

    def forward(self, input: Tensor) -> Tensor:
        running_mean, running_var, use_batch, momentum = self._settings(input)
        if self.synchronized and self.training and several_processes():
            return synchronized_batch_norm(input, running_mean, running_var, self.weight, self.bias, momentum, self.eps)
        return batch_norm(
            input, running_mean, running_var, self.weight, self.bias, use_batch, momentum, self.eps, self.algorithm
        )

    def with_relu(self, input: Tensor, residual: Tensor | None) -> Tensor:
        """max(0, forward(input) + residual) by `repronet.functional.batch_norm_relu`; hooks are not called."""
        running_mean, running_var, use_batch, momentum = self._settings(input)
        parameters = self.weight, self.bias, residual
        how = use_batch, momentum, self.eps, self.algorithm
        return batch_norm_relu(input, running_mean, running_var, *parameters, *how)

    def _settings(self, input: Tensor) -> tuple[Tensor | None, Tensor | None, bool, float]:
        """Running mean and variance, whether to use the batch's own instead, and the momentum."""
        self._check_input_dim(input)
        tracking = self.training and self.track_running_stats
        use_batch = self.training or (self.running_mean is None and self.running_var is None)
        keep_running = not self.training or self.track_running_stats
        return (
            self.running_mean if keep_running else None,
            self.running_var if keep_running else None,
            use_batch,
            self._count_batch() if tracking else self.momentum or 0.0,
        )

    def _count_batch(self) -> float:
        """Count a training batch and return the fraction of the running statistics that it replaces."""
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                return 1.0 / float(self.num_batches_tracked)
        return self.momentum or 0.0


class BatchNorm1d(_BatchNorm, torch.nn.BatchNorm1d):
    """torch.nn.BatchNorm1d computed by `repronet.functional.batch_norm`: (N, C) or (N, C, L), unchanged in shape."""


class BatchNorm2d(_BatchNorm, torch.nn.BatchNorm2d):
    """torch.nn.BatchNorm2d computed by `repronet.functional.batch_norm`: (N, C, H, W) → (N, C, H, W)."""


class LayerNorm(Layer, torch.nn.LayerNorm):
    """torch.nn.LayerNorm computed by `repronet.functional.layer_norm`: `(…, *normalized_shape)`, unchanged in shape."""

    def forward(self, input: Tensor) -> Tensor:
        return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


class GroupNorm(Layer, torch.nn.GroupNorm):
    """torch.nn.GroupNorm computed by `repronet.functional.group_norm`: (N, C, …), unchanged in shape."""

    def forward(self, input: Tensor) -> Tensor:
        return group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


class LocalResponseNorm(Layer, torch.nn.LocalResponseNorm):
    """torch.nn.LocalResponseNorm computed by `repronet.functional.local_response_norm`: α is divided by the size."""

    def forward(self, input: Tensor) -> Tensor:
        return local_response_norm(input, self.size, self.alpha, self.beta, self.k)


class KrizhevskyResponseNorm(Layer, torch.nn.LocalResponseNorm):
    """AlexNet's response norm by `repronet.functional.local_response_norm_krizhevsky`, defaults as in AlexNet."""

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0):
        super().__init__(size, alpha, beta, k)

    def forward(self, input: Tensor) -> Tensor:
        return local_response_norm_krizhevsky(input, self.size, self.alpha, self.beta, self.k)


class ResponseNormWithinMaps(Layer, torch.nn.LocalResponseNorm):
    """cuda-convnet's norm by `repronet.functional.local_response_norm_within_maps`: (N, C, H, W) → the same shape."""

    def __init__(self, size: int = 3, alpha: float = 5e-5, beta: float = 0.75, k: float = 1.0):
        super().__init__(size, alpha, beta, k)

    def forward(self, input: Tensor) -> Tensor:
        return local_response_norm_within_maps(input, self.size, self.alpha, self.beta, self.k)


class LocalContrastNorm(Layer):
    """`repronet.functional.local_contrast_norm` (Jarrett et al. 2009): (N, C, H, W), unchanged in shape.

    Args:
        size: side length of the Gaussian window, odd.
        deviation: standard deviation of the Gaussian; None for size/4.
    """

    def __init__(self, size: int = 9, deviation: float | None = None):
        super().__init__()
        self.size, self.deviation = size, deviation

    def forward(self, input: Tensor) -> Tensor:
        return local_contrast_norm(input, self.size, self.deviation)

    def extra_repr(self) -> str:
        return f"size={self.size}, deviation={self.deviation}"
