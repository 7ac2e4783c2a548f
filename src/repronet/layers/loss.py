"""Losses as layers."""

import torch
from torch import Tensor

from repronet.functional.binary_loss import binary_cross_entropy_with_logits, multiclass_hinge
from repronet.functional.loss import cross_entropy, mse_loss, rbf_loss


class CrossEntropyLoss(torch.nn.CrossEntropyLoss):
    """torch.nn.CrossEntropyLoss computed by `repronet.functional.cross_entropy`."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing)


class MSELoss(torch.nn.MSELoss):
    """torch.nn.MSELoss computed by `repronet.functional.mse_loss`."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return mse_loss(input, target, self.reduction)


class BCEWithLogitsLoss(torch.nn.BCEWithLogitsLoss):
    """torch.nn.BCEWithLogitsLoss computed by `repronet.functional.binary_cross_entropy_with_logits`."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(input, target, self.weight, self.reduction, self.pos_weight)


class MultiMarginLoss(torch.nn.MultiMarginLoss):
    """torch.nn.MultiMarginLoss computed by `repronet.functional.multiclass_hinge`."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return multiclass_hinge(input, target, int(self.p), self.margin, self.weight, self.reduction)


class RBFLoss(torch.nn.Module):
    """`repronet.functional.rbf_loss`, LeNet-5's (LeCun et al. 1998, equation 9): negated distances (N, C) and labels.

    Args:
        rubbish: j, the distance of the rubbish class.
    """

    def __init__(self, rubbish: float = 10.0):
        super().__init__()
        self.rubbish = rubbish

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return rbf_loss(input, target, self.rubbish)

    def extra_repr(self) -> str:
        return f"rubbish={self.rubbish}"
