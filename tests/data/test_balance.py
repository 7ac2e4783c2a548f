"""Uneven classes: weights, chances, and batches that are drawn by them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from repronet.data.augmentation import PlanarAffine
from repronet.data.balance import chances, class_weights, positive_weights
from repronet.data.batches import Dealing, TensorLoader
from repronet.data.preprocessing import PixelMap
from repronet.data.splits import Split
from repronet.data.streaming import Frame, ImageLoader

LABELS = torch.tensor([0] * 80 + [1] * 15 + [2] * 5)
BITS = torch.tensor([[1, 0]] * 60 + [[1, 1]] * 5 + [[0, 0]] * 35)
SHIFTS = PlanarAffine(translate=3, scale=0.2, squeeze=0.0, shear=0.0, rotate=20.0)


def test_weights_are_scikit_learns():
    wanted = compute_class_weight("balanced", classes=np.arange(3), y=LABELS.numpy())
    assert class_weights(LABELS, 3) == pytest.approx(wanted.tolist(), abs=1e-6)
    for label, weight in enumerate(positive_weights(BITS, 2)):
        no, yes = compute_class_weight("balanced", classes=np.array([0, 1]), y=BITS[:, label].numpy())
        assert weight == pytest.approx(yes / no, abs=1e-6)
    assert class_weights(LABELS, 4)[3] == positive_weights(LABELS, 4)[3] == 1.0  # of which there are none
    assert positive_weights(torch.tensor([[1, 0], [1, 1]]), 2) == [1.0, 1.0]  # of the first are all


def test_chances_make_classes_equal():
    drawn = chances(LABELS, 3)
    assert [float(drawn[label == LABELS].sum()) for label in range(3)] == pytest.approx([1.0] * 3)
    several = chances(BITS, 2)  # 60 of the first alone, 5 of both, 35 of none
    assert several[[0, 60, 99]].tolist() == pytest.approx([1 / 65, 1 / 5, 1 / 35])


def split() -> Split:
    drawn = torch.Generator().manual_seed(0)
    return Split(torch.randint(0, 256, (100, 3, 12, 12), dtype=torch.uint8, generator=drawn), LABELS)


def loaders(per_chunk: int) -> Iterator[TensorLoader | ImageLoader]:
    dealing = Dealing(16, per_chunk, seed=3, chances=chances(LABELS, 3))
    mapped = PixelMap.scale(0.0, 1.0, channels=3)
    yield TensorLoader(split(), SHIFTS, mapped, dealing)
    more = {"dealing": dealing, "num_classes": 3, "workers": 0, "device": torch.device("cpu")}
    yield ImageLoader(split(), Frame(12, 12), SHIFTS, mapped, **more)


@pytest.mark.parametrize("kind", [0, 1])
def test_a_loader_that_is_resumed_draws_the_same_batches(kind):
    whole, first, resumed = (list(loaders(chunk))[kind] for chunk in (2, 2, 3))
    wanted = list(whole)
    passing = iter(first)
    for _ in range(4):
        next(passing)
    resumed.load_state_dict(first.state_dict())
    rest = list(resumed)
    assert len(rest) == 3
    for (images, labels), (others, theirs) in zip(rest, wanted[4:], strict=True):
        torch.testing.assert_close(images, others)
        assert torch.equal(labels, theirs)


def test_an_image_that_is_drawn_twice_is_augmented_in_two_ways():
    one, other = (list(loader) for loader in loaders(1))
    images, labels = (torch.cat(parts) for parts in zip(*one, strict=True))
    rare = images[labels == 2]  # 5 images, drawn some 33 times
    assert len(rare) > 20
    assert len({image.numpy().tobytes() for image in rare}) == len(rare)
    assert torch.equal(torch.cat([batch[1] for batch in other]), labels)
    torch.testing.assert_close(torch.cat([batch[0] for batch in other]), images)
