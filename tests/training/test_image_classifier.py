"""The training loss of a network with auxiliary heads."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from repronet.training.losses import LOSSES, logits_of, loss_of_heads


class Answer(NamedTuple):
    aux_logits2: Tensor  # before the logits, so that a place would mislead
    logits: Tensor
    aux_logits1: Tensor


class TwoHeads(nn.Module):
    aux_weight = 0.3


def test_heads_are_weighted_and_known_by_name():
    torch.manual_seed(0)
    first, second, third = (torch.randn(5, 4) for _ in range(3))
    labels = torch.tensor([0, 1, 2, 3, 0])
    answer = Answer(first, second, third)
    loss = loss_of_heads(TwoHeads(), answer, labels, LOSSES["cross_entropy"])
    plain = nn.functional.cross_entropy
    assert logits_of(answer) is second
    torch.testing.assert_close(loss, plain(second, labels) + 0.3 * (plain(first, labels) + plain(third, labels)))
