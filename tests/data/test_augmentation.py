"""Augmentation: its effect on a known image, and that it is a function of (seed, epoch, image) alone."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from repronet.data.augmentation import NoAugmentation, PadCropFlip, PlanarAffine


def original() -> Tensor:
    """A bright 4×4 block in the middle of 16×16."""
    image = torch.zeros(1, 1, 16, 16, dtype=torch.uint8)
    image[:, :, 6:10, 6:10] = 200
    return image


def extent(image: Tensor) -> tuple[int, int]:
    """Height and width of what is brighter than half."""
    bright = image[0, 0] > 100
    return int(bright.any(1).sum()), int(bright.any(0).sum())


def drawn(policy: PlanarAffine, **values: float) -> Tensor:
    """The image under ``policy`` with the draws given and all others 0."""
    names = ("right", "down", "scale", "squeeze", "shear", "rotate")
    draws = torch.tensor([[values.get(name, 0.0) for name in names]])
    return policy(original(), draws)


def test_nothing_drawn_changes_nothing():
    assert torch.allclose(drawn(PlanarAffine(3, 0.2, 0.2, 20, 20)), original().float(), atol=1e-3)


@pytest.mark.parametrize(("draw", "axis"), [("right", 3), ("down", 2)])
def test_translation_moves_by_whole_pixels(draw, axis):
    moved = drawn(PlanarAffine(translate=2.0), **{draw: 1.0})
    assert torch.allclose(moved, original().float().roll(2, dims=axis), atol=1e-3)


def test_scale_grows_and_shrinks():
    assert extent(drawn(PlanarAffine(scale=0.5), scale=1.0)) == (6, 6)
    assert extent(drawn(PlanarAffine(scale=0.5), scale=-1.0)) == (2, 2)


def test_squeeze_trades_width_for_height():
    assert extent(drawn(PlanarAffine(squeeze=0.5), squeeze=-1.0)) == (8, 2)
    assert extent(drawn(PlanarAffine(squeeze=1.0), squeeze=1.0)) == (2, 8)


def test_rotation_by_a_right_angle_is_exact_and_clockwise():
    image = original()
    image[:, :, 6, 6:13] = 200  # an arm that points right along the top
    turned = PlanarAffine(rotate=90.0)(image, torch.tensor([[0.0, 0, 0, 0, 0, 1.0]]))
    assert torch.allclose(turned, image.float().rot90(-1, (2, 3)), atol=0.1)


def corners(policy: PlanarAffine, draws: list[float], height: int, width: int, point: tuple[float, float]):
    """Where a bright dot at ``point`` (x, y from the centre, in pixels) comes to lie, found by its centre of mass."""
    image = torch.zeros(1, 1, height, width, dtype=torch.uint8)
    x, y = round(point[0] + width / 2), round(point[1] + height / 2)
    image[0, 0, y - 1 : y + 1, x - 1 : x + 1] = 250  # 2×2 pixels around the point
    out = policy(image, torch.tensor([draws]))[0, 0]
    mass = out.sum()
    xs, ys = torch.arange(width) + 0.5 - width / 2, torch.arange(height) + 0.5 - height / 2
    return (out.sum(0) @ xs / mass).item(), (out.sum(1) @ ys / mass).item()


def test_all_distortions_together_go_where_the_matrices_say_on_an_oblong_image():
    policy = PlanarAffine(translate=3.0, scale=0.2, squeeze=0.25, shear=30.0, rotate=40.0)
    draws = [0.5, -1.0, 1.0, 1.0, 0.5, -0.75]
    x, y = 6.0, -4.0
    width, height = 1.2 * 1.25 * x, 1.2 / 1.25 * y  # scale, squeeze
    slanted = width + math.tan(math.radians(15)) * height  # shear
    angle = math.radians(-30)  # rotate, clockwise where y points down
    wanted = (
        math.cos(angle) * slanted - math.sin(angle) * height + 1.5,
        math.sin(angle) * slanted + math.cos(angle) * height - 3.0,
    )
    assert corners(policy, draws, 40, 64, (x, y)) == pytest.approx(wanted, abs=0.15)


def test_draws_go_both_ways_over_the_whole_range():
    draws = PlanarAffine().draw(2000, torch.Generator().manual_seed(0))
    assert draws.shape == (2000, 6)
    assert draws.min(0).values.max() < -0.98
    assert draws.max(0).values.min() > 0.98
    assert draws.mean(0).abs().max() < 0.05


def test_horizontal_shear_slides_rows_and_keeps_them():
    sheared = drawn(PlanarAffine(shear=45.0), shear=1.0)
    mass = original().float().sum((0, 1, 3))
    assert torch.allclose(sheared.sum((0, 1, 3)), mass, rtol=1e-3, atol=1.0)
    columns = (sheared[0, 0] * torch.arange(16.0)).sum(1)[6:10] / mass[6:10]
    assert columns.diff().abs().tolist() == pytest.approx([1.0] * 3, abs=1e-3)  # tan 45° a row


def test_strength_0_is_the_identity_whatever_is_drawn():
    draws = PlanarAffine().draw(1, torch.Generator().manual_seed(0))
    assert torch.allclose(PlanarAffine()(original(), draws), original().float(), atol=1e-3)
    assert NoAugmentation()(original(), torch.empty(1, 0)).equal(original())


def test_how_the_images_are_batched_changes_nothing():
    policy = PlanarAffine(2, 0.1, 0.1, 10, 10)
    images = torch.randint(0, 256, (10, 1, 12, 12), dtype=torch.uint8)
    draws = policy.draw(10, torch.Generator().manual_seed(1))
    whole = policy(images, draws)
    parts = torch.cat([policy(images[a:b], draws[a:b]) for a, b in ((0, 3), (3, 4), (4, 10))])
    assert torch.equal(whole, parts)


@pytest.mark.parametrize(
    ("draws", "expected"),
    [
        ([0.5, 0.5, 0.9], lambda x: x),  # the middle place of nine, not flipped
        ([0.5, 0.5, 0.1], lambda x: x.flip(-1)),
        ([0.0, 0.5, 0.9], lambda x: torch.nn.functional.pad(x, (0, 0, 4, 0))[..., :-4, :]),  # four rows further down
        ([0.5, 0.99, 0.9], lambda x: torch.nn.functional.pad(x, (0, 4, 0, 0))[..., 4:]),  # four columns further left
        ([0.99, 0.0, 0.1], lambda x: torch.nn.functional.pad(x, (4, 0, 0, 4))[..., 4:, :-4].flip(-1)),
    ],
)
def test_pad_crop_flip_by_hand(draws, expected):
    images = torch.randint(0, 256, (1, 3, 6, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    changed = PadCropFlip(padding=4)(images, torch.tensor([draws]))
    assert changed.dtype == torch.uint8
    assert torch.equal(changed, expected(images))


def test_pad_crop_flip_treats_each_image_by_its_own_draws():
    images = torch.randint(0, 256, (50, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    policy = PadCropFlip()
    draws = policy.draw(50, torch.Generator().manual_seed(1))
    together = policy(images, draws)
    alone = torch.cat([policy(images[i : i + 1], draws[i : i + 1]) for i in range(50)])
    assert torch.equal(together, alone)
    assert {bool((draw < 0.5).item()) for draw in draws[:, 2]} == {True, False}


def test_pad_crop_flip_reaches_every_place_alike():
    policy = PadCropFlip(padding=1)
    image = torch.arange(1, 10, dtype=torch.uint8).reshape(1, 1, 3, 3).expand(9000, 1, 3, 3)
    centres = policy(image, policy.draw(9000, torch.Generator().manual_seed(2)))[:, 0, 1, 1]
    counts = torch.bincount(centres.long(), minlength=10)[1:]
    assert counts.min() > 850
    assert counts.max() < 1150
