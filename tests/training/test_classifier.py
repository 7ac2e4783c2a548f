"""A trained network in Python: what it takes as a picture, and what it gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from repronet import load


@pytest.fixture(scope="module")
def classifier(finished_run):
    return load(finished_run)


@pytest.fixture(scope="module")
def pixels():
    return torch.randint(0, 256, (1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", ["path", "word", "pillow", "array", "tensor"])
def test_one_picture_alone_or_several_of_any_kind(classifier, pixels, tmp_path, kind):
    image = Image.fromarray(pixels[0].numpy())
    image.save(tmp_path / "a.png")
    made = {
        "path": tmp_path / "a.png",
        "word": str(tmp_path / "a.png"),
        "pillow": image,
        "array": np.asarray(image),
        "tensor": pixels,
    }
    picture = made[kind]
    alone = classifier.probabilities(picture)
    assert alone.shape == (1, 10)
    assert torch.equal(alone, classifier.probabilities([pixels]))
    assert classifier.predict(picture) == [classifier.classes[int(alone.argmax())]]
    assert classifier.features(picture).shape == (1, 84)


def test_no_picture(classifier):
    assert classifier.probabilities([]).shape == (0, 10)
    assert classifier.predict([]) == []
