"""CIFAR-10 and CIFAR-100 out of class folders, archives and torchvision's files."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from repronet.data import cifar
from repronet.data.module import fitted_splits
from repronet.data.preprocessing import PixelStatistics
from repronet.errors import UserError
from repronet.papers.datasets import OFFICIAL_MIDDLE, OFFICIAL_TEST

COUNTS = {"train": 40, "test": 20}
CLASSES = ("cat", "dog")
SHARED = Path(__file__).resolve().parents[3] / "shared"


@pytest.fixture
def small(monkeypatch):
    """A CIFAR of 60 images."""
    monkeypatch.setattr(cifar, "_SPLITS", COUNTS)
    monkeypatch.setattr(cifar, "VALIDATION", 8)


def pixels_of(split: str, label: str, number: int) -> np.ndarray:
    seed = [list(COUNTS).index(split), CLASSES.index(label), number]
    return np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def write_images(folder: Path) -> None:
    for split, count in COUNTS.items():
        for label in CLASSES:
            (folder / split / label).mkdir(parents=True)
            for number in range(count // 2):
                Image.fromarray(pixels_of(split, label, number)).save(folder / split / label / f"{number:04}.png")


def pack(folder: Path, archive: Path) -> None:
    with tarfile.open(archive, "w:gz") as opened:
        for file in sorted(folder.rglob("*.png")):
            opened.add(file, file.relative_to(folder))


def test_images_labels_and_classes_belong_together(small, tmp_path):
    write_images(tmp_path / "cifar10")
    data = cifar.cifar10(tmp_path, tmp_path / "cache")
    assert data.classes == CLASSES
    assert (len(data.train), len(data.val), len(data.test)) == (32, 8, 20)
    assert torch.bincount(data.val.labels).tolist() == [4, 4]
    first_dog = int((data.test.labels == 1).nonzero()[0])
    expected = torch.from_numpy(pixels_of("test", "dog", 0)).permute(2, 0, 1)
    assert torch.equal(data.test.images[first_dog], expected)


def test_archives_hold_the_same_data_as_folders(small, tmp_path):
    write_images(tmp_path / "loose" / "cifar10")
    (tmp_path / "packed" / "cifar10").mkdir(parents=True)
    pack(tmp_path / "loose" / "cifar10", tmp_path / "packed" / "cifar10" / "all.tar.gz")
    loose, packed = (cifar.cifar10(tmp_path / where, tmp_path / f"cache-{where}") for where in ("loose", "packed"))
    for split in ("train", "val", "test"):
        assert torch.equal(getattr(loose, split).images, getattr(packed, split).images)
        assert torch.equal(getattr(loose, split).labels, getattr(packed, split).labels)


def test_images_are_decoded_once(small, tmp_path, monkeypatch):
    write_images(tmp_path / "cifar10")
    first = cifar.cifar10(tmp_path, tmp_path / "cache")
    monkeypatch.setattr(cifar, "_decode", lambda images: pytest.fail("decoded again"))
    again = cifar.cifar10(tmp_path, tmp_path / "cache")
    assert torch.equal(first.train.images, again.train.images)


def test_changed_images_are_decoded_anew(small, tmp_path):
    write_images(tmp_path / "cifar10")
    first = cifar.cifar10(tmp_path, tmp_path / "cache")
    changed = tmp_path / "cifar10" / "test" / "cat" / "0000.png"
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(changed)
    os.utime(changed, (1, 1))
    again = cifar.cifar10(tmp_path, tmp_path / "cache")
    assert first.test.images[0].any()
    assert not again.test.images[0].any()


def test_a_damaged_cache_is_made_again(small, tmp_path, caplog):
    write_images(tmp_path / "cifar10")
    first = cifar.cifar10(tmp_path, tmp_path / "cache")
    (kept,) = (tmp_path / "cache" / "decoded").iterdir()
    kept.write_bytes(kept.read_bytes()[:1000])
    with caplog.at_level("INFO", logger="repronet"):
        again = cifar.cifar10(tmp_path, tmp_path / "cache")
    assert "is damaged" in caplog.text
    assert torch.equal(first.train.images, again.train.images)


def test_a_cache_that_cannot_be_written_costs_no_run(small, tmp_path, caplog):
    write_images(tmp_path / "cifar10")
    (tmp_path / "cache").write_text("a file where a folder should be")
    with caplog.at_level("INFO", logger="repronet"):
        assert len(cifar.cifar10(tmp_path, tmp_path / "cache").train) == 32
    assert "cannot be written" in caplog.text


def png(size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("where", "content", "message"),
    [
        ("train/cat/0000.png", b"", "train/cat/0000.png: cannot be read as an image"),
        ("train/cat/0000.png", png((32, 32))[:60], "train/cat/0000.png: cannot be read as an image"),
        ("train/cat/0000.png", png((31, 32)), "train/cat/0000.png: is 32×31 pixels; CIFAR's are 32×32"),
        ("train/cat/extra.png", png((32, 32)), "cifar10 has 41 train images, not 40"),
        ("test/bird/0000.png", png((32, 32)), "test/bird: a class that train/ has not"),
    ],
)
def test_what_is_wrong_is_named(small, tmp_path, where, content, message):
    write_images(tmp_path / "cifar10")
    (tmp_path / "cifar10" / where).parent.mkdir(exist_ok=True)
    (tmp_path / "cifar10" / where).write_bytes(content)
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        cifar.cifar10(tmp_path, tmp_path / "cache")


def test_a_cut_off_archive_is_named(small, tmp_path):
    write_images(tmp_path / "loose")
    (tmp_path / "cifar10").mkdir()
    archive = tmp_path / "cifar10" / "all.tar.gz"
    pack(tmp_path / "loose", archive)
    archive.write_bytes(archive.read_bytes()[:-2000])
    with pytest.raises(UserError, match=r"all\.tar\.gz: a damaged archive"):
        cifar.cifar10(tmp_path, tmp_path / "cache")


def test_an_empty_folder_and_none_at_all(small, tmp_path):
    with pytest.raises(UserError, match=r"data\.root=.*nowhere: no such folder"):
        cifar.cifar10(tmp_path / "nowhere", tmp_path / "cache")
    (tmp_path / "cifar10").mkdir()
    with pytest.raises(UserError, match=r"holds neither train/<class>/\*\.png nor \*\.tar\.gz"):
        cifar.cifar10(tmp_path, tmp_path / "cache")


@pytest.mark.slow
def test_the_official_cifar10(tmp_path):
    root = Path(os.environ.get("REPRONET_TEST_DATASETS", SHARED / "datasets"))
    if not (root / "cifar10").is_dir():
        pytest.skip("the CIFAR-10 images are not there; REPRONET_TEST_DATASETS may name their folder")
    data = cifar.cifar10(root, tmp_path)
    assert (len(data.train), len(data.val), len(data.test)) == (45_000, 5_000, 10_000)
    whole = PixelStatistics.of(torch.cat([data.train.images, data.val.images]))
    assert [round(value, 4) for value in whole.mean] == [0.4914, 0.4822, 0.4465]
    assert [round(value, 4) for value in whole.std] == [0.2470, 0.2435, 0.2616]
    assert torch.bincount(data.val.labels).tolist() == [500] * 10
    assert data.test.fingerprint() == OFFICIAL_TEST["cifar10"]
    assert fitted_splits(data, 24, "crop").test.fingerprint() == OFFICIAL_MIDDLE["cifar10"]
