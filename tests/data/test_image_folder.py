"""Folders of images: their splits, where pixels come from, and what is said when something is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from repronet.data import image_folder as module
from repronet.data.cuts import Cut
from repronet.data.decoded import log as decoding_log
from repronet.data.image_folder import Reading, image_folder, imagenet, imagenette
from repronet.data.images import ImageFiles, ImageStore, fits
from repronet.data.preprocessing import PixelStatistics
from repronet.errors import UserError

CLASSES = ("bee", "cat")
COUNT = 10  # a class and split


def write(folder, count=COUNT, classes=CLASSES, start=0):
    for label in classes:
        (folder / label).mkdir(parents=True)
        for number in range(start, start + count):
            rng = np.random.default_rng([CLASSES.index(label), number])
            height, width = 20 + number % 5, 30 + number % 7
            Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(
                folder / label / f"{number}.png"
            )


@pytest.fixture
def reading(tmp_path):
    return Reading(short_side=16, memory=1.0, cache=tmp_path / "cache")


def sizes(data) -> tuple[int, int, int | None]:
    return len(data.train), len(data.val), None if data.test is None else len(data.test)


def test_one_folder_of_classes_is_split_by_share_and_seed(tmp_path, reading):
    write(tmp_path / "photos")
    data = image_folder(tmp_path / "photos", reading, Cut(0.2, 0.3, seed=0))
    assert sizes(data) == (11, 3, 6)
    assert data.classes == CLASSES
    assert torch.bincount(data.test.labels).tolist() == [3, 3]
    places = [set(split.index.tolist()) for split in (data.train, data.val, data.test)]
    assert set.union(*places) == set(range(20))
    again = image_folder(tmp_path / "photos", reading, Cut(0.2, 0.3, seed=0))
    other = image_folder(tmp_path / "photos", reading, Cut(0.2, 0.3, seed=1))
    assert torch.equal(again.test.index, data.test.index)
    assert not torch.equal(other.test.index, data.test.index)


def test_the_folders_that_are_there_are_the_splits(tmp_path, reading):
    for split, count in (("train", 10), ("valid", 4), ("test", 3)):
        write(tmp_path / split, count)
    assert sizes(image_folder(tmp_path, reading, Cut(0.2, 0.3, seed=0))) == (20, 8, 6)


def test_a_val_folder_alone_leaves_no_test(tmp_path, reading):
    write(tmp_path / "train")
    write(tmp_path / "val", 4)
    assert sizes(image_folder(tmp_path, reading, Cut(0.2, 0.3, seed=0))) == (20, 8, None)


def test_a_test_folder_alone_has_validation_carved(tmp_path, reading):
    write(tmp_path / "train")
    write(tmp_path / "test", 4)
    assert sizes(image_folder(tmp_path, reading, Cut(4, 0.3, seed=0))) == (16, 4, 8)


def test_labels_follow_training_where_a_split_lacks_a_class(tmp_path, reading):
    write(tmp_path / "train")
    write(tmp_path / "val", 4)
    write(tmp_path / "test", 4, classes=("cat",))
    assert image_folder(tmp_path, reading, Cut(0.2, 0.3, seed=0)).test.labels.tolist() == [1, 1, 1, 1]


def test_memory_and_disk_give_the_same_pixels(tmp_path, reading):
    write(tmp_path / "photos")
    kept = image_folder(tmp_path / "photos", reading, Cut(0.2, 0.3, seed=0))
    left = image_folder(tmp_path / "photos", Reading(16, 0.0, reading.cache), Cut(0.2, 0.3, seed=0))
    assert isinstance(kept.train.images, ImageStore)
    assert isinstance(left.train.images, ImageFiles)
    for index in range(len(kept.train)):
        image = kept.train.image(index)
        assert min(image.shape[-2:]) == 16
        assert torch.equal(image, left.train.image(index))
        assert image.stride() == left.train.image(index).stride()


def test_images_are_decoded_once(tmp_path, reading, monkeypatch):
    write(tmp_path / "photos")
    image_folder(tmp_path / "photos", reading, Cut(0.2, 0.3, seed=0))
    monkeypatch.setattr("repronet.data.images.read_image", lambda *_: pytest.fail("decoded again"))
    image_folder(tmp_path / "photos", reading, Cut(0.2, 0.3, seed=0))


def test_a_changed_image_is_decoded_anew(tmp_path, reading):
    write(tmp_path / "photos")
    image_folder(tmp_path / "photos", reading, Cut(0.2, 0.3, seed=0))
    Image.new("RGB", (20, 20), (1, 2, 3)).save(tmp_path / "photos" / "bee" / "0.png")
    whole = image_folder(tmp_path / "photos", reading, Cut(0.2, 0.3, seed=0)).train.images
    assert whole[0][:, 5, 5].tolist() == [1, 2, 3]


def test_statistics_are_of_the_training_pixels_and_kept(tmp_path, reading, monkeypatch):
    write(tmp_path / "photos")
    train = image_folder(tmp_path / "photos", Reading(None, 0.0, reading.cache), Cut(0.2, 0.3, seed=0)).train
    flat = torch.cat([train.image(index).flatten(1) for index in range(len(train))], dim=1)
    expected = PixelStatistics.of(flat[None, :, :, None])
    assert train.statistics() == expected
    monkeypatch.setattr("repronet.data.images.read_image", lambda *_: pytest.fail("decoded again"))
    assert train.statistics() == expected


def test_how_much_fits():
    assert fits(10_000, 256, 2.7)
    assert not fits(10_000, 256, 2.6)
    assert not fits(1, None, 1000)  # of unknown size


def test_a_bad_image_is_named(tmp_path, reading):
    write(tmp_path / "photos")
    (tmp_path / "photos" / "bee" / "3.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"bee/3\.png: not an image"):
        image_folder(tmp_path / "photos", reading, Cut(0.2, 0.3, seed=0))


def test_what_lies_among_the_images_is_said(tmp_path, reading, caplog):
    write(tmp_path / "photos")
    (tmp_path / "photos" / "bee" / "notes.txt").write_text("hello")
    with caplog.at_level("INFO", decoding_log.name.rpartition(".")[0]):
        image_folder(tmp_path / "photos", reading, Cut(0.2, 0.3, seed=0))
    assert any("left out" in record.getMessage() and "notes.txt" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("val", "test", "message"),
    [
        ("paper", 0.1, "only works for published datasets"),
        (0.001, 0.1, "data.val=0.001: takes 0 of 18 images"),
        (40, 0.1, "data.val=40: takes 40 of 18 images"),
        (0.1, 20, "data.test=20: takes 20 of 20 images"),
    ],
)
def test_shares_that_leave_nothing(tmp_path, reading, val, test, message):
    write(tmp_path / "photos")
    with pytest.raises(UserError, match=message):
        image_folder(tmp_path / "photos", reading, Cut(val, test, seed=0))


def test_no_root(reading):
    with pytest.raises(UserError, match=r"data\.root must name the folder"):
        image_folder(None, reading, Cut(0.1, 0.1, seed=0))
    with pytest.raises(UserError, match="asks for an account"):
        imagenet(None, reading, 0.1)


def test_imagenette_names_its_classes_and_tests_on_val(tmp_path, reading, monkeypatch):
    monkeypatch.setattr(module, "IMAGENETTE_CLASSES", {"bee": "honey bee"})
    write(tmp_path / "imagenette2-320" / "train")
    write(tmp_path / "imagenette2-320" / "val", 4)
    data = imagenette(tmp_path, tmp_path / "unused", reading, 0.1)
    assert sizes(data) == (18, 2, 8)
    assert data.classes == ("honey bee", "cat")


def test_imagenette_is_downloaded_whole_or_not_at_all(tmp_path, reading, monkeypatch):
    def cut(folder, **_):
        write(tmp_path / "elsewhere")
        raise RuntimeError("connection reset")

    monkeypatch.setattr("torchvision.datasets.Imagenette", cut)
    target = tmp_path / "sets"
    target.mkdir()
    with pytest.raises(UserError, match=r"data=imagenette: no copy under .* \(connection reset\)"):
        imagenette(target, target, reading, 0.1)
    assert list(target.iterdir()) == []

    def deliver(folder, **_):
        write(type(target)(folder) / "imagenette2-320" / "train")
        write(type(target)(folder) / "imagenette2-320" / "val")

    monkeypatch.setattr("torchvision.datasets.Imagenette", deliver)
    assert sizes(imagenette(target, target, reading, 0.1)) == (18, 2, 20)


def test_imagenet_needs_both_folders(tmp_path, reading):
    write(tmp_path / "train")
    wanted = r"imagenet has train/<wnid>/ and val/<wnid>/; there is "
    with pytest.raises(UserError, match=wanted + "train/$"):
        imagenet(tmp_path, reading, 0.1)
    with pytest.raises(UserError, match=wanted + "neither$"):
        imagenet(tmp_path / "train", reading, 0.1)
    write(tmp_path / "val", 4)
    assert sizes(imagenet(tmp_path, reading, 0.1)) == (18, 2, 8)


def spoil(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"no image")


def test_all_images_that_cannot_be_read_are_named_at_once(tmp_path, reading):
    write(tmp_path / "photos")
    bad = ["cat/1.png", "cat/5.png", "bee/3.png"]
    spoil(tmp_path / "photos", *bad)
    with pytest.raises(UserError, match=r"^3 images cannot be read; data\.on_error=skip leaves them out: ") as caught:
        image_folder(tmp_path / "photos", reading, Cut(0.2, 0.3, seed=0))
    assert all(f"photos/{name} (not an image)" in str(caught.value) for name in bad)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("memory", [1.0, 0.0])
def test_images_that_cannot_be_read_are_left_out_and_named(tmp_path, reading, memory, caplog):
    write(tmp_path / "photos")
    spoil(tmp_path / "photos", "cat/1.png", "bee/3.png")
    (tmp_path / "photos" / "bee" / "loop.png").symlink_to("loop.png")
    (tmp_path / "photos" / "bee" / "gone.png").symlink_to("nowhere.png")
    tolerant = replace(reading, max_skipped=0.2, memory=memory)
    for _ in range(2):  # looked for, and remembered
        caplog.clear()
        data = image_folder(tmp_path / "photos", tolerant, Cut(4, 4, seed=0))
        assert sizes(data) == (10, 4, 4)
        assert all(data.train.image(row).shape[0] == 3 for row in range(10))
        said = caplog.text
        assert "left out: 4 of 22 images, which cannot be read" in said
        assert all(f"bee/{name}.png: " in said for name in ("3", "loop", "gone"))


def test_too_many_images_that_cannot_be_read_are_refused(tmp_path, reading):
    write(tmp_path / "photos")
    spoil(tmp_path / "photos", "cat/1.png", "bee/3.png")
    for limit in (0.05, 1):
        with pytest.raises(UserError, match=rf"max_skipped={limit}: 2 of 20 images cannot be read: .*bee/3\.png"):
            image_folder(tmp_path / "photos", replace(reading, max_skipped=limit), Cut(4, 4, seed=0))
    spoil(tmp_path / "photos", *(f"bee/{number}.png" for number in range(10)))
    with pytest.raises(UserError, match=r"no image of the class of .*bee.* can be read; fill or remove that class"):
        image_folder(tmp_path / "photos", replace(reading, max_skipped=0.9), Cut(4, 4, seed=0))


def test_a_long_list_is_shortened(tmp_path, reading):
    write(tmp_path / "photos", 30)
    spoil(tmp_path / "photos", *(f"cat/{number}.png" for number in range(25)))
    with pytest.raises(UserError, match=r"^25 images cannot be read; .*; and 5 more, which repronet data check lists"):
        image_folder(tmp_path / "photos", reading, Cut(4, 4, seed=0))
