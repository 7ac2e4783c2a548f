"""Losses by the names that configs use."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from repronet.functional import cross_entropy, rbf_loss

Loss = Callable[[Tensor, Tensor], Tensor]  # logits (N, classes), labels (N,) → mean loss, ()

LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "rbf_map": rbf_loss}
