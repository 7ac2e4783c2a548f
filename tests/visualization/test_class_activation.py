"""Class activation maps add up to the scores, and are not offered where they do not."""

from __future__ import annotations

import pytest
import torch

from repronet import models
from repronet.visualization.class_activation import with_evidence


@pytest.mark.parametrize(("name", "places"), [("resnet20", 8), ("nin", 8), ("se_resnet20", 8)])
@torch.no_grad()
def test_the_mean_over_all_places_is_the_score(name, places):
    network, images = models.create(name, num_classes=7).eval(), torch.randn(2, 3, 32, 32)
    found = with_evidence(network, images[:1])
    assert found is not None
    logits, maps = found(images)
    assert maps.shape == (2, 7, places, places)
    torch.testing.assert_close(logits, network(images))
    torch.testing.assert_close(maps.mean(dim=(2, 3)), logits, rtol=1e-4, atol=1e-4)
    assert maps.std(dim=(2, 3)).max() > 0  # they tell places apart


@pytest.mark.parametrize("name", ["lenet5", "four_layer", "mlp"])
def test_a_network_that_ends_otherwise_has_none(name):
    network = models.create(name, num_classes=7).eval()
    channels = 1 if name in ("lenet5", "mlp") else 3
    assert with_evidence(network, torch.randn(1, channels, network.input_size, network.input_size)) is None


def test_maps_that_do_not_add_up_are_not_offered():
    class Doubled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.pool, self.fc = torch.nn.AdaptiveAvgPool2d(1), torch.nn.Linear(3, 2)

        def forward(self, images):
            return self.fc(2 * self.pool(images).flatten(1))

    assert with_evidence(Doubled().eval(), torch.randn(1, 3, 8, 8)) is None
