"""Batches: every image once an epoch, in an order and with an augmentation that counters alone decide."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from repronet.data.augmentation import NoAugmentation, PlanarAffine
from repronet.data.batches import Dealing, TensorEvaluation, TensorLoader, shares
from repronet.data.preprocessing import PixelMap
from repronet.data.splits import Split

COUNT = 70
IDENTITY = PixelMap((255.0,), (0.0,))


@pytest.fixture
def split() -> Split:
    images = torch.randint(0, 256, (COUNT, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Split(images, torch.arange(COUNT))


def batches(split, *, epoch=0, seed=0, batch_size=16, chunk=2, augmentation=None) -> TensorLoader:
    return TensorLoader(
        split,
        augmentation or NoAugmentation(),
        IDENTITY,
        Dealing(batch_size, chunk, seed, lambda: epoch),
    )


def order(passes: TensorLoader) -> list[int]:
    return [int(label) for _, labels in passes for label in labels]


def test_every_image_comes_once_with_its_label(split):
    passes = batches(split)
    assert sorted(order(passes)) == list(range(COUNT))
    for images, labels in passes:
        assert torch.equal(images, split.images[labels].float())


def test_batch_sizes_and_lengths(split):
    passes = batches(split, batch_size=16, chunk=2)
    assert [len(labels) for _, labels in passes] == [16, 16, 16, 16, 6]
    assert len(passes) == 5


def test_the_order_depends_on_seed_and_epoch_alone(split):
    assert order(batches(split)) == order(batches(split))
    assert order(batches(split, epoch=1)) != order(batches(split))
    assert order(batches(split, seed=1)) != order(batches(split))
    torch.manual_seed(99)
    assert order(batches(split, seed=0, epoch=3)) == order(batches(split, seed=0, epoch=3))


def test_chunks_change_no_image(split):
    policy = PlanarAffine(2, 0.1, 0.1, 10, 10)
    whole = list(batches(split, chunk=100, augmentation=policy))
    single = list(batches(split, chunk=1, augmentation=policy))
    assert len(whole) == len(single)
    for (images, labels), (other_images, other_labels) in zip(whole, single, strict=True):
        assert torch.equal(images, other_images)
        assert torch.equal(labels, other_labels)


def test_augmentation_differs_between_epochs(split):
    policy = PlanarAffine(2, 0.1, 0.1, 10, 10)

    def image_zero(epoch: int) -> torch.Tensor:
        return next(
            image
            for images, labels in batches(split, epoch=epoch, augmentation=policy)
            for image, label in zip(images, labels, strict=True)
            if label == 0
        )

    assert torch.equal(image_zero(0), image_zero(0))
    assert not torch.equal(image_zero(0), image_zero(1))


def test_evaluation_keeps_the_order(split):
    passes = TensorEvaluation(split, IDENTITY, batch_size=32)
    assert torch.cat([labels for _, labels in passes]).tolist() == list(range(COUNT))
    assert len(passes) == len(list(passes)) == 3


@pytest.mark.parametrize("done", [0, 1, 2, 3, 4])
def test_a_loader_goes_on_behind_its_state(split, done):
    policy = PlanarAffine(2, 0.1, 0.1, 10, 10)
    whole = batches(split, augmentation=policy, epoch=7)
    passed = iter(whole)
    for _ in range(done):
        next(passed)
    resumed = batches(split, augmentation=policy, epoch=99 if done else 7)
    resumed.load_state_dict(whole.state_dict() if done else {"epoch": 7, "batches": 0})
    rest = list(resumed)
    for (images, labels), (other, others) in zip(
        list(batches(split, augmentation=policy, epoch=7))[done:], rest, strict=True
    ):
        assert torch.equal(images, other)
        assert torch.equal(labels, others)


def test_behind_a_whole_epoch_comes_the_next(split):
    loader = batches(split, epoch=3)
    loader.load_state_dict({"epoch": 3, "batches": 5})
    assert order(loader) == order(batches(split, epoch=4))


def test_a_loader_without_a_trainer_counts_its_epochs(split):
    loader = batches(split)
    loader.dealing = replace(loader.dealing, epoch=None)
    assert [order(loader) for _ in range(3)] == [order(batches(split, epoch=epoch)) for epoch in range(3)]


@pytest.mark.parametrize("processes", [2, 3, 8])
def test_processes_share_every_batch(split, processes):
    """The last batch of 6 images has none for two of eight processes."""
    policy, parts = PlanarAffine(2, 0.1, 0.1, 10, 10), []
    for rank in range(processes):
        loader = batches(split, augmentation=policy, chunk=1)
        loader.dealing = replace(loader.dealing, rank=rank, world_size=processes)
        parts.append(list(loader))
    whole = list(batches(split, augmentation=policy))
    assert {len(part) for part in parts} == {len(whole)}
    for shares_of_batch, (images, labels) in zip(zip(*parts, strict=True), whole, strict=True):
        sizes = [len(its_labels) for _, its_labels in shares_of_batch]
        assert max(sizes) - min(sizes) <= 1
        assert torch.equal(torch.cat([its_labels for _, its_labels in shares_of_batch]), labels)
        torch.testing.assert_close(torch.cat([its_images for its_images, _ in shares_of_batch]), images)


@pytest.mark.parametrize(("count", "processes"), [(70, 2), (70, 3), (2, 3), (64, 4)])
def test_evaluation_counts_every_image_once_over_all_processes(count, processes):
    rows = [row for rank in range(processes) for share in shares(count, 16, rank, processes) for row in share]
    assert sorted(rows) == list(range(count))
    assert {len(shares(count, 16, rank, processes)) for rank in range(processes)} == {-(-count // 16)}


def test_evaluation_by_processes_is_evaluation_by_one(split):
    parts = [list(TensorEvaluation(split, IDENTITY, batch_size=32, rank=rank, world_size=7)) for rank in range(7)]
    for number, (images, labels) in enumerate(TensorEvaluation(split, IDENTITY, batch_size=32)):
        assert torch.equal(torch.cat([part[number][0] for part in parts]), images)
        assert torch.equal(torch.cat([part[number][1] for part in parts]), labels)
