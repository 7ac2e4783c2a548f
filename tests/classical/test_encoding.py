"""Encodings against what can be computed by hand, in plain loops, or by another library."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture

from repronet.classical.encoding import fisher_vector, nearness, posteriors, pyramid


def test_the_nearest_word_is_found():
    words = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    descriptors = torch.tensor([[[1.0, 1.0], [6.0, 1.0]], [[4.0, 9.0], [0.0, 0.0]]])
    assert nearness(descriptors, words).argmax(-1).tolist() == [[0, 1], [2, 0]]
    squares = (descriptors[:, :, None] - words).square().sum(-1)
    torch.testing.assert_close(descriptors.square().sum(-1, keepdim=True) - nearness(descriptors, words), squares)


def test_a_pyramid_by_hand():
    """Two words on 4×4 places; word 1 in the upper right quarter, and in the lower right corner."""
    words = torch.tensor([[[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 1]]])
    whole = [11, 5]
    quarters = [4, 0, 0, 4, 4, 0, 3, 1]  # of each quarter how often word 0 and word 1
    expected = torch.tensor([[*(n / 16 / 2 for n in whole), *(n / 16 / 2 for n in quarters)]])
    assert torch.equal(pyramid(words, 2, 2), expected)  # L = 1: both levels weigh 1/2


def test_the_levels_weigh_as_in_the_paper():
    """L = 2: 1/4, 1/4 and 1/2, and all places are counted in each level."""
    found = pyramid(torch.randint(3, (2, 5, 5), generator=torch.Generator().manual_seed(0)), 3, 3)
    assert found.shape == (2, 3 * 21)
    torch.testing.assert_close(found[:, :3].sum(1), torch.full((2,), 0.25))
    torch.testing.assert_close(found[:, 3:15].sum(1), torch.full((2,), 0.25))
    torch.testing.assert_close(found[:, 15:].sum(1), torch.full((2,), 0.5))


@pytest.fixture(scope="module")
def mixture() -> GaussianMixture:
    points = np.random.default_rng(0).normal(size=(200, 4)) * [1, 2, 3, 4]
    return GaussianMixture(3, covariance_type="diag", random_state=0).fit(points)


def tensors(mixture: GaussianMixture) -> list[torch.Tensor]:
    return [torch.from_numpy(values) for values in (mixture.weights_, mixture.means_, mixture.covariances_)]


def test_posteriors_are_those_of_scikit_learn(mixture):
    points = torch.randn(2, 7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 3
    expected = torch.from_numpy(mixture.predict_proba(points.flatten(0, 1).numpy())).reshape(2, 7, 3)
    torch.testing.assert_close(posteriors(points, *tensors(mixture)), expected)


def looped(descriptors, weights, means, variances, gamma) -> list[float]:
    """The two derivatives, number by number."""
    places, found = len(descriptors), []
    for k, weight in enumerate(weights):
        for d in range(len(means[k])):
            total = sum(
                g[k] * (x[d] - means[k][d]) / math.sqrt(variances[k][d])
                for x, g in zip(descriptors, gamma, strict=True)
            )
            found.append(total / (places * math.sqrt(weight)))
    for k, weight in enumerate(weights):
        for d in range(len(means[k])):
            total = sum(
                g[k] * ((x[d] - means[k][d]) ** 2 / variances[k][d] - 1)
                for x, g in zip(descriptors, gamma, strict=True)
            )
            found.append(total / (places * math.sqrt(2 * weight)))
    rooted = [math.copysign(math.sqrt(abs(number)), number) for number in found]
    length = math.sqrt(sum(number**2 for number in rooted))
    return [number / length for number in rooted]


def test_a_fisher_vector_is_what_loops_compute(mixture):
    points = torch.randn(2, 7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 3
    found = fisher_vector(points, *tensors(mixture))
    for image, vector in zip(points, found, strict=True):
        gamma = mixture.predict_proba(image.numpy()).tolist()
        plain = [part.tolist() for part in tensors(mixture)]
        torch.testing.assert_close(vector, torch.tensor(looped(image.tolist(), *plain, gamma), dtype=torch.float64))


def test_a_fisher_vector_is_that_of_scikit_image(mixture):
    """Its first K numbers are derivatives by the weights, which the paper leaves out; its last have the other sign."""
    feature = pytest.importorskip("skimage.feature", reason="the reference is scikit-image's")
    points = torch.randn(1, 9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) * 3
    theirs = torch.from_numpy(feature.fisher_vector(points[0].numpy(), mixture, improved=True))[3:]
    theirs[12:] *= -1
    torch.testing.assert_close(fisher_vector(points, *tensors(mixture))[0], theirs / theirs.norm())
