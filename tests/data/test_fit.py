"""Images that are not square: the middle of them, all of them on grey, or all of them out of proportion."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from repronet.data.reading import GREY, read_image, squared


@pytest.mark.parametrize(("height", "width"), [(20, 40), (40, 20), (7, 100), (500, 375)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_letterbox_holds_all_of_an_image(height, width, channels):
    box = squared(torch.full((channels, height, width), 200, dtype=torch.uint8), 32, "letterbox")
    assert box.shape == (channels, 32, 32)
    share = min(height, width) / max(height, width)
    assert (box == 200).float().mean().item() == pytest.approx(share, abs=1 / 32)
    assert ((box == 200) | (box == GREY)).all()
    inner = (box[0] == 200).nonzero()
    assert ((inner.amin(0) + inner.amax(0) - 31).abs() <= 1).all()  # it lies in the middle


def test_what_is_squashed_fills_the_square():
    image = torch.zeros(3, 20, 80, dtype=torch.uint8)
    image[:, :, 40:] = 240
    square = squared(image, 16, "squash")
    assert square.shape == (3, 16, 16)
    assert (square[:, :, :7] == 0).all()
    assert (square[:, :, 9:] == 240).all()


@pytest.mark.parametrize("fit", ["squash", "letterbox"])
def test_a_square_only_changes_its_size(fit, tmp_path):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 24, 3)).astype(np.uint8))
    image.save(tmp_path / "p.png")
    assert torch.equal(read_image(tmp_path / "p.png", 12, fit), read_image(tmp_path / "p.png", 12))
    assert torch.equal(read_image(tmp_path / "p.png", 24, fit), read_image(tmp_path / "p.png"))


@pytest.fixture
def photos(tmp_path):
    """JPEGs that are decoded at a fraction of their size, in two classes, some upright."""
    drawn = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 4), ("test", 6)):
        for period in (6, 9):
            folder = tmp_path / "photos" / split / f"waves{period}"
            folder.mkdir(parents=True)
            for number in range(count):
                rows, columns = np.mgrid[0:180, 0:320] if number % 2 else np.mgrid[0:320, 0:180]
                grey = 128 + 40 * np.sin(6.28 / period * columns) + drawn.normal(0, 50, rows.shape)
                Image.fromarray(np.stack([grey.clip(0, 255).astype(np.uint8)] * 3, -1)).save(folder / f"{number}.jpg")
    return tmp_path / "photos"


@pytest.mark.parametrize("fit", ["crop", "letterbox", "squash"])
@pytest.mark.parametrize("memory", [4, 0], ids=["in memory", "from disk"])
def test_predict_and_eval_see_what_training_saw(repronet, tmp_path, photos, fit, memory):
    """The same probabilities for the same files, to the digits that are written."""
    words = ("data=image_folder", f"data.root={photos}", f"data.fit={fit}", f"data.memory={memory}", "data.workers=0")
    recipe = ("model=lenet5", "layers=torch", "augmentation=none", "trainer.max_epochs=1", "data.batch_size=4")
    outcome = repronet("train", *words, *recipe, "run_dir=r")
    assert outcome.code == 0, outcome.err
    assert ("note: data.fit=crop: half of the images have an aspect ratio of 1.8" in outcome.out) == (fit == "crop")
    assert repronet("predict", "run=r", "images=photos/test", "out=p.csv", "top=2").code == 0
    named = {"/".join(Path(row["image"]).parts[-2:]): row for row in rows(tmp_path / "p.csv")}
    tested = {"/".join(Path(row["picture"]).parts[-2:]): row for row in rows(tmp_path / "r" / "answers.csv")}
    assert len(tested) == 12
    assert named.keys() == tested.keys()
    for name, row in tested.items():
        assert named[name]["class1"] == row["answer"]
        assert float(named[name]["probability1"]) == pytest.approx(float(row["probability"]), abs=2e-4)
    wrong = sum(row["class"] != row["answer"] for row in tested.values())
    assert f"{wrong} of 12" in repronet("eval", "run=r").out


def test_images_beside_their_table_are_looked_at_too(repronet, photos):
    files = sorted(photos.rglob("*.jpg"))
    lines = [f"{file.relative_to(photos)},{file.parent.name}" for file in files]
    (photos / "labels.csv").write_text("\n".join(["image,label", *lines]))
    words = ("data=table", f"data.file={photos / 'labels.csv'}", "model=lenet5", "layers=torch", "augmentation=none")
    outcome = repronet("train", *words, "trainer.max_epochs=1", "data.batch_size=4", "trainer.board=none")
    assert "note: data.fit=crop: half of the images have an aspect ratio of 1.8 or more" in outcome.out


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_squares_have_a_size(repronet, photos):
    outcome = repronet("train", "data=image_folder", f"data.root={photos}", "data.fit=squash", "data.resize=original")
    assert outcome.err == "repronet: data.fit=squash: makes squares of one size; leave out data.resize=original\n"
