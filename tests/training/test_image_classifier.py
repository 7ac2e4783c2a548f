"""What ImageClassifier hands to its network, and the loss of one with auxiliary heads."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from repronet import ImageClassifier
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


@pytest.mark.parametrize("channels_last", [False, True])
def test_the_network_sees_one_layout_whatever_the_loader_deals(channels_last):
    layouts = (torch.contiguous_format, torch.channels_last)
    classifier = ImageClassifier("resnet20", num_classes=3, channels_last=channels_last)
    seen = []
    classifier.network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    for layout in layouts:
        classifier(torch.rand(2, 3, 32, 32).contiguous(memory_format=layout))
    assert all(images.is_contiguous(memory_format=layouts[channels_last]) for images in seen)
