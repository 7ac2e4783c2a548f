"""From an image to what a network sees: the same as in training, for every preprocessing, through a checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from repronet import runs
from repronet.config.build import assemble
from repronet.config.compose import compose
from repronet.config.schema_runs import PROTOCOLS
from repronet.data.eval_transform import DENSE, PIXEL_MAPS, VIEWS, EvalTransform, ten_crops
from repronet.data.preprocessing import PixelMap
from repronet.errors import UserError
from repronet.session.run import train
from repronet.training.checkpoints import read_checkpoint, write_checkpoint
from repronet.training.classifier import of_run

PREPROCESSINGS = ("standardize", "scale", "per_pixel_mean", "per_image", "global_contrast", "local_contrast", "zca")


@pytest.mark.parametrize("name", PREPROCESSINGS)
@pytest.mark.parametrize("fit", ["pad", pytest.param("resize", marks=pytest.mark.slow)])
def test_an_image_is_seen_as_an_image_of_the_dataset_was(tmp_path, name, fit):
    data = assemble(compose("train", [f"preprocessing={name}", f"data.fit={fit}", "layers=torch"])).data
    torch.save(data.eval_transform.plain(), tmp_path / "transform")
    transform = EvalTransform.of(torch.load(tmp_path / "transform", weights_only=True))
    (images, _), *_ = data.val_dataloader()
    seen = torch.cat([transform.views(image, "center") for image in data.val.images[:8]])
    # Whitening multiplies by up to 1/√ε, and sums over one image in another order than over five hundred.
    torch.testing.assert_close(seen, images[:8], rtol=0, atol=1e-4 if name == "zca" else 1e-6)


def test_colours_become_grey_for_a_network_of_one_channel():
    transform = EvalTransform(("a", "b"), 1, 4, 4, False, PixelMap.scale(0.0, 255.0, 1))
    red = torch.zeros(3, 4, 4, dtype=torch.uint8)
    red[0] = 100
    assert transform.views(red, "center").unique().tolist() == [30.0]


@pytest.mark.parametrize("protocol", ["center", "ten_crop", "multi_scale", "crops_144"])
def test_grey_becomes_colour_for_a_network_of_three_channels(protocol):
    transform = EvalTransform(("a", "b"), 3, 8, 8, False, PixelMap.scale(0.0, 255.0, 3))
    grey = torch.arange(81, dtype=torch.uint8).view(9, 9)
    assert torch.equal(
        transform.views(transform.opened(grey.numpy()), protocol), transform.views(grey.expand(3, -1, -1), protocol)
    )
    assert transform(grey.numpy()).shape == (3, 8, 8)


def test_ten_crops_by_hand():
    image = torch.arange(9).reshape(1, 3, 3)
    crops = ten_crops(image, 2)
    assert crops.shape == (10, 1, 2, 2)
    corners = [[0, 1, 3, 4], [1, 2, 4, 5], [3, 4, 6, 7], [4, 5, 7, 8], [0, 1, 3, 4]]
    assert crops[:5].flatten(1).tolist() == corners
    assert crops[5:].flatten(1).tolist() == [[b, a, d, c] for a, b, c, d in corners]


@pytest.mark.parametrize(("protocol", "count"), VIEWS.items())
@pytest.mark.parametrize("shape", [(3, 20, 31), (3, 8, 8), (3, 300, 40)])
def test_every_protocol_has_its_views_for_any_size(protocol, count, shape):
    transform = EvalTransform(("a", "b"), 3, 16, 18, False, PixelMap.scale(0.0, 1.0, 3))
    assert transform.views(torch.zeros(shape, dtype=torch.uint8), protocol).shape == (count, 3, 16, 16)


def test_the_protocols_are_those_that_can_be_asked_for():
    assert (*VIEWS, *DENSE) == PROTOCOLS
    assert list(VIEWS.values()) == [1, 10, 50, 144]


def test_multi_scale_has_the_sizes_of_its_paper():
    """He et al. 2016, section 4.1: a shorter side of 224, 256, 384, 480, 640.

    An image that brightens evenly from left to right tells how much of it a crop of 224 pixels holds.
    """
    ramp = torch.linspace(0, 255, 640).round().to(torch.uint8).expand(3, 640, 640)
    views = EvalTransform(("a", "b"), 3, 224, 256, False, PixelMap.scale(0.0, 255.0, 3)).views(ramp, "multi_scale")
    first = views[::10, 0, 0]  # (50, 3, 224, 224) → (5, 224): the top left crop of each size
    sides = 255 * 223 / (first[:, -1] - first[:, 0])
    assert sides.tolist() == pytest.approx([224, 256, 384, 480, 640], rel=0.02)


@pytest.mark.parametrize("across", [True, False])
def test_144_crops_are_those_of_their_paper(across):
    """Szegedy et al. 2015, section 7: shorter sides of 256, 288, 320, 352; of each the left, middle and right square,
    or the upper, middle and lower one; of each its corners, its middle and itself, made small, and their mirror images.

    An image twice as long as it is short, which brightens evenly along its length, tells where a view lies in it.
    """
    ramp = torch.linspace(0, 255, 704).round().to(torch.uint8).expand(3, 352, 704)
    image = ramp if across else ramp.transpose(1, 2)
    transform = EvalTransform(("a", "b"), 3, 224, 256, False, PixelMap.scale(0.0, 1.0, 3))
    views = transform.views(image, "crops_144")[:, 0]  # (144, 224, 224)
    lines = views[:, 112] if across else views[:, :, 112]  # (144, 224), along the length
    found = []
    for line in lines.unflatten(0, (4, 3, 12))[:, :, :6].reshape(-1, 224):
        length = 224 * (line[-1] - line[0]) / 223
        found.append([float(line[0] - length / 448), float(length)])  # where it begins, and what it holds
    expected = []
    for side in (256, 288, 320, 352):
        for begin in (0, side // 2, side):
            first, last, middle = begin, begin + side - 224, begin + (side - 224) // 2
            corners = (first, last, first, last) if across else (first, first, last, last)
            expected += [(place / 2 / side, 112 / side) for place in (*corners, middle)] + [(begin / 2 / side, 0.5)]
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=0, atol=0.006)
    mirrored = views.unflatten(0, (12, 2, 6))
    torch.testing.assert_close(mirrored[:, 1], mirrored[:, 0].flip(-1))


def test_the_corners_of_144_crops_are_four():
    image = torch.zeros(3, 256, 256, dtype=torch.uint8)
    image[:, 0, 0], image[:, 0, -1], image[:, -1, 0], image[:, -1, -1] = 1, 2, 3, 4
    transform = EvalTransform(("a", "b"), 3, 224, 256, False, PixelMap.scale(0.0, 255.0, 3))
    views = transform.views(image, "crops_144")[:4, 0]
    at = [(0, 0), (0, -1), (-1, 0), (-1, -1)]
    assert [int(view[place]) for view, place in zip(views, at, strict=True)] == [1, 2, 3, 4]


@pytest.mark.parametrize("damage", [{"classes": None}, {"pixel_map": {"kind": "os.system"}}, {"extra": 1}])
def test_anything_else_is_refused(damage):
    plain = EvalTransform(("a", "b"), 1, 4, 4, False, PixelMap.scale(0.0, 1.0, 1)).plain()
    with pytest.raises(UserError, match="does not record the preprocessing of its images"):
        EvalTransform.of({**plain, **damage})
    assert set(PIXEL_MAPS) == {"PixelMap", "PerPixelMean", "PerImage", "GlobalContrast", "LocalContrast", "Zca"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Noise of 320 × 240 pixels as JPEG files, of which a reduced decode makes other pixels than a whole one."""
    root, drawn = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for split, count in (("train", 3), ("val", 2)):
        for name in ("cat", "dog"):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = drawn.integers(0, 256, (240, 320, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{number}.jpg")
    return root


@pytest.mark.field
@pytest.mark.parametrize("memory", [4, 0])
@pytest.mark.parametrize("resize", ["null", "40", "original"])
def test_a_file_is_read_as_the_validation_s_were(photos, resize, memory):
    words = ["data=image_folder", f"data.root={photos}", f"data.resize={resize}", "data.workers=0", "layers=torch"]
    data = assemble(compose("train", [*words, f"data.memory={memory}"])).data
    transform = EvalTransform.of_json(data.eval_transform.to_json())
    (images, _), *_ = data.val_dataloader()
    files = sorted((photos / "val").rglob("*.jpg"))
    assert torch.equal(torch.stack([transform(file) for file in files]), images)
    reduced = torch.equal(transform(files[0]), replace(transform, read_side=None)(files[0]))
    assert reduced is (resize == "original")  # so the images can tell


def test_a_checkpoint_that_does_not_say_how_its_files_were_read(photos, tmp_path):
    words = ["data=image_folder", f"data.root={photos}", "trainer.max_epochs=1", "trainer.board=none", "data.workers=0"]
    train(compose("train", [*words, "data.batch_size=3", f"run_dir={tmp_path / 'run'}"]), Console(quiet=True))
    content = read_checkpoint(tmp_path / "run" / runs.BEST)
    side = content["ImageDataModule"]["lens"].pop("read_side")
    write_checkpoint(content, tmp_path / "run" / runs.BEST)
    assert of_run(tmp_path / "run").transform.read_side == side == 32
