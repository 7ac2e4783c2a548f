"""From pixels to numbers."""

from __future__ import annotations

import pytest
import torch

from repronet.data.preprocessing import PixelMap, PixelStatistics, pad_to
from repronet.errors import UserError


def test_statistics_against_float64_on_the_whole_tensor():
    images = torch.randint(0, 256, (50, 3, 7, 5), dtype=torch.uint8)
    statistics = PixelStatistics.of(images)
    pixels = images.double() / 255
    assert statistics.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist(), abs=1e-12)
    assert statistics.std == pytest.approx(pixels.std((0, 2, 3), correction=0).tolist(), abs=1e-12)


def test_standardized_training_images_have_mean_0_and_std_1():
    images = torch.randint(0, 200, (50, 2, 6, 6), dtype=torch.uint8)
    mapped = PixelMap.standardize(PixelStatistics.of(images))(images)
    assert mapped.dtype == torch.float32
    assert mapped.mean((0, 2, 3)).abs().max() < 1e-5
    assert (mapped.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-5


def test_a_constant_channel_is_centred_and_not_divided_by_zero():
    images = torch.full((4, 1, 3, 3), 51, dtype=torch.uint8)
    assert PixelMap.standardize(PixelStatistics.of(images))(images).abs().max() < 1e-6


def test_scale_reaches_both_ends():
    images = torch.tensor([[[[0, 255]]]], dtype=torch.uint8)
    assert PixelMap.scale(-0.1, 1.175, channels=1)(images).flatten().tolist() == pytest.approx([-0.1, 1.175])


def test_padding_centres_the_image_on_background():
    padded = pad_to(torch.full((2, 1, 28, 28), 9, dtype=torch.uint8), 32)
    assert padded.shape == (2, 1, 32, 32)
    assert padded[:, :, 2:30, 2:30].eq(9).all()
    assert padded.sum() == 2 * 28 * 28 * 9


def test_an_image_larger_than_the_network_is_refused():
    with pytest.raises(UserError, match="33×40, larger than the 32×32"):
        pad_to(torch.zeros(1, 1, 33, 40, dtype=torch.uint8), 32)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_images_stay_as_they_lie_in_memory(channels, dtype):
    images = torch.randint(0, 256, (2, channels, 5, 7)).to(dtype)
    pixel_map = PixelMap((0.3, 1.7, 2.2)[:channels], (-0.4, 0.0, 1.3)[:channels])
    wanted = pixel_map(images)
    for layout in (torch.contiguous_format, torch.channels_last):
        given = images.contiguous(memory_format=layout)
        found = pixel_map(given)
        assert torch.equal(found, wanted)
        assert found.is_contiguous(memory_format=layout)
        assert found.data_ptr() != given.data_ptr()
    assert torch.equal(pixel_map(images[:, :, 1:4, 2:6]), wanted[:, :, 1:4, 2:6])
    assert pixel_map(images[:0]).shape == images[:0].shape
