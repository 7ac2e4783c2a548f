"""Features and their map."""

from __future__ import annotations

import pytest
import torch

from repronet import models
from repronet.visualization.embedding import features, head_name, neighbours_error, tsne
from repronet.visualization.layer_outputs import probe


@pytest.mark.parametrize(
    ("name", "head", "size"),
    [
        ("lenet5", "output", 84),
        ("lenet5_1998", "output", 84),
        ("resnet20", "fc", 64),
        ("nin", "block3.4", 192),
        ("mlp", "output", 100),
        pytest.param("densenet40_12", "classifier", 448, marks=pytest.mark.slow),
    ],
)
def test_features_are_what_the_last_layer_is_given(name, head, size):
    network = probe(models.create(name))
    channels = 1 if name in ("lenet5", "lenet5_1998", "mlp") else 3
    images = torch.randn(3, channels, network.input_size, network.input_size)
    assert head_name(network) == head
    assert tuple(features(network, images).shape) == (3, size)


def test_lenets_features_give_its_scores():
    network = probe(models.create("lenet5"))
    images = torch.randn(300, 1, 32, 32)
    torch.testing.assert_close(network.output(features(network, images)), network(images))


def test_auxiliary_heads_are_not_asked():
    assert head_name(models.create("googlenet")) == "fc"
    assert head_name(models.create("inception_v3")) == "fc"


def test_groups_stay_apart_in_the_plane():
    centres = 8 * torch.randn(4, 60, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(200) % 4
    points = centres[labels] + torch.randn(200, 60, generator=torch.Generator().manual_seed(1))
    laid_out = tsne(points, seed=3)
    assert tuple(laid_out.shape) == (200, 2)
    assert neighbours_error(laid_out, labels) == 0
    assert torch.equal(laid_out, tsne(points, seed=3))


def test_the_error_of_neighbours_by_hand():
    points = torch.tensor([[0.0, 0], [0, 1], [0, 2], [9, 0], [9, 1], [9, 2]])
    assert neighbours_error(points, torch.tensor([0, 0, 0, 1, 1, 1]), 2) == 0
    # The one labelled otherwise has two of the others beside it; for each of those the tie goes to the lesser label.
    assert neighbours_error(points, torch.tensor([0, 0, 1, 1, 1, 1]), 2) == pytest.approx(1 / 6)
