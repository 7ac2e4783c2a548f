"""Where the evidence for a class lies, on networks whose answer is known."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from repronet import models, runs
from repronet.data import sources
from repronet.errors import UserError
from repronet.training.classifier import of_run
from repronet.visualization.effective_field import effective_field
from repronet.visualization.layer_outputs import probe
from repronet.visualization.maximization import maximize
from repronet.visualization.rectifiers import probe_with
from repronet.visualization.saliency import gradcam, input_gradient, occlusion


class Corner(nn.Module):
    """Class 1 as far as the upper left quarter is brighter than 0.5, class 0 otherwise."""

    def forward(self, images):
        bright = images[:, :, :8, :8].mean(dim=(1, 2, 3))
        return torch.stack([torch.zeros_like(bright), 50 * (bright - 0.5)], dim=1)


def test_the_class_goes_when_its_evidence_is_covered():
    image = torch.zeros(1, 16, 16)
    image[:, :8, :8] = 1
    likely, answers = occlusion(Corner(), image, 1, side=8, stride=4)
    assert tuple(likely.shape) == (4, 4)
    assert answers[1, 1] == 0  # the square's middle at (4, 4) covers the quarter
    assert answers[3, 3] == 1
    assert likely[1, 1] < 0.01
    assert likely[3, 3] > 0.99


def test_a_square_reaches_over_the_edge():
    seen = []

    class Watching(nn.Module):
        def forward(self, images):
            seen.append(images)
            return torch.zeros(len(images), 2)

    occlusion(Watching(), torch.arange(36.0).reshape(1, 6, 6), 0, side=3, stride=5)
    changed = [(view != torch.arange(36.0).reshape(1, 6, 6)).sum().item() for view in torch.cat(seen)]
    assert changed == [4, 4, 4, 4]  # of the nine pixels, at each corner


def test_gradcam_is_class_activation_where_a_mean_and_a_sum_follow_the_maps():
    """With scores = W · mean(A), α is W / places, so the map is max(Σ W_k A_k, 0) but for a factor."""
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)
    )  # fmt: skip
    twin = probe(network)
    images = torch.randn(4, 1, 8, 8)
    labels = torch.tensor([0, 1, 0, 1])
    maps = twin[1](twin[0](images))
    expected = (twin[4].weight[labels][:, :, None, None] * maps).sum(dim=1).clamp(min=0)
    expected = expected / expected.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12)
    torch.testing.assert_close(gradcam(twin, images, labels), expected)


def test_gradcam_needs_places():
    with pytest.raises(UserError, match="have no spatial maps"):
        gradcam(probe(models.create("mlp")), torch.randn(1, 1, 28, 28), torch.tensor([0]))


def test_the_gradient_is_autograds():
    network = models.create("resnet20")
    images, labels = torch.randn(3, 3, 32, 32), torch.tensor([1, 5, 7])
    pixels = images.clone().requires_grad_()
    expected = torch.autograd.grad(network.eval()(pixels)[range(3), labels].sum(), pixels)[0]
    torch.testing.assert_close(input_gradient(probe_with(network, "gradient"), images, labels), expected)
    guided = input_gradient(probe_with(network, "guided"), images, labels)
    assert not torch.allclose(guided, expected)


def test_the_found_images_excite_their_class_beyond_every_real_one(finished_run):
    """The score is what is climbed, not the probability: an image can excite a neighbouring class even more."""
    classifier = of_run(finished_run, runs.BEST)
    network = probe(classifier.network)
    labels = torch.arange(10)
    images = maximize(network, labels, (1, 32, 32))
    scores = network(images)
    digits = sources.load("mnist5k", sources.Request(val=500)).val.images
    real = network(torch.cat([classifier.transform.views(digit, "center") for digit in digits])).amax(dim=0)
    assert (scores.diagonal() > 2 * real).all()
    assert (scores.argmax(dim=1) == labels).sum() >= 8
    assert torch.equal(images, maximize(network, labels, (1, 32, 32)))


def test_the_effective_field_lies_within_the_theoretical():
    heat = effective_field(probe(models.create("lenet5")), torch.randn(8, 1, 32, 32), ["c1", "c3"])
    assert heat["c1"].max() == 1
    assert torch.count_nonzero(heat["c1"]) <= 25
    inside = heat["c1"][14:19, 14:19]
    assert torch.count_nonzero(inside) == torch.count_nonzero(heat["c1"])
    assert 25 < torch.count_nonzero(heat["c3"]) <= 14 * 14
