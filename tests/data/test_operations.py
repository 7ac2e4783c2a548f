"""Each augmentation step on an image where its effect is known, and that none of them leaks or loses randomness."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest
import torch
from torchvision.transforms import v2

from repronet.data.augmentation_ops import MIXING, OPERATIONS
from repronet.data.operations import PRINCIPAL_VALUES, PRINCIPAL_VECTORS
from repronet.data.policy import Policy
from repronet.errors import UserError

SIZE = 24
GREY_TOO = [op for op in OPERATIONS if op not in ("colour_cast", "pca_colour", "snow", *MIXING)]


def ramp(channels: int = 3) -> torch.Tensor:
    """Brighter to the right and downwards, a different slope for each channel, with a white mark in the upper left."""
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    image = torch.stack([40 + 3 * rows + (c + 1) * columns for c in range(channels)])
    image[:, :3, :3] = 250
    return image.to(torch.uint8)


def flat(value: int, channels: int = 3) -> torch.Tensor:
    return torch.full((channels, SIZE, SIZE), value, dtype=torch.uint8)


def changed(image: torch.Tensor, op: str, seed: int = 0, size: int = SIZE, **values) -> torch.Tensor:
    return Policy([{"op": op, "p": 1.0, **values}], size)(image, seed)


def test_flips():
    assert torch.equal(changed(ramp(), "flip"), ramp().flip(-1))
    assert torch.equal(changed(ramp(), "flip_vertical"), ramp().flip(-2))


def test_crops_are_pieces_of_the_image():
    large = torch.arange(40 * 40).view(1, 40, 40).remainder(251).to(torch.uint8)
    places = set()
    for seed in range(40):
        cropped = changed(large, "crop", seed)
        places.add((int(cropped[0, 0, 0]), int(cropped[0, 0, 1])))
        windows = large.unfold(1, SIZE, 1).unfold(2, SIZE, 1).flatten(0, 2)
        assert (windows == cropped).flatten(1).all(1).any()
    assert len(places) > 30
    assert torch.equal(changed(large, "centre_crop"), large[:, 8:32, 8:32])


def test_pad_crop_moves_by_at_most_the_padding():
    moved = changed(ramp(), "pad_crop", seed=3, padding=4)
    padded = torch.nn.functional.pad(ramp(), (4,) * 4)
    windows = padded.unfold(1, SIZE, 1).unfold(2, SIZE, 1).permute(1, 2, 0, 3, 4).flatten(0, 1)
    assert (windows == moved).flatten(1).all(1).any()


@pytest.mark.skipif("AVX" not in torch.backends.cpu.get_cpu_capability(), reason="torchvision resizes in floats here")
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("seed", range(8))
def test_random_resized_crop_is_torchvisions_to_the_bit(channels, seed):
    image = torch.randint(0, 256, (40, 57, channels), dtype=torch.uint8).permute(2, 0, 1)  # as files are read
    torch.manual_seed(seed)
    wanted = v2.RandomResizedCrop(31)(image)
    found = changed(image, "random_resized_crop", seed, size=31)
    assert torch.equal(found, wanted)
    assert found.permute(1, 2, 0).is_contiguous()


def test_random_resized_crop_takes_the_share_it_is_told():
    whole = changed(ramp(), "random_resized_crop", scale=[1, 1], ratio=[1, 1])
    assert torch.equal(whole, ramp())
    quarter = changed(ramp(), "random_resized_crop", scale=[0.25, 0.25], ratio=[1, 1], seed=5)
    assert quarter.float().std() < ramp()[:, 3:].float().std()


def test_resize_brings_the_shorter_side_into_the_range():
    tall = torch.zeros(3, 60, 30, dtype=torch.uint8)
    seen = {changed_size(tall, seed) for seed in range(30)}
    assert min(seen) >= 32
    assert max(seen) <= 36
    assert len(seen) > 2


def changed_size(image: torch.Tensor, seed: int) -> int:
    from repronet.data.operations import operation
    from repronet.data.policy import drawn_from

    with drawn_from(seed):
        out = operation("resize", {"short_side": [32, 36]}, SIZE)(image)
    assert out.shape[1] == 2 * out.shape[2]
    return out.shape[2]


def test_crop_and_pad_keeps_the_size_and_moves_the_borders():
    out = changed(flat(200), "crop_and_pad", share=0.3, seed=1)
    assert out.shape == (3, SIZE, SIZE)
    assert 0 < (out == 0).float().mean() < 0.7


def test_rotation_by_a_right_angle(monkeypatch):
    monkeypatch.setattr("torchvision.transforms.v2.RandomRotation.make_params", lambda self, _: {"angle": 90.0})
    assert torch.equal(changed(ramp(), "rotate", degrees=180), ramp().rot90(1, (1, 2)))


def test_translation_by_whole_pixels():
    out = changed(ramp(), "translate", share=0.2, seed=2)
    matches = [
        (down, right)
        for down in range(-5, 6)
        for right in range(-5, 6)
        if torch.equal(
            out[:, max(down, 0) : SIZE + min(down, 0), max(right, 0) : SIZE + min(right, 0)],
            ramp()[:, max(-down, 0) : SIZE - max(down, 0), max(-right, 0) : SIZE - max(right, 0)],
        )
    ]
    assert len(matches) == 1
    assert matches != [(0, 0)]


def test_shear_moves_rows_apart():
    stripe = torch.zeros(1, SIZE, SIZE, dtype=torch.uint8)
    stripe[:, :, 11:13] = 255
    out = changed(stripe, "shear", degrees=30, seed=1).float()
    centres = (out[0] * torch.arange(SIZE)).sum(1) / out[0].sum(1).clamp_min(1)
    inner = centres[6:18]
    steps = inner.diff()
    assert steps.abs().max() > 0.05
    assert (steps.sign() == steps.sign()[0]).all()


def test_affine_perspective_and_elastic_move_the_mark():
    for op in ("affine", "perspective", "elastic"):
        out = changed(ramp(), op, seed=4)
        assert out.shape == ramp().shape
        assert not torch.equal(out, ramp())


def test_brightness_contrast_and_saturation_by_their_formulas():
    assert torch.equal(changed(flat(100), "brighten", factor=[1.5, 1.5]), flat(150))
    assert changed(flat(100), "contrast", factor=[0.2, 0.2]).unique().item() in (99, 100)  # the library rounds down
    halved = changed(ramp(), "contrast", factor=[0.5, 0.5]).float().std().item()
    assert halved == pytest.approx(ramp().float().std().item() / 2, rel=0.05)
    grey = changed(ramp(), "saturation", factor=[0, 0])
    assert torch.equal(grey[0], grey[1])
    assert torch.equal(grey[0], grey[2])


def test_gamma_by_its_formula():
    expected = ((100 / 255) ** 2 * 255 + 0.5) // 1
    assert changed(flat(100), "gamma", gamma=[2, 2]).unique().item() == pytest.approx(expected, abs=1)


def test_hue_turns_red_and_keeps_grey():
    assert torch.equal(changed(flat(90), "hue", turn=0.5), flat(90))
    red = flat(0)
    red[0] = 200
    assert changed(red, "hue", turn=0.5, seed=1)[1:].max() > 0


def test_invert_solarize_posterize_grayscale_equalize():
    assert torch.equal(changed(ramp(), "invert"), 255 - ramp())
    assert torch.equal(changed(flat(200), "solarize", threshold=128), flat(55))
    assert torch.equal(changed(flat(100), "solarize", threshold=128), flat(100))
    assert torch.equal(changed(flat(0b10110111), "posterize", bits=3), flat(0b10100000))
    grey = changed(ramp(), "grayscale")
    assert torch.equal(grey[0], grey[2])
    assert changed(ramp(), "equalize").max() == 255


def test_sharpening_raises_the_contrast_of_an_edge():
    edge = flat(100)
    edge[:, :, SIZE // 2 :] = 150
    out = changed(edge, "sharpen", factor=2.0)
    assert out.max() > 150
    assert out.min() < 100


def test_colour_cast_shifts_each_channel_by_itself():
    out = changed(flat(128), "colour_cast", shift=0.2)
    shifts = [int(channel.unique().item()) - 128 for channel in out]
    assert len(set(shifts)) == 3
    assert max(map(abs, shifts)) <= 51


def test_pca_colour_adds_one_colour_along_the_components():
    out = changed(flat(128), "pca_colour", std=0.3, seed=1)
    added = torch.tensor([int(channel.unique().item()) - 128 for channel in out]) / 255
    draws = PRINCIPAL_VECTORS.T @ added / PRINCIPAL_VALUES
    assert draws.abs().max() < 4 * 0.3
    assert added.abs().max() > 0
    assert torch.allclose(PRINCIPAL_VECTORS.T @ PRINCIPAL_VECTORS, torch.eye(3), atol=2e-3)


def test_blur_lowers_the_deviation_and_keeps_the_mean():
    out = changed(ramp(), "blur", sigma=[2, 2]).float()
    assert out.std() < ramp().float().std()
    assert out.mean() == pytest.approx(ramp().float().mean().item(), rel=0.02)


def test_noise_has_the_deviation_it_is_told():
    out = changed(torch.full((3, 100, 100), 128, dtype=torch.uint8), "noise", sigma=0.1, size=100).float()
    assert out.std() == pytest.approx(25.5, rel=0.05)
    assert out.mean() == pytest.approx(128, abs=1)


def test_salt_hits_about_its_share_in_squares():
    out = changed(torch.zeros(3, 128, 128, dtype=torch.uint8), "salt", share=0.2, grain=4, size=128)
    assert (out == 255).float().mean() == pytest.approx(0.2, abs=0.05)
    blocks = out.unfold(1, 4, 4).unfold(2, 4, 4).flatten(3)
    assert (blocks == blocks[..., :1]).all()


def test_superpixels_are_few_colours_in_the_mean():
    noisy = (ramp(3).float() + torch.randn(3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 4).to(
        torch.uint8
    )
    out = changed(noisy, "superpixels", count=16)
    assert len(out.flatten(1).unique(dim=1).T) <= 30
    assert out.float().mean() == pytest.approx(noisy.float().mean().item(), abs=1)


def test_emboss_leaves_a_flat_image_flat_and_raises_edges():
    inner = changed(flat(100), "emboss", strength=1.0)[:, 2:-2, 2:-2]
    assert inner.unique().tolist() == [100]
    assert torch.equal(changed(ramp(), "emboss", strength=0.0), ramp())


def test_erase_takes_a_square_anywhere():
    areas = [int((changed(flat(9), "erase", seed, length=8)[0] == 0).sum()) for seed in range(60)]
    assert max(areas) == 64
    assert min(areas) >= 16  # a corner: a quarter is left
    assert len(set(areas)) > 3


def test_weather_lightens():
    for op, values in (("clouds", {"strength": 1.0}), ("fog", {"strength": 0.5}), ("snow", {"cover": 0.6})):
        out = changed(ramp(), op, **values)
        assert out.float().mean() > ramp().float().mean() + 5, op
    assert torch.equal(changed(ramp(), "clouds", strength=0.0), ramp())
    fogged = changed(flat(0), "fog", strength=0.5)
    assert fogged.min() >= 0.6 * 0.5 * 255 - 1
    assert fogged.max() <= 0.5 * 255 + 1


@pytest.mark.parametrize("op", ["randaugment", "trivial", "augmix"])
def test_whole_policies_change_most_images(op):
    outs = [changed(ramp(), op, seed) for seed in range(12)]
    assert sum(not torch.equal(out, ramp()) for out in outs) >= 8
    assert all(out.dtype == torch.uint8 and out.shape == ramp().shape for out in outs)


@pytest.mark.parametrize("op", GREY_TOO)
def test_grey_images_stay_grey(op):
    out = changed(ramp(1), op)
    assert out.shape == (1, SIZE, SIZE)
    assert out.dtype == torch.uint8


@pytest.mark.parametrize("op", ["colour_cast", "pca_colour", "snow"])
def test_steps_that_need_colours_say_so(op):
    with pytest.raises(UserError, match=f"{op} needs colours, and the images are grey"):
        changed(ramp(1), op)


@pytest.mark.parametrize("op", [op for op in OPERATIONS if op not in MIXING])
def test_the_seed_decides_and_nothing_leaks(op):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = changed(ramp(), op, seed=7)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    assert torch.equal(changed(ramp(), op, seed=7), first)
    assert torch.equal(changed(ramp().permute(1, 2, 0).contiguous().permute(2, 0, 1), op, seed=7), first)


EVERYTHING = """
import hashlib, torch
from repronet.data.policy import Policy
from repronet.data.augmentation_ops import MIXING, OPERATIONS
image = torch.arange(3 * 24 * 24).remainder(251).to(torch.uint8).view(3, 24, 24)
digest = hashlib.sha256()
for op in OPERATIONS:
    if op not in MIXING:
        digest.update(Policy([{"op": op, "p": 1.0}], 24)(image, 11).numpy().tobytes())
print(digest.hexdigest())
"""


@pytest.mark.slow
def test_another_process_makes_the_same_images():
    image = torch.arange(3 * 24 * 24).remainder(251).to(torch.uint8).view(3, 24, 24)
    digest = hashlib.sha256()
    for op in OPERATIONS:
        if op not in MIXING:
            digest.update(changed(image, op, seed=11).numpy().tobytes())
    done = subprocess.run([sys.executable, "-c", EVERYTHING], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest.hexdigest()


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "kornia.contrib", None)
    with pytest.raises(UserError, match=r"fog needs kornia: pip install kornia"):
        changed(ramp(), "fog")
