"""Batches: every image once an epoch, in an order and with an augmentation that counters alone decide."""

from __future__ import annotations

import pytest
import torch

from repronet.data.augmentation import NoAugmentation, PlanarAffine
from repronet.data.batches import EvaluationBatches, TrainingBatches
from repronet.data.preprocessing import PixelMap
from repronet.data.splits import Split

COUNT = 70
IDENTITY = PixelMap((255.0,), (0.0,))


@pytest.fixture
def split() -> Split:
    images = torch.randint(0, 256, (COUNT, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Split(images, torch.arange(COUNT))


def batches(split, *, epoch=0, seed=0, batch_size=16, chunk=2, augmentation=None) -> TrainingBatches:
    return TrainingBatches(
        split,
        augmentation or NoAugmentation(),
        IDENTITY,
        batch_size=batch_size,
        batches_per_chunk=chunk,
        seed=seed,
        epoch=lambda: epoch,
    )


def order(passes: TrainingBatches) -> list[int]:
    return [int(label) for chunk in passes for _, labels in chunk for label in labels]


def test_every_image_comes_once_with_its_label(split):
    passes = batches(split)
    assert sorted(order(passes)) == list(range(COUNT))
    for chunk in passes:
        for images, labels in chunk:
            assert torch.equal(images, split.images[labels].float())


def test_batch_sizes_and_lengths(split):
    passes = batches(split, batch_size=16, chunk=2)
    sizes = [[len(labels) for _, labels in chunk] for chunk in passes]
    assert sizes == [[16, 16], [16, 16], [6]]
    assert passes.steps == 5
    assert len(passes) == len(sizes)


def test_the_order_depends_on_seed_and_epoch_alone(split):
    assert order(batches(split)) == order(batches(split))
    assert order(batches(split, epoch=1)) != order(batches(split))
    assert order(batches(split, seed=1)) != order(batches(split))
    torch.manual_seed(99)
    assert order(batches(split, seed=0, epoch=3)) == order(batches(split, seed=0, epoch=3))


def test_chunks_change_no_image(split):
    policy = PlanarAffine(2, 0.1, 0.1, 10, 10)
    whole = [batch for chunk in batches(split, chunk=100, augmentation=policy) for batch in chunk]
    single = [batch for chunk in batches(split, chunk=1, augmentation=policy) for batch in chunk]
    assert len(whole) == len(single)
    for (images, labels), (other_images, other_labels) in zip(whole, single, strict=True):
        assert torch.equal(images, other_images)
        assert torch.equal(labels, other_labels)


def test_augmentation_differs_between_epochs(split):
    policy = PlanarAffine(2, 0.1, 0.1, 10, 10)

    def image_zero(epoch: int) -> torch.Tensor:
        return next(
            image
            for chunk in batches(split, epoch=epoch, augmentation=policy)
            for images, labels in chunk
            for image, label in zip(images, labels, strict=True)
            if label == 0
        )

    assert torch.equal(image_zero(0), image_zero(0))
    assert not torch.equal(image_zero(0), image_zero(1))


def test_evaluation_keeps_the_order(split):
    passes = EvaluationBatches(split, IDENTITY, batch_size=32)
    assert torch.cat([labels for _, labels in passes]).tolist() == list(range(COUNT))
    assert len(passes) == len(list(passes)) == 3
