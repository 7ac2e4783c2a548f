"""Policies: probabilities, the size that comes out, and what mixing does to images and labels."""

from __future__ import annotations

import pytest
import torch
from omegaconf import OmegaConf
from repronet.configs import __path__ as configs

from repronet.config.groups import choices
from repronet.data.augmentation_ops import OPERATIONS
from repronet.data.policy import Policy
from repronet.errors import UserError

PICTURE = torch.randint(0, 256, (3, 40, 50), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def policies() -> list[str]:
    found = {name: OmegaConf.load(f"{configs[0]}/augmentation/{name}.yaml") for name in choices("augmentation")}
    return [name for name, group in found.items() if group.name == "policy"]


def steps(name: str) -> list:
    return OmegaConf.to_container(OmegaConf.load(f"{configs[0]}/augmentation/{name}.yaml").steps)  # type: ignore


@pytest.mark.parametrize("name", policies())
@pytest.mark.parametrize("size", [32, 96])
def test_every_named_policy_brings_images_to_the_size(name, size):
    out = Policy(steps(name), size)(PICTURE, seed=1)
    assert out.shape == (3, size, size)
    assert out.dtype == torch.uint8


def test_the_lectures_palette_is_whole():
    palette = (
        "flip pad_crop crop_and_pad rotate shear affine perspective elastic translate sharpen brighten gamma invert"
    )
    rest = "colour_cast blur noise salt superpixels emboss clouds fog snow"
    assert {step["op"] for step in steps("lecture")} >= set(palette.split()) | set(rest.split())


def test_every_step_stands_in_a_policy_or_is_documented_alone():
    used = {step["op"] for name in policies() for step in steps(name)}
    assert set(OPERATIONS) - used == {"centre_crop", "hue", "grayscale", "solarize", "posterize", "equalize"}


def test_a_step_happens_as_often_as_its_probability():
    policy = Policy([{"op": "invert", "p": 0.3}], 40)
    square = PICTURE[:, :, :40]
    share = sum(torch.equal(policy(square, seed), 255 - square) for seed in range(400)) / 400
    assert share == pytest.approx(0.3, abs=0.07)


def test_what_no_step_brought_to_the_size_is_cut_from_the_middle():
    out = Policy([], 40)(PICTURE, seed=0)
    assert torch.equal(out, PICTURE[:, :, 5:45])


@pytest.mark.parametrize("op", ["mixup", "cutmix"])
def test_mixing_blends_images_and_labels_by_one_share(op):
    mixing = Policy([{"op": op, "alpha": 1.0}], 8).mixing
    assert mixing is not None
    values = torch.tensor([0.0, 1.0])
    images = values.view(2, 1, 1, 1).expand(2, 3, 8, 8).clone()
    mixed, labels = mixing(images, torch.tensor([0, 2]), 4, seed=3)
    assert mixed.shape == images.shape
    assert torch.allclose(labels.sum(1), torch.ones(2))
    share_of_one = mixed.mean((1, 2, 3))  # how much of the image of ones is in each
    assert torch.allclose(labels[:, 2], share_of_one, atol=1e-6)
    assert 0 < labels[0, 2] < 1
    assert labels[:, [1, 3]].abs().max() == 0
    again, _ = mixing(images, torch.tensor([0, 2]), 4, seed=3)
    assert torch.equal(again, mixed)


def test_mixing_that_does_not_happen_gives_certain_labels():
    mixing = Policy([{"op": "mixup", "p": 0.0}], 8).mixing
    assert mixing is not None
    images = torch.rand(3, 1, 8, 8)
    mixed, labels = mixing(images, torch.tensor([1, 0, 1]), 2, seed=0)
    assert torch.equal(mixed, images)
    assert labels.tolist() == [[0, 1], [1, 0], [0, 1]]


def test_other_steps_leave_labels_alone():
    assert Policy([{"op": "rotate"}, {"op": "erase"}], 8).mixing is None


def test_steps_are_checked():
    with pytest.raises(UserError, match="no such step"):
        Policy([{"op": "rotat"}], 8)
