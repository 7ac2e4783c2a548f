"""Splits: exact sizes, every class by its share, nothing twice."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from repronet.config.build_data import dataset
from repronet.config.compose import compose
from repronet.data.cuts import stratified_parts
from repronet.data.splits import Split


@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(lambda c: c[-1] > 0),
    share=st.floats(0, 1),
    seed=st.integers(0, 5),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_parts_have_the_sizes_asked_for_and_hold_every_row_once(counts, share, seed):
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    first = round(share * len(labels))
    parts = stratified_parts(labels, (first, len(labels) - first), seed)
    assert [len(part) for part in parts] == [first, len(labels) - first]
    assert torch.cat(parts).sort().values.tolist() == list(range(len(labels)))
    for label, count in enumerate(counts):  # by its share, up to the rounding of one image
        assert abs(int((labels[parts[0]] == label).sum()) - count * first / len(labels)) < 1 + 1e-9


def test_a_split_depends_on_its_seed_alone():
    labels = torch.arange(100) % 10
    torch.manual_seed(1)
    once = stratified_parts(labels, (80, 20), seed=0)
    torch.manual_seed(2)
    assert all(map(torch.equal, once, stratified_parts(labels, (80, 20), seed=0)))
    assert not torch.equal(once[0], stratified_parts(labels, (80, 20), seed=1)[0])


def test_few_images_of_each_class_are_those_of_their_seed():
    whole = dataset(compose("train", ["data=mnist5k"]), 28)

    def numbered(*words: str) -> set[bytes]:
        found = dataset(compose("train", ["data=mnist5k", *words]), 28)
        assert torch.equal(found.val.images, whole.val.images)
        assert torch.equal(found.test.images, whole.test.images)
        return {image.numpy().tobytes() for image in found.train.images}

    usual, other = numbered("data.per_class=5"), numbered("data.per_class=5", "data.per_class_seed=1")
    assert len(usual) == len(other) == 50
    assert usual == numbered("data.per_class=5", "seed=3")
    assert len(usual & other) < 10
    assert other < numbered("data.per_class=9", "data.per_class_seed=1")  # more images hold the fewer


def test_sizes_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match=r"add up to 9, but there are 10"):
        stratified_parts(torch.zeros(10, dtype=torch.int64), (4, 5), seed=0)


def test_a_fingerprint_is_of_pixels_and_labels_in_any_order():
    images = torch.randint(0, 256, (6, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    split = Split(images, torch.arange(6) % 3)
    assert split.rows(torch.tensor([3, 0, 5, 1, 4, 2])).fingerprint() == split.fingerprint()
    brighter = images.clone()
    brighter[2, 0, 1, 1] ^= 1
    others = (
        Split(brighter, split.labels),
        split.relabelled(split.labels.flip(0)),
        split.rows(torch.tensor([0, 1, 2, 3, 4])),
        Split(images.view(6, 1, 2, 8), split.labels),
        split.rows(torch.tensor([0, 1, 2, 3, 4, 5, 5])),
    )
    assert len({split.fingerprint(), *(other.fingerprint() for other in others)}) == 6


def test_a_split_refuses_what_is_not_images_and_labels():
    images, labels = torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64)
    assert len(Split(images, labels)) == 3
    with pytest.raises(ValueError, match="uint8"):
        Split(images.float(), labels)
    with pytest.raises(ValueError, match=r"int64 \(3,\)"):
        Split(images, labels[:2])
