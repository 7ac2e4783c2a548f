"""Images per second from a folder of JPEGs to batches of 224 pixels, ours relative to torchvision's.

    python benchmarks/image_pipeline.py [--images 400] [--rounds 5] [--size 375 500]

Both crop a random 8 to 100 % of the image to 224 × 224, flip and standardize, in batches of 64: torchvision with
ImageFolder, transforms v2 and DataLoader; ours from disk, and from memory, where images are kept decoded with a shorter
side of 256. Without loader processes, everything runs on one thread, which gives the rate of one core. The images are
smooth noise as large as a photograph, in pixels and roughly in bytes. Memory is that of the decoded images.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2
from torchvision.transforms.functional import to_pil_image

from repronet.data.augmentation import NoAugmentation
from repronet.data.batches import Dealing
from repronet.data.cuts import Cut
from repronet.data.image_folder import Reading, image_folder
from repronet.data.images import ImageSplit, ImageStore
from repronet.data.policy import Policy
from repronet.data.preprocessing import PixelMap
from repronet.data.streaming import ImageLoader
from repronet.runs.memory import keep_memory

BATCH = 64
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
STEPS = [{"op": "random_resized_crop"}, {"op": "flip"}]


def write_images(folder: Path, count: int, size: tuple[int, int]) -> float:
    """Write JPEGs in two classes; returns their mean size in kB."""
    generator, total = torch.Generator().manual_seed(0), 0
    for number in range(count):
        coarse = torch.rand(1, 3, 12, 16, generator=generator)
        smooth = F.interpolate(coarse, size, mode="bicubic").clamp(0, 1)
        grain = torch.randn(1, 3, *size, generator=generator) * 0.04
        file = folder / "train" / str(number % 2) / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        to_pil_image((smooth + grain).clamp(0, 1)[0]).save(file, quality=85)
        total += file.stat().st_size
    return total / count / 1000


def theirs(folder: Path, workers: int) -> DataLoader:
    transform = v2.Compose(
        [
            v2.RandomResizedCrop(224),
            v2.RandomHorizontalFlip(),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    dataset = ImageFolder(folder / "train", transform)
    return DataLoader(dataset, BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0)


def split_of(folder: Path, reading: Reading) -> ImageSplit:
    split = image_folder(folder, reading, Cut(2, 2)).train
    assert isinstance(split, ImageSplit)
    return split


def ours(split: ImageSplit, workers: int) -> ImageLoader:
    gain, offset = tuple(1 / std for std in STD), tuple(-mean / std for mean, std in zip(MEAN, STD, strict=True))
    return ImageLoader(
        split,
        Policy(STEPS, 224),
        NoAugmentation(),
        PixelMap(gain, offset),
        dealing=Dealing(BATCH, batches_per_chunk=1, epoch=lambda: 0),
        num_classes=2,
        workers=workers,
        device=torch.device("cpu"),
        channels_last=True,  # as `repronet train` does for its networks on the CPU
    )


def seconds(passes: Iterable[object]) -> float:
    begun = time.perf_counter()
    for _ in passes:
        pass
    return time.perf_counter() - begun


def compare(ways: dict[str, Iterable[object]], images: int, rounds: int) -> None:
    times: dict[str, list[float]] = {name: [] for name in ways}
    for loader in ways.values():
        seconds(loader)  # fills caches and starts processes, which stay alive as they do between epochs
    for _ in range(rounds):
        for name, loader in ways.items():
            times[name].append(seconds(loader))
    base = statistics.median(next(iter(times.values())))
    for name, found in times.items():
        median = statistics.median(found)
        print(f"  {name:<28}{images / median:>8,.0f} images/s   {base / median:5.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, nargs=2, default=(375, 500), metavar=("HEIGHT", "WIDTH"))
    options = parser.parse_args()
    keep_memory()  # as the command line does; this makes torchvision's pipeline faster too
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        kilobytes = write_images(folder, options.images, tuple(options.size))
        cache = folder / "cache"
        readings = {
            "ours, out of memory": Reading(256, 4.0, cache),
            "ours, from disk": Reading(256, 0.0, cache),
            "ours, data.resize=original": Reading(None, 0.0, cache),
        }
        splits = {name: split_of(folder, reading) for name, reading in readings.items()}
        kept = splits["ours, out of memory"].images
        assert isinstance(kept, ImageStore)
        height, width = options.size
        print(f"torch {torch.__version__}, {len(kept)} JPEGs of {height}×{width}, {kilobytes:.0f} kB each; medians")
        print(f"decoded in memory: {kept.pixels.numel() / len(kept) / 1e6:.2f} MB each")
        for workers in (0, 1, 2):
            torch.set_num_threads(threads if workers else 1)  # without loader processes: one core
            print("one core, no loader process" if workers == 0 else f"{workers} loader processes")
            ways: dict[str, Iterable[object]] = {"torchvision": theirs(folder, workers)}
            ways |= {name: ours(split, workers) for name, split in splits.items()}
            compare(ways, options.images, options.rounds)


if __name__ == "__main__":
    main()
