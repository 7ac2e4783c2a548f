"""Preprocessing that is fitted to, or looks at, whole images."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from repronet.data.whitening import GlobalContrast, LocalContrast, PerImage, PerPixelMean, Zca
from repronet.errors import UserError
from repronet.layers import LocalContrastNorm


def drawn(count: int = 400, *shape: int) -> Tensor:
    """Pixels that depend on their neighbours, as in images."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(count, *(shape or (2, 6, 6)), generator=generator)
    smooth = noise.cumsum(-1).cumsum(-2)
    return (255 * smooth / smooth.amax()).to(torch.uint8)


def test_per_pixel_mean_centres_every_pixel():
    images = drawn()
    mapped = PerPixelMean.of(images)(images)
    assert mapped.dtype == torch.float32
    assert mapped.mean(0).abs().max() < 1e-6
    torch.testing.assert_close(mapped[3], images[3] / 255 - (images / 255).mean(0), atol=1e-6, rtol=0)


def test_per_pixel_mean_is_that_of_the_training_images():
    train, other = drawn(), drawn(10).flip(-1)
    torch.testing.assert_close(PerPixelMean.of(train)(other) + PerPixelMean.of(train).mean, other / 255)


def test_per_image_gives_each_image_mean_0_and_deviation_1():
    mapped = PerImage()(drawn())
    assert mapped.mean((1, 2, 3)).abs().max() < 1e-5
    assert (mapped.std((1, 2, 3), correction=0) - 1).abs().max() < 1e-4


@pytest.mark.parametrize("preprocessing", [PerImage(), GlobalContrast()])
def test_an_image_of_one_colour_becomes_nought(preprocessing):
    assert not preprocessing(torch.full((2, 3, 4, 4), 77, dtype=torch.uint8)).abs().gt(1e-4).any()


def test_global_contrast_by_hand():
    image = torch.tensor([[[[0, 255], [255, 0]]]], dtype=torch.uint8)  # mean 1/2, every deviation 1/2
    assert GlobalContrast()(image).flatten().tolist() == pytest.approx([-1, 1, 1, -1])
    assert GlobalContrast(scale=2, regularizer=0.75)(image).flatten().tolist() == pytest.approx([-1, 1, 1, -1])


def test_local_contrast_is_the_layers():
    images = drawn(3, 1, 12, 12)
    torch.testing.assert_close(LocalContrast(5)(images), LocalContrastNorm(5)(images / 255))


def test_zca_makes_pixels_uncorrelated_and_changes_little():
    images = drawn(2000, 1, 5, 5)
    whitening = Zca.of(images, epsilon=1e-9)
    flat = whitening(images).flatten(1).double()
    covariance = flat.t() @ flat / len(flat)
    # Every image has mean 0, so one direction of the 25 has no spread.
    values = torch.linalg.eigvalsh(covariance)
    torch.testing.assert_close(values, torch.tensor([0.0] + [1.0] * 24).double(), atol=2e-3, rtol=0)
    torch.testing.assert_close(whitening.matrix, whitening.matrix.t(), atol=1e-4, rtol=1e-4)


def test_zca_refuses_large_images():
    with pytest.raises(UserError, match="preprocessing=zca: images of 3×64×64 are too large for it; up to 4096"):
        Zca.of(torch.zeros(2, 3, 64, 64, dtype=torch.uint8), epsilon=0.1)
