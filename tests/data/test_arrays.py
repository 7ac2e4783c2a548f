"""``data=npz``: what archives hold, how their numbers are read, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from repronet.data.sources import Request, load
from repronet.data.splits import of_classes
from repronet.errors import UserError

pytestmark = pytest.mark.field

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (40, 8, 6), dtype=np.uint8)
LABELS = np.arange(40) % 4


def archive(folder, **arrays):
    file = folder / "set.npz"
    np.savez(file, **arrays)
    return file


def loaded(folder, **arrays):
    return load("npz", Request(archive(folder, **arrays), val=0.1, test=0.2))


def test_medmnist_layout_keeps_its_splits(tmp_path):
    data = loaded(
        tmp_path,
        train_images=PIXELS,
        train_labels=LABELS[:, None],
        val_images=PIXELS[:8],
        val_labels=LABELS[:8, None],
        test_images=PIXELS[8:20],
        test_labels=LABELS[8:20, None],
    )
    assert (len(data.train), len(data.val), len(data.test)) == (40, 8, 12)
    assert data.train.images.shape == (40, 1, 8, 6)
    assert np.array_equal(data.test.images[:, 0].numpy(), PIXELS[8:20])
    assert data.classes == ("0", "1", "2", "3")


def test_keras_layout_has_its_validation_carved(tmp_path):
    data = loaded(tmp_path, x_train=PIXELS, y_train=LABELS, x_test=PIXELS[:4], y_test=LABELS[:4])
    assert (len(data.train), len(data.val), len(data.test)) == (36, 4, 4)
    assert torch.bincount(data.val.labels).tolist() == [1, 1, 1, 1]


def test_without_a_test_split_both_are_carved_apart(tmp_path):
    numbered = np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None], (40, 2, 2))
    data = loaded(tmp_path, train_images=numbered, train_labels=LABELS)
    seen = [set(split.images[:, 0, 0, 0].tolist()) for split in (data.train, data.val, data.test)]
    assert [len(part) for part in seen] == [29, 3, 8]
    assert set.union(*seen) == set(range(40))


def test_wide_numbers_are_scaled_and_not_clipped(tmp_path):
    wide = np.array([0, 257, 65535, 32896], dtype=np.uint16).reshape(1, 2, 2).repeat(40, 0)
    data = loaded(tmp_path, train_images=wide, train_labels=LABELS)
    assert data.train.images[0].flatten().tolist() == [0, 1, 255, 128]
    floats = np.array([0, 0.5, 1, 0.25]).reshape(1, 2, 2).repeat(40, 0)
    data = loaded(tmp_path, train_images=floats, train_labels=LABELS)
    assert data.train.images[0].flatten().tolist() == [0, 128, 255, 64]


def test_colours_last_become_channels_first(tmp_path):
    coloured = RNG.integers(0, 256, (40, 5, 4, 3), dtype=np.uint8)
    data = loaded(tmp_path, train_images=coloured, train_labels=LABELS, classes=np.array(list("abcd")))
    assert data.train.images.shape[1:] == (3, 5, 4)
    assert data.classes == ("a", "b", "c", "d")


def test_channels_may_come_first(tmp_path):
    coloured = RNG.integers(0, 256, (40, 3, 5, 4), dtype=np.uint8)
    data = loaded(tmp_path, train_images=coloured, train_labels=LABELS, test_images=coloured, test_labels=LABELS)
    assert np.array_equal(data.test.images.numpy(), coloured)


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.float32, np.float64])
def test_bytes_of_another_type_are_taken_exactly(tmp_path, kind):
    wide = PIXELS.astype(kind)
    data = loaded(tmp_path, train_images=wide, train_labels=LABELS, test_images=wide, test_labels=LABELS)
    assert np.array_equal(data.test.images[:, 0].numpy(), PIXELS)


def test_rows_of_zeros_and_ones_are_several_labels_once_one_image_has_not_one_label(tmp_path):
    bits = np.eye(4, dtype=np.uint8)[LABELS]
    bits[3] = 0
    data = loaded(tmp_path, x_train=PIXELS, y_train=bits, x_test=PIXELS[:4], y_test=np.eye(4)[[0, 1, 2, 3]])
    assert data.multilabel
    assert data.classes == ("0", "1", "2", "3")
    assert data.train.labels.shape == (36, 4)
    assert data.test.labels.tolist() == np.eye(4).tolist()
    known = {image.tobytes(): row.tolist() for image, row in zip(PIXELS, bits, strict=True)}
    for split in (data.train, data.val):
        images = split.images[:, 0].numpy()
        assert [known[np.ascontiguousarray(image).tobytes()] for image in images] == split.labels.tolist()
    chosen = of_classes(data, ["2", "0"])
    assert torch.equal(chosen.train.labels, data.train.labels[:, [2, 0]])
    with pytest.raises(UserError, match=r"train_labels \(40, 4\).*several labels per image must be so in every split"):
        loaded(tmp_path, x_train=PIXELS, y_train=bits, x_test=PIXELS[:4], y_test=LABELS[:4])


@pytest.mark.parametrize(
    "labels", [np.eye(4)[LABELS], np.eye(4, dtype=int)[LABELS], np.eye(4, dtype=bool)[LABELS], LABELS.astype(float)]
)
def test_one_hot_rows_and_whole_floats_are_labels(tmp_path, labels):
    data = loaded(tmp_path, train_images=PIXELS, train_labels=labels, test_images=PIXELS, test_labels=labels)
    assert data.test.labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pixels": PIXELS}, "holds pixels; it needs train_images and train_labels"),
        ({"train_images": PIXELS / 2, "train_labels": LABELS}, "whole numbers from 0 to 255, floats"),
        ({"train_images": PIXELS.astype(np.int32) - 1, "train_labels": LABELS}, "is int32 from -1 to 254; it must be"),
        ({"train_images": PIXELS * np.nan, "train_labels": LABELS}, "float64 from nan to nan; it must be"),
        ({"train_images": PIXELS > 9, "train_labels": LABELS}, "is bool; it must be"),
        ({"train_images": PIXELS[0], "train_labels": LABELS}, r"is \(8, 6\)"),
        ({"train_images": PIXELS, "train_labels": LABELS[:9]}, "40 train_images and 9 train_labels"),
        ({"train_images": PIXELS, "train_labels": LABELS - 1}, "has -1, which is below 0"),
        ({"train_images": PIXELS, "train_labels": LABELS + 1}, "no training image has label 0.*; subtract 1"),
        ({"train_images": PIXELS, "train_labels": np.full((40, 14), 2)}, r"\(40, 14\) and not all 0 or 1"),
        ({"train_images": PIXELS, "train_labels": np.zeros((40, 14), int)}, r"no training image has label 0$"),
        ({"train_images": PIXELS, "train_labels": LABELS / 2}, "float64 with 0.5; labels are whole numbers"),
        ({"train_images": PIXELS, "train_labels": LABELS * np.nan}, "float64 with nan; labels are whole numbers"),
        ({"train_images": PIXELS, "train_labels": LABELS.astype(str)}, r"are words; .*return_inverse=True"),
        ({"train_images": PIXELS, "train_labels": LABELS * 0}, "two classes or more"),
        ({"train_images": PIXELS, "train_labels": LABELS * 2}, "no training image has label 1"),
        ({"train_images": PIXELS, "train_labels": LABELS, "classes": np.array(["a"])}, "1 classes are named"),
        (
            {"train_images": PIXELS, "train_labels": LABELS, "test_images": PIXELS, "test_labels": LABELS + 4},
            "label 7 is in validation or test",
        ),
        (
            {"train_images": PIXELS, "train_labels": LABELS, "test_images": PIXELS[:, :5], "test_labels": LABELS},
            "differ in size",
        ),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, arrays, message):
    with pytest.raises(UserError, match=message) as caught:
        loaded(tmp_path, **arrays)
    assert "\n" not in str(caught.value)


def test_a_pickle_inside_is_refused_and_not_run(tmp_path):
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return (open, (str(ran), "w"))

    with pytest.raises(UserError, match=r"cannot be read as a \.npz archive of numbers"):
        loaded(tmp_path, train_images=np.array([Trap()], dtype=object), train_labels=LABELS)
    assert not ran.exists()


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut"])
def test_damaged_archives_are_one_line(tmp_path, content):
    file = tmp_path / "set.npz"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be read as a \.npz"):
        load("npz", Request(file))


def test_a_missing_file_and_a_missing_root(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        load("npz", Request(tmp_path / "none.npz"))
    with pytest.raises(UserError, match=r"must name the \.npz file"):
        load("npz")
