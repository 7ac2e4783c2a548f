"""Images that were saved again, scaled or made lighter are found; others are not."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image

from repronet.data.near_duplicates import grey_copy, near_duplicates, perceptual_hash


def scene(seed: int, height: int = 90, width: int = 120) -> torch.Tensor:
    """Smooth random colours, as photographs have them: uint8 (3, H, W)."""
    drawn = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    return (F.interpolate(drawn, (height, width), mode="bicubic")[0].clamp(0, 1) * 255).to(torch.uint8)


def jpeg(image: torch.Tensor, tmp_path, quality: int) -> torch.Tensor:
    to_pil_image(image).save(tmp_path / "again.jpg", quality=quality)
    return pil_to_tensor(Image.open(tmp_path / "again.jpg"))


def test_what_was_changed_a_little_is_found_the_most_alike_first(tmp_path):
    first = scene(0)
    noise = torch.randint(-60, 60, first.shape, generator=torch.Generator().manual_seed(1))
    changed = [
        jpeg(first, tmp_path, 90),
        F.interpolate(first[None].float(), (45, 60), mode="area")[0].to(torch.uint8),
        (first.float() * 0.8 + 10).to(torch.uint8),
        (first + noise).clamp(0, 255).to(torch.uint8),
    ]
    found = near_duplicates([first, *map(scene, range(1, 40)), *changed])
    assert {row for one in found for row in (one.first, one.second)} == {0, 40, 41, 42, 43}
    assert [one.alike for one in found] == sorted((one.alike for one in found), reverse=True)
    assert all(0.98 <= one.alike <= 1 + 1e-6 for one in found)


def test_the_same_low_frequencies_are_not_enough():
    """A fine pattern over the image leaves the hash as it is."""
    plain = scene(0, 32, 32) // 4 + 90
    rows, columns = torch.arange(32)[:, None], torch.arange(32)
    pattern = ((rows + columns) % 2 * 100).to(torch.uint8)
    hashes = [perceptual_hash(grey_copy(one)) for one in (plain, plain // 2 + pattern)]
    assert (hashes[0] ^ hashes[1]).bit_count() <= 4
    assert near_duplicates([plain, plain // 2 + pattern]) == []


def test_images_without_contrast_are_like_no_other():
    grey = torch.full((3, 20, 20), 128, dtype=torch.uint8)
    assert near_duplicates([grey, grey, grey // 2]) == []
    assert near_duplicates([]) == []


def test_rows_beyond_those_compared_at_once(monkeypatch):
    monkeypatch.setattr("repronet.data.near_duplicates.ROWS", 3)
    images = [scene(seed) for seed in range(10)]
    found = near_duplicates([*images, images[0], images[9]])
    assert {(one.first, one.second) for one in found} == {(0, 10), (9, 11)}
    assert found[0].alike == pytest.approx(1)


def test_the_hash_knows_half_of_the_frequencies():
    assert 30 <= perceptual_hash(grey_copy(scene(3))).bit_count() <= 33


def test_many_copies_are_told_of_once_each():
    """Not all with all, which are half a million pairs for a thousand copies."""
    found = near_duplicates([scene(0)] * 6 + [scene(1)])
    assert len(found) == 5
    assert {row for pair in found for row in (pair.first, pair.second)} == set(range(6))
