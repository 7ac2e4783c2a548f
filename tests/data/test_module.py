"""The data module: images of any size reach the network at its size, and who deals them out."""

from __future__ import annotations

from pathlib import Path
from weakref import ref

import pytest
import torch

from repronet.config import build_data
from repronet.config.compose import compose
from repronet.data.batches import TensorLoader
from repronet.data.module import Enlarged, ImageDataModule, fitted_splits
from repronet.data.policy import Policy
from repronet.data.preprocessing import PixelMap, PixelStatistics
from repronet.data.splits import ImageDataset, Split
from repronet.data.streaming import ImageLoader
from repronet.errors import UserError


def dataset(size: int, count: int = 12, tested: bool = True) -> ImageDataset:
    generator = torch.Generator().manual_seed(size)
    images = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)
    split = Split(images, torch.arange(count) % 3)
    return ImageDataset("test", split, split, split if tested else None, ("a", "b", "c"))


def module(data: ImageDataset, size: int, pad: bool = False, policy: Policy | None = None) -> ImageDataModule:
    pixel_map = Enlarged(PixelMap((1.0,) * 3, (0.0,) * 3), size)
    statistics = PixelStatistics.of(data.train.images)  # type: ignore[attr-defined]
    return ImageDataModule(
        fitted_splits(data, size, "pad" if pad else "resize"),
        statistics,
        pixel_map,
        None,
        policy,
        image_size=size,
        batch_size=5,
    )


@pytest.mark.parametrize(("size", "pad"), [(32, False), (24, False), (24, True), (48, False)])
def test_every_batch_has_the_networks_size(size, pad):
    data = module(dataset(size), 32, pad)
    batches = list(data.train_dataloader())
    for images, _ in [*batches, *data.val_dataloader(), *data.test_dataloader()]:
        assert images.shape[1:] == (3, 32, 32)
    assert sum(len(labels) for _, labels in batches) == 12


def test_padding_adds_background_and_resizing_stretches():
    padded = module(dataset(24), 32, pad=True).val.images  # type: ignore[attr-defined]
    assert padded[:, :, :4].max() == 0
    (images, _), *_ = module(dataset(24), 48).val_dataloader()
    assert images[:, :, :4].mean() > 0.3


def test_what_is_too_large_to_pad_is_said():
    with pytest.raises(UserError, match="larger than the 32×32"):
        module(dataset(48), 32, pad=True)


def test_cropping_keeps_training_images_whole_for_a_policy_alone():
    data = dataset(32)
    whole = fitted_splits(data, 24, "crop", whole_train=True)
    assert torch.equal(whole.train.images, data.train.images)  # type: ignore[attr-defined]
    middle = data.train.images[:, :, 4:28, 4:28]  # type: ignore[attr-defined]
    assert torch.equal(whole.val.images, middle)  # type: ignore[attr-defined]
    assert torch.equal(whole.test.images, middle)  # type: ignore[union-attr]
    assert torch.equal(fitted_splits(data, 24, "crop").train.images, middle)  # type: ignore[attr-defined]


def test_a_cropped_image_is_evaluated_as_it_was_validated():
    config = compose("train", ["model=four_layer_13pct", "data=mnist5k", "data.fit=crop"])
    data = build_data.data_module(config, dataset(32), 24, PixelStatistics((0.5,) * 3, (0.2,) * 3))
    (images, _), *_ = data.val_dataloader()
    seen = torch.stack([data.eval_transform(image) for image in dataset(32).val.images])  # type: ignore[attr-defined]
    assert torch.equal(seen, images)
    corner = data.eval_transform.views(dataset(32).val.images[0], "ten_crop")[0]  # type: ignore[attr-defined]
    assert torch.equal(corner, data.pixel_map(dataset(32).val.images[:1, :, :24, :24])[0])  # type: ignore[attr-defined]


def test_enlarging_and_standardising_commute():
    images = dataset(16).train.images  # type: ignore[attr-defined]
    pixel_map = PixelMap((2.0, 3.0, 4.0), (0.5, -0.5, 1.0))
    before = torch.nn.functional.interpolate(images.float(), (32, 32), mode="bilinear")
    assert torch.allclose(Enlarged(pixel_map, 32)(images), pixel_map(before), atol=1e-5)


def test_a_policy_makes_images_one_by_one():
    data = module(dataset(48), 32, policy=Policy([{"op": "crop"}], 32))
    assert isinstance(data.train_dataloader(), ImageLoader)
    assert isinstance(module(dataset(48), 32).train_dataloader(), TensorLoader)
    images, _ = next(iter(data.train_dataloader()))
    assert images.shape == (5, 3, 32, 32)


def test_loaders_that_nobody_uses_are_forgotten():
    data = module(dataset(32), 32, policy=Policy([{"op": "crop"}], 32))
    loaders = [data.train_dataloader(), data.train_dataloader()]
    seen = [ref(loader) for loader in loaders]
    del loaders[0]
    assert [loader() is None for loader in seen] == [True, False]


def test_without_a_test_split_there_is_nothing_to_deal_out():
    data = module(dataset(32, tested=False), 32)
    with pytest.raises(UserError, match="no test split"):
        data.test_dataloader()


def test_reducing_averages_what_it_leaves_out():
    stripes = torch.tensor([255, 0, 0, 255], dtype=torch.uint8).repeat(32)  # of which every fourth place sees black
    split = Split(stripes.expand(4, 3, 128, 128).contiguous(), torch.arange(4) % 3)
    data = ImageDataset("test", split, split, split, ("a", "b", "c"))
    inner = module(data, 32).val.images[:, :, 2:-2, 2:-2]  # type: ignore[attr-defined]
    assert (inner.float() - 127.5).abs().max() < 40


def test_the_policy_changes_training_images_and_no_others():
    data = module(dataset(32), 32, policy=Policy([{"op": "invert"}], 32))
    whole = torch.cat([images for images, _ in data.train_dataloader()])
    original = torch.cat([images for images, _ in data.val_dataloader()])
    assert whole.mean() == pytest.approx(1 - original.mean().item(), abs=1e-4)


def test_a_batch_that_is_on_the_device_is_not_made_anew():
    data = module(dataset(32), 32)
    batch = next(iter(data.train_dataloader()))
    assert data.transfer_batch_to_device(batch, torch.device("cpu"), 0) is batch
    moved = data.transfer_batch_to_device(batch, torch.device("meta"), 0)
    assert [part.device.type for part in moved] == ["meta", "meta"]
    assert data.transfer_batch_to_device(batch[0], torch.device("meta"), 0).device.type == "meta"


def test_other_processes_map_the_images_of_the_first(tmp_path):
    data, other = module(dataset(32), 32), module(dataset(32, tested=False), 32)
    data.write_tensors(tmp_path / "images")
    for taking in (data, other):
        taking.map_tensors(tmp_path / "images")
        for split in (taking.train, taking.val):
            assert isinstance(split, Split)
            assert torch.equal(split.images, dataset(32).train.images)  # type: ignore[attr-defined]
            assert mapped_from(split.images) == str(tmp_path / "images")


def mapped_from(values: torch.Tensor) -> str:
    """The file that the memory of a tensor is mapped from, as Linux tells it."""
    if not Path("/proc/self/maps").exists():
        pytest.skip("this system does not say what its memory is mapped from")
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, last = (int(number, 16) for number in line.split()[0].split("-"))
        if first <= values.data_ptr() < last:
            return line.split(maxsplit=5)[5] if len(line.split()) > 5 else ""
    return ""
