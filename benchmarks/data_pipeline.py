"""Images per second of our in-memory pipeline relative to torchvision's, and the cost of feeding a network.

    python benchmarks/data_pipeline.py DATA_ROOT [--images 5000] [--rounds 5]

Both pad CIFAR-10 by 4, crop, flip and standardize it, in batches of 128. torchvision reads PNG files with ImageFolder,
transforms v2 and DataLoader with 0, 1 and 2 workers; ours keeps the decoded split in memory. Then a ResNet-20 trains in
alternation on our batches and on one fixed batch. DATA_ROOT is a `data.root` with cifar10.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2
from torchvision.transforms.functional import to_pil_image

from repronet import models
from repronet.data.augmentation import PadCropFlip
from repronet.data.batches import Dealing, TensorLoader
from repronet.data.preprocessing import PixelMap, PixelStatistics
from repronet.data.sources import Request, load
from repronet.data.splits import Split

BATCH = 128
Batch = tuple[Tensor, Tensor]


def ours(split: Split, statistics: PixelStatistics) -> TensorLoader:
    pixel_map = PixelMap.standardize(statistics)
    return TensorLoader(split, PadCropFlip(), pixel_map, Dealing(BATCH, batches_per_chunk=4, epoch=lambda: 0))


def theirs(folder: Path, found: PixelStatistics, workers: int) -> DataLoader:
    transform = v2.Compose(
        [
            v2.ToImage(),
            v2.RandomCrop(32, padding=4),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(found.mean, found.std),
        ]
    )
    persistent = workers > 0
    return DataLoader(
        ImageFolder(folder, transform), BATCH, shuffle=True, num_workers=workers, persistent_workers=persistent
    )


def written(split: Split, folder: Path) -> None:
    for number, (image, label) in enumerate(zip(split.images, split.labels.tolist(), strict=True)):
        place = folder / str(label)
        place.mkdir(exist_ok=True)
        to_pil_image(image).save(place / f"{number}.png")


def seconds(run: Callable[[], Iterable[object]]) -> float:
    begun = time.perf_counter()
    for _ in run():
        pass
    return time.perf_counter() - begun


def rates(split: Split, found: PixelStatistics, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        written(split, Path(folder))
        ways: dict[str, Callable[[], Iterable[object]]] = {"ours": lambda: ours(split, found)}
        for workers in (0, 1, 2):
            loader = theirs(Path(folder), found, workers)
            ways[f"torchvision, {workers} workers"] = lambda loader=loader: loader
        for run in ways.values():
            seconds(run)  # starts workers, fills caches
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, run in ways.items():
                times[name].append(seconds(run))
    mine = statistics.median(times["ours"])
    for name, found_times in times.items():
        median = statistics.median(found_times)
        print(f"{name:<24}{len(split) / median:>10,.0f} images/s   ours is {median / mine:5.1f} times as fast")


def steps(batches: Iterator[Batch], network: nn.Module, optimizer: torch.optim.Optimizer, count: int) -> float:
    begun = time.perf_counter()
    for images, labels in islice(batches, count):
        loss = nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - begun


def endless(split: Split, found: PixelStatistics) -> Iterator[Batch]:
    while True:
        yield from (batch for batch in ours(split, found) if len(batch[0]) == BATCH)


def feeding(split: Split, found: PixelStatistics, rounds: int, count: int = 8) -> None:
    """Alternate short turns, in changing order, so that other load on the machine affects both alike."""
    network = models.create("resnet20")
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    fed = endless(split, found)
    batch = next(fed)
    steps(iter([batch] * 4), network, optimizer, 4)  # warms up
    times: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(rounds):
        for feed in (True, False) if turn % 2 else (False, True):
            source = fed if feed else iter([batch] * count)
            times[feed].append(steps(source, network, optimizer, count) / count)
    ratios = [after / before for before, after in zip(times[False], times[True], strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    print(
        f"ResNet-20 fed by ours over a fixed batch: {statistics.median(ratios):.3f} (quartiles {low:.3f}, {high:.3f})"
    )
    bare, mine = (min(times[feed]) * 1000 for feed in (False, True))
    print(f"the fastest steps: {bare:.1f} ms on a fixed batch, {mine:.1f} ms fed, {mine / bare:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    train = load("cifar10", Request(options.root)).train
    assert isinstance(train, Split)
    found, split = PixelStatistics.of(train.images), train.rows(torch.arange(options.images))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {len(split):,} images, medians")
    rates(split, found, options.rounds)
    feeding(split, found, 6 * options.rounds)


if __name__ == "__main__":
    main()
