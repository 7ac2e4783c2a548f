"""Losses as layers: from scores (N, C, …) and targets to (), or without reduction one number per example or element."""

import torch
from torch import Tensor

from repronet.functional.binary_loss import binary_cross_entropy_with_logits
from repronet.functional.cross_entropy import cross_entropy
from repronet.functional.hinge_loss import multiclass_hinge
from repronet.functional.loss import mse_loss, rbf_loss
from repronet.functional.loss_reduction import require_reduction
from repronet.functional.nll_loss import nll_loss
from repronet.layers.layer import Layer


class CrossEntropyLoss(Layer, torch.nn.CrossEntropyLoss):
    """torch.nn.CrossEntropyLoss computed by `repronet.functional.cross_entropy`: (N, C, …) and (N, …) or (N, C, …)."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(Layer, torch.nn.NLLLoss):
    """torch.nn.NLLLoss computed by `repronet.functional.nll_loss`: log-probabilities (N, C, …) and labels (N, …)."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class MultiMarginLoss(Layer, torch.nn.MultiMarginLoss):
    """torch.nn.MultiMarginLoss computed by `repronet.functional.multiclass_hinge`: (N, C) and labels (N,)."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return multiclass_hinge(input, target, self.p, self.margin, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(Layer, torch.nn.BCEWithLogitsLoss):
    """torch.nn.BCEWithLogitsLoss computed by `repronet.functional.binary_cross_entropy_with_logits`: any shape."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class MSELoss(Layer, torch.nn.MSELoss):
    """torch.nn.MSELoss, the Euclidean loss, computed by `repronet.functional.mse_loss`: any shape."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return mse_loss(input, target, reduction=self.reduction)


class RBFLoss(Layer):
    """LeNet-5's criterion by `repronet.functional.rbf_loss`: negated distances (N, C, …) and labels (N, …).

    torch has no such layer.
    """

    def __init__(self, rubbish: float = 10.0, reduction: str = "mean"):
        super().__init__()
        require_reduction(reduction)
        self.rubbish = rubbish
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return rbf_loss(input, target, self.rubbish, reduction=self.reduction)

    def extra_repr(self) -> str:
        return f"rubbish={self.rubbish}"
