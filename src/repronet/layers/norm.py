"""Normalisation layers."""

import torch
from torch import Tensor

from repronet.functional.norm import batch_norm


class _BatchNorm(torch.nn.modules.batchnorm._BatchNorm):
    """torch.nn's batch normalisation computed by `repronet.functional.batch_norm`.

    `momentum=None` keeps the cumulative average of all batches. Without running statistics, those of the batch serve
    in evaluation too. `algorithm` names how, see there; it may be set at any time.
    """

    algorithm: str = "auto"

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        tracking = self.training and self.track_running_stats
        use_batch = self.training or (self.running_mean is None and self.running_var is None)
        keep_running = not self.training or self.track_running_stats
        return batch_norm(
            input,
            self.running_mean if keep_running else None,
            self.running_var if keep_running else None,
            self.weight,
            self.bias,
            use_batch,
            self._count_batch() if tracking else self.momentum or 0.0,
            self.eps,
            self.algorithm,
        )

    def _count_batch(self) -> float:
        """Count a training batch; the share of the running statistics that it replaces."""
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                return 1.0 / float(self.num_batches_tracked)
        return self.momentum or 0.0


class BatchNorm1d(_BatchNorm, torch.nn.BatchNorm1d):
    """torch.nn.BatchNorm1d computed by `repronet.functional.batch_norm`: (N, C) or (N, C, L), unchanged in shape."""


class BatchNorm2d(_BatchNorm, torch.nn.BatchNorm2d):
    """torch.nn.BatchNorm2d computed by `repronet.functional.batch_norm`: (N, C, H, W) → (N, C, H, W)."""
