"""The squeeze-and-excitation networks against timm's ports of the authors' release."""

from __future__ import annotations

import pytest
import timm
import torch

from models.agreement import assert_same_network
from repronet import models, weights

TWINS = {
    "se_resnet50": "legacy_seresnet50",
    "se_resnet50_v1_5": "seresnet50",
    "se_resnext50_32x4d": "legacy_seresnext50_32x4d",
    "senet154": "legacy_senet154",
}


def pair(name: str, layers: str) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Ours and timm's, with timm's weights in both."""
    torch.manual_seed(0)
    theirs = timm.create_model(TWINS[name], pretrained=False)
    for statistics in (tensor for key, tensor in theirs.named_buffers() if key.endswith("running_var")):
        statistics.uniform_(0.5, 2.0)
    ours = models.create(name, layers=layers)
    weights.load(ours, theirs.state_dict())
    return ours, theirs


@pytest.mark.thorough
@pytest.mark.parametrize("layers", ["custom", "torch"])
@pytest.mark.parametrize("name", TWINS)
def test_computes_what_timm_computes(name, layers):
    ours, theirs = pair(name, layers)
    assert_same_network(ours, theirs, 224, smaller=False, same_kernels=False, load=weights.load)
