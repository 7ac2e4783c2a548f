"""The same seed gives the same batches, whoever makes them: no, one or four processes, out of memory or from disk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from repronet.data.augmentation import NoAugmentation, PadCropFlip, PlanarAffine
from repronet.data.batches import Dealing, TensorLoader
from repronet.data.images import ImageFiles, ImageSplit, split_of
from repronet.data.module import ImageDataModule
from repronet.data.policy import Policy
from repronet.data.preprocessing import PixelMap
from repronet.data.randomness import counter_generator
from repronet.data.reading import ImageError
from repronet.data.splits import ImageDataset, Split
from repronet.data.streaming import Frame, ImageEvaluation, ImageLoader
from repronet.errors import UserError

COUNT, CPU = 37, torch.device("cpu")
HALF = PixelMap((2.0,) * 3, (-1.0,) * 3)


@dataclass
class Jitter:
    """A change that depends on its seed and, if anything leaks, on the global generator."""

    mixing = None
    size = 12

    def __call__(self, image: Tensor, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        top, left = (int(torch.randint(4, (), generator=generator)) for _ in range(2))
        return image[:, top : top + 12, left : left + 12]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> ImageFiles:
    folder, paths = tmp_path_factory.mktemp("pictures"), []
    for number in range(COUNT):
        pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        paths.append(folder / f"{number:02}.png")
        Image.fromarray(pixels).save(paths[-1])
    return ImageFiles(tuple(paths), 16)


def split(files, cache, keep) -> ImageSplit:
    return split_of(files, torch.arange(COUNT), files.paths[0].parent, "test", cache, keep)


def batches(
    source, change, augmentation=None, *, workers=0, seed=0, epoch=0, mixing=None, chunk=2, channels_last=False
) -> ImageLoader:
    return ImageLoader(
        source,
        change,
        augmentation or NoAugmentation(),
        HALF,
        mixing,
        dealing=Dealing(8, chunk, seed, lambda: epoch),
        num_classes=COUNT,
        workers=workers,
        device=CPU,
        channels_last=channels_last,
    )


def digest(passes) -> str:
    found = hashlib.sha256()
    for images, labels in passes:
        found.update(images.contiguous().numpy().tobytes())
        found.update(labels.numpy().tobytes())
    return found.hexdigest()


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_number_of_processes_changes_nothing(files, tmp_path, workers):
    source = split(files, tmp_path, keep=False)
    assert digest(batches(source, Jitter(), workers=workers)) == digest(batches(source, Jitter()))


@pytest.mark.parametrize("workers", [0, 2])
def test_memory_and_disk_give_the_same_batches(files, tmp_path, workers):
    kept, left = split(files, tmp_path, keep=True), split(files, tmp_path, keep=False)
    assert digest(batches(kept, Jitter(), workers=workers)) == digest(batches(left, Jitter()))


@pytest.mark.parametrize("policy", [NoAugmentation(), PadCropFlip(), PlanarAffine(2, 0.1, 0.1, 10, 10)])
def test_one_tensor_and_files_on_disk_give_the_same_batches(files, tmp_path, policy):
    whole = Split(torch.stack([files[index] for index in range(COUNT)]).contiguous(), torch.arange(COUNT))
    fast = TensorLoader(whole, policy, HALF, Dealing(8, 2, 3, lambda: 5))
    streamed = batches(split(files, tmp_path, keep=False), Frame(16, 16), policy, workers=2, seed=3, epoch=5)
    assert digest(fast) == digest(streamed)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("policy", [None, PadCropFlip(), PlanarAffine(2, 0.1, 0.1, 10, 10)])
def test_the_layout_changes_no_number(files, tmp_path, policy, workers):
    source = split(files, tmp_path, keep=False)
    usual, last = (
        batches(source, Frame(16, 16), policy, workers=workers, channels_last=wanted) for wanted in (False, True)
    )
    assert digest(usual) == digest(last)
    assert all(images.is_contiguous() for images, _ in usual)
    if policy is None:
        assert all(images.is_contiguous(memory_format=torch.channels_last) for images, _ in last)


@pytest.mark.parametrize("wanted", [True, False, None])
def test_batches_lie_as_the_trained_module_says(files, tmp_path, wanted):
    source = split(files, tmp_path, keep=False)
    classes = tuple(str(number) for number in range(COUNT))
    data = ImageDataModule(ImageDataset("files", source, source, source, classes), image_size=16, batch_size=8)
    module = SimpleNamespace() if wanted is None else SimpleNamespace(channels_last=wanted)
    data.trainer = SimpleNamespace(
        lightning_module=module, global_rank=0, world_size=1, current_epoch=0, overfit_batches=0
    )
    for loader in (data.train_dataloader(), data.val_dataloader()):
        assert all(images.is_contiguous() != bool(wanted) for images, _ in loader)


def test_seed_and_epoch_decide(files, tmp_path):
    source = split(files, tmp_path, keep=True)
    found = {digest(batches(source, Jitter(), seed=seed, epoch=epoch)) for seed in (0, 1) for epoch in (0, 1)}
    assert len(found) == 4
    torch.manual_seed(123)
    before = torch.get_rng_state()
    assert digest(batches(source, Jitter(), workers=1)) in found
    assert torch.equal(torch.get_rng_state(), before)


def test_every_image_comes_once(files, tmp_path):
    passes = batches(split(files, tmp_path, keep=True), Frame(16, 16))
    found = list(passes)
    assert [len(labels) for _, labels in found] == [8, 8, 8, 8, 5]
    assert len(passes) == 5
    assert sorted(label for _, labels in found for label in labels.tolist()) == list(range(COUNT))
    images, labels = found[0]
    assert torch.equal(images[0], files[int(labels[0])] * (2 / 255) - 1)


class Halves:
    """Mixes each image with its successor, half and half."""

    def __call__(self, images, labels, num_classes, seed):
        self.seeds = [*getattr(self, "seeds", []), seed]
        ones = torch.nn.functional.one_hot(labels, num_classes).float()
        return (images + images.roll(1, 0)) / 2, (ones + ones.roll(1, 0)) / 2


def test_mixing_sees_every_batch_with_a_seed_of_its_own(files, tmp_path):
    mixing = Halves()
    source = split(files, tmp_path, keep=True)
    found = list(batches(source, Frame(16, 16), mixing=mixing))
    assert [tuple(labels.shape) for _, labels in found] == [(8, COUNT)] * 4 + [(5, COUNT)]
    assert len(set(mixing.seeds)) == 5
    again = Halves()
    list(batches(source, Frame(16, 16), mixing=again, workers=2, chunk=3))
    assert again.seeds == mixing.seeds


@pytest.mark.parametrize("op", [None, "mixup", "cutmix"])
@pytest.mark.parametrize("processes", [2, 6])
def test_processes_share_every_batch_mixed_or_not(files, tmp_path, processes, op):
    """Of the last batch of five images the sixth process has none; images are mixed with those of other shares."""
    mixing = Policy([{"op": op, "alpha": 1.0}], 12).mixing if op else None
    source, parts = split(files, tmp_path, keep=False), []
    for rank in range(processes):
        loader = batches(source, Jitter(), PadCropFlip(), mixing=mixing, chunk=1)
        loader.dealing = replace(loader.dealing, rank=rank, world_size=processes)
        parts.append(list(loader))
    for number, (images, labels) in enumerate(batches(source, Jitter(), PadCropFlip(), mixing=mixing)):
        assert torch.equal(torch.cat([part[number][1] for part in parts]), labels)
        assert torch.equal(torch.cat([part[number][0] for part in parts]), images)


def test_evaluation_by_processes_is_evaluation_by_one(files, tmp_path):
    def evaluated(rank: int, size: int) -> list:
        frame, given = Frame(16, 16), {"batch_size": 9, "workers": 0, "device": CPU}
        return list(ImageEvaluation(split(files, tmp_path, False), frame, HALF, **given, rank=rank, world_size=size))

    parts = [evaluated(rank, 4) for rank in range(4)]
    for number, (images, labels) in enumerate(evaluated(0, 1)):
        assert torch.equal(torch.cat([part[number][0] for part in parts]), images)
        assert torch.equal(torch.cat([part[number][1] for part in parts]), labels)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_cannot_be_read_ends_the_pass_in_one_line(files, tmp_path, workers):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"")
    paths = ImageFiles((*files.paths[:4], bad), 16)
    source = ImageSplit.of(paths, torch.zeros(5, dtype=torch.int64), "key", tmp_path)
    with pytest.raises(ImageError, match=r"bad\.png: empty: the file has no bytes; data\.on_error=skip leaves it"):
        list(batches(source, Frame(16, 16), workers=workers))


@pytest.mark.parametrize("workers", [0, 2])
def test_all_images_of_a_batch_that_cannot_be_read_are_named(files, tmp_path, workers):
    for name, content in (("bad.png", b""), ("worse.png", b"none")):
        (tmp_path / name).write_bytes(content)
    paths = ImageFiles((*files.paths[:4], tmp_path / "bad.png", tmp_path / "worse.png"), 16)
    source = ImageSplit.of(paths, torch.zeros(6, dtype=torch.int64), "key", tmp_path)
    with pytest.raises(UserError, match=r"^2 images cannot be read; data.on_error=skip leaves them out: ") as refused:
        list(batches(source, Frame(16, 16), workers=workers))
    assert "bad.png (empty)" in str(refused.value)
    assert "worse.png (not an image)" in str(refused.value)


def test_evaluation_keeps_the_order_and_takes_the_middle(files, tmp_path):
    passes = ImageEvaluation(split(files, tmp_path, True), Frame(8, 16), HALF, batch_size=10, workers=2, device=CPU)
    found = list(passes)
    assert len(passes) == len(found) == 4
    assert torch.cat([labels for _, labels in found]).tolist() == list(range(COUNT))
    assert torch.equal(found[0][0][0], files[0][:, 4:12, 4:12] * (2 / 255) - 1)


def test_the_frame_reduces_the_shorter_side():
    image = torch.zeros(3, 100, 60, dtype=torch.uint8)
    image[:, 45:55, 25:35] = 255
    framed = Frame(28, 30)(image)
    assert framed.shape == (3, 28, 28)
    assert framed[:, 13:15, 13:15].min() == 255
    assert framed[:, :5].max() == 0


@dataclass
class Stamp:
    """Writes the seed, as far as a byte holds it."""

    def __call__(self, image: Tensor, seed: int) -> Tensor:
        return torch.full_like(image, seed % 251)


def test_an_images_seed_is_its_own_wherever_it_comes_in_the_order(files, tmp_path):
    seeds = torch.randint(2**62, (COUNT,), generator=counter_generator("picture", 4, 2))
    for images, labels in batches(split(files, tmp_path, keep=True), Stamp(), seed=4, epoch=2):
        stamped = ((images[:, 0, 0, 0] + 1) / 2 * 255).round().long()
        assert torch.equal(stamped, seeds[labels] % 251)
