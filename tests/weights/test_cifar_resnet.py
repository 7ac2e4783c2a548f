"""A published CIFAR-10 ResNet-20, on all test images."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from repronet import models, weights

SHARED = Path(__file__).resolve().parents[3] / "shared"
CHECKPOINT = Path(os.environ.get("REPRONET_TEST_WEIGHTS", SHARED / "weights")) / "resnet20-12fca82f.th"
CIFAR10 = Path(os.environ.get("REPRONET_TEST_DATASETS", SHARED / "datasets")) / "cifar10" / "test.tar.gz"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # what that checkpoint was trained with

needs_checkpoint = pytest.mark.skipif(not CHECKPOINT.exists(), reason="resnet20-12fca82f.th is not there")


@pytest.fixture(scope="module")
def test_images() -> tuple[Tensor, Tensor]:
    """The 10,000 test images (N, 3, 32, 32) uint8 and their labels, by class folder in alphabetical order."""
    if not CIFAR10.exists():
        pytest.skip("the CIFAR-10 test images are not there; REPRONET_TEST_DATASETS may name their folder")
    images, names = [], []
    with tarfile.open(CIFAR10) as archive:
        for member in archive:
            if member.name.endswith(".png"):
                file = archive.extractfile(member)
                assert file is not None
                images.append(pil_to_tensor(Image.open(io.BytesIO(file.read())).convert("RGB")))
                names.append(Path(member.name).parent.name)
    classes = sorted(set(names))
    return torch.stack(images), torch.tensor([classes.index(name) for name in names])


@needs_checkpoint
def test_the_checkpoint_fits_the_network_of_its_name():
    network = models.create("resnet20")
    loaded = weights.load(network, CHECKPOINT)
    assert not loaded.fresh


@pytest.mark.slow
@needs_checkpoint
@pytest.mark.parametrize("layers", ["custom", "torch"])
def test_the_published_resnet20_reaches_its_accuracy(test_images, layers):
    """91.73 %, as its authors print: 9,173 of 10,000."""
    images, labels = test_images
    assert len(images) == 10_000
    network = models.create("resnet20", layers=layers).eval()
    weights.load(network, CHECKPOINT)
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (MEAN, STD))
    right = 0
    with torch.no_grad():
        for start in range(0, len(images), 500):
            batch = (images[start : start + 500].float() / 255 - mean) / std
            right += int((network(batch).argmax(1) == labels[start : start + 500]).sum())
    assert right == 9_173
