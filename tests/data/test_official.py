"""Sets that torchvision reads: shapes, splits, downloads that fail or succeed, damaged files."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from repronet.data import official
from repronet.data.official import load_official, validation_share
from repronet.data.sources import Request, load
from repronet.errors import UserError

RNG = np.random.default_rng(0)
SMALL = {"svhn": ((60, 20), (3, 32, 32)), "stl10": ((40, 30), (3, 96, 96)), "fashion_mnist": ((50, 10), (1, 28, 28))}


def images(count: int, shape: tuple[int, ...]) -> np.ndarray:
    return RNG.integers(0, 256, (count, *shape), dtype=np.uint8)


def fake(name: str, monkeypatch, present: list[bool]) -> None:
    """torchvision's class for ``name``, with a small set that is there once it was downloaded."""
    counts, shape = SMALL[name]
    classes = {"svhn": "SVHN", "stl10": "STL10", "fashion_mnist": "FashionMNIST"}
    known = replace(getattr(official, name.upper()), counts=counts, validation=6 if name == "svhn" else None)
    monkeypatch.setattr(official, name.upper(), known)

    def build(folder, split="train", train=None, download=False):
        present[0] = present[0] or download
        if not present[0]:
            raise RuntimeError("Dataset not found or corrupted.")
        training = split == "train" if train is None else train
        count = counts[0 if training else 1]
        pixels, labels = images(count, shape), np.arange(count) % 10
        if name == "fashion_mnist":
            return SimpleNamespace(data=torch.from_numpy(pixels[:, 0]), targets=torch.from_numpy(labels))
        return SimpleNamespace(data=pixels, labels=labels)

    monkeypatch.setattr(f"torchvision.datasets.{classes[name]}", build)


@pytest.mark.parametrize("name", SMALL)
def test_a_set_is_downloaded_when_absent_and_split(name, monkeypatch, tmp_path):
    present = [False]
    fake(name, monkeypatch, present)
    (train, tested), shape = SMALL[name]
    data = load(name, Request(tmp_path, val=0.2))
    assert present == [True]
    assert (len(data.train), len(data.val), len(data.test)) == (train - train // 5, train // 5, tested)
    assert data.train.images.shape[1:] == shape
    assert len(data.classes) == 10
    assert list(tmp_path.iterdir()) == []  # the draft folder is gone


def test_the_papers_share_of_svhn_and_none_elsewhere(monkeypatch, tmp_path):
    fake("svhn", monkeypatch, [True])
    assert len(load("svhn", Request(tmp_path, val="paper")).val) == 6
    fake("stl10", monkeypatch, [True])
    with pytest.raises(UserError, match="no paper defines a validation split for stl10; give a fraction or a number"):
        load("stl10", Request(tmp_path, val="paper"))


def test_shares_and_numbers():
    assert validation_share("x", 0.1, 5000) == 0.1
    assert validation_share("x", 7, None) == 7
    assert validation_share("x", "paper", 5000) == 5000


def test_a_set_of_another_size_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(official, "_read", lambda *given: (torch.zeros(3, 1, 28, 28, dtype=torch.uint8),) * 2)
    with pytest.raises(UserError, match=r"mnist there is 3×1×28×28, not 60000×1×28×28"):
        load_official(official.MNIST, tmp_path, tmp_path, 0.1)


def test_damage_is_told_from_absence(monkeypatch, tmp_path):
    def damaged(source, folder, train):
        raise ValueError("wrong magic number")

    monkeypatch.setattr(official, "_read", damaged)
    with pytest.raises(UserError, match=r"the files of svhn there are damaged \(wrong magic number\); remove them"):
        load_official(official.SVHN, tmp_path, tmp_path, 0.1)


def test_a_failed_download_leaves_nothing(monkeypatch, tmp_path):
    def absent_and_cut_off(source, folder, train, download=False):
        if not download:
            raise RuntimeError("Dataset not found.")
        (tmp_path / folder / "half").write_bytes(b"x")
        raise OSError("connection\nreset")

    monkeypatch.setattr(official, "_read", absent_and_cut_off)
    with pytest.raises(UserError, match=r"no copy under .* the download failed \(connection reset\)") as caught:
        load_official(official.STL10, tmp_path, tmp_path, 0.1)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
