"""Seconds per epoch of ResNet-20 on CIFAR-10: `repronet train` relative to a typical training script.

    python benchmarks/epoch.py ROOT [--rounds 3] [--images 10240] [--workers 2]

ROOT holds CIFAR-10. The script is a plain PyTorch loop, as in akamaster's and kuangliu's well-known repositories:
torchvision's transforms (pad, crop, flip, standardize) of images in memory, a DataLoader with WORKERS processes, the
same network on torch.nn, SGD, batches of 128, loss and accuracy summed at every step. Ours is the command with its
defaults, with checkpoints and TensorBoard. Both train on IMAGES images, a multiple of 128, pass 500 in evaluation mode,
and use all cores. They alternate, and the second epochs are compared.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2
from torchvision.transforms.functional import to_pil_image

from repronet import models
from repronet.data.sources import Request, load
from repronet.data.splits import Split

BATCH, EPOCHS, VALIDATED = 128, 2, 500
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


class Images(Dataset):
    """The training images as torchvision's CIFAR10 returns them: one by one, as PIL images."""

    def __init__(self, root: Path, images: int, transform: v2.Transform):
        train = load("cifar10", Request(root)).train
        assert isinstance(train, Split)
        self.images, self.labels, self.transform = train.images[:images], train.labels[:images], transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(to_pil_image(self.images[index])), int(self.labels[index])


def script(root: Path, images: int, workers: int) -> None:
    """Train and print the seconds of each epoch."""
    steps = [v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip(), v2.ToImage()]
    transform = v2.Compose([*steps, v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])
    loader = DataLoader(
        Images(root, images, transform), BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    network = models.create("resnet20", layers="torch").train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    validated = next(iter(DataLoader(Images(root, VALIDATED, transform), VALIDATED)))[0]
    for _ in range(EPOCHS):
        began, total, right = time.perf_counter(), 0.0, 0
        for batch, labels in loader:
            logits = network(batch)
            loss = F.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
            right += int((logits.argmax(1) == labels).sum())
        with torch.no_grad():
            network.eval()(validated)
        network.train()
        print(f"{time.perf_counter() - began:.3f}", flush=True)


def theirs(options: argparse.Namespace, folder: Path) -> float:
    command = [sys.executable, __file__, str(options.root), "--script", f"--workers={options.workers}"]
    run = subprocess.run([*command, f"--images={options.images}"], check=True, capture_output=True, text=True)
    return float(run.stdout.split()[-1])


def ours(options: argparse.Namespace, folder: Path) -> float:
    command = [sys.executable, "-m", "repronet", "train", "model=resnet20", "data=cifar10", f"data.root={options.root}"]
    given = [f"trainer.max_epochs={EPOCHS}", f"data.batch_size={BATCH}", f"run_dir={folder}"]
    limits = [
        "trainer.limit_val_batches=1",
        f"data.eval_batch_size={VALIDATED}",
        f"trainer.limit_train_batches={options.images // BATCH}",
        "trainer.limit_test_batches=1",
    ]
    subprocess.run([*command, *given, *limits, "optimizer=sgd", "optimizer.lr=0.1"], check=True, capture_output=True)
    with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    return seconds[-1] - seconds[-2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=10_240)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--script", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.script:
        script(options.root, options.images, options.workers)
        return
    found: dict[str, list[float]] = {"repronet train": [], "the script": []}
    with tempfile.TemporaryDirectory() as place:
        for number in range(options.rounds):
            for name, program in (("repronet train", ours), ("the script", theirs)):
                found[name].append(program(options, Path(place) / str(number)))
                print(f"round {number + 1}, {name}: {found[name][-1]:.1f} s", flush=True)
    mine, base = found.values()
    ratios = [one / other for one, other in zip(mine, base, strict=True)]
    print(f"ratio of the medians: {statistics.median(mine) / statistics.median(base):.2f}")
    print(f"ratios of the rounds: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")


if __name__ == "__main__":
    main()
