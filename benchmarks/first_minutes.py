"""Time from a folder of 300 images to a trained network: our command relative to ultralytics'.

    python benchmarks/first_minutes.py --yolo PATH [--rounds 3] [--model resnet18_32px] [--peer yolo11n-cls.yaml]

Both train on the same images, with the same epochs, batch size and image size, started as a user would, with the plots
they draw by default. They alternate, the medians are compared, and the cache of decoded images is emptied every time.
PATH is the `yolo` command of a Python with ultralytics. Its YOLO11n-cls has 1.5 million parameters and needs about 4
million multiplications for an image of 32 pixels; resnet18_32px needs 555 million. The default ratio therefore compares
two commands, not two training speeds; `--model resnet50_v1_5 --peer yolov8-cls-resnet50.yaml --size 64` trains the same
convolutions on both sides. Also printed: the seconds to the first line of output and to the first result of an epoch,
and the CPU time, on which other programs have less influence.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES, TRAINED, VALIDATED = ("daisy", "rose", "tulip"), 80, 20  # images per class


def write_images(root: Path) -> None:
    """Write images of noisy waves, one wavelength per class, as large as photographs, portrait and landscape."""
    drawn = np.random.default_rng(0)
    for split, count in (("train", TRAINED), ("val", VALIDATED)):
        for label, name in enumerate(CLASSES):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                height, width = (375, 500) if number % 2 else (500, 375)
                rows, columns = np.mgrid[0:height, 0:width]
                phases = drawn.uniform(0, 6, 2)
                waves = np.sin(columns / (20 + 10 * label) + phases[0]) * np.cos(rows / (15 + 7 * label) + phases[1])
                noise = drawn.normal(0, 20, (height, width, 3))
                pixels = (128 + 60 * waves[..., None] + noise).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number:03d}.jpg", quality=88)


def timed(command: list[str], folder: Path, until: str) -> tuple[float, float, float, float]:
    """Seconds to the first line of output, to the first line with ``until``, and to the end; and the CPU seconds."""
    begun, used = time.perf_counter(), _used()
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "YOLO_CONFIG_DIR": str(folder / "cache")}
    running = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    spoke = epoch = float("nan")
    said: list[str] = []
    assert running.stdout is not None
    for line in running.stdout:  # text mode splits yolo's progress bar into lines at its carriage returns
        said.append(line)
        now = time.perf_counter() - begun
        spoke = now if len(said) == 1 else spoke
        epoch = now if until in line and epoch != epoch else epoch
    if running.wait():
        raise SystemExit(f"{' '.join(command)} failed:\n{''.join(said[-20:])}")
    return spoke, epoch, time.perf_counter() - begun, _used() - used


def _used() -> float:
    """CPU seconds of all finished child processes."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--yolo", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="resnet18_32px")
    parser.add_argument("--peer", default="yolo11n-cls.yaml")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        photos = Path(place) / "photos"
        write_images(photos)
        ours = [
            *(sys.executable, "-m", "repronet", "train", "data=image_folder", f"data.root={photos}"),
            *(f"model={given.model}", f"image_size={given.size}", f"trainer.max_epochs={given.epochs}"),
            "data.batch_size=16",
        ]
        theirs = [
            *(given.yolo, "classify", "train", f"data={photos}", f"model={given.peer}"),
            *(f"epochs={given.epochs}", f"imgsz={given.size}", "batch=16"),
        ]
        seconds: dict[str, list[tuple[float, float, float, float]]] = {"ours": [], "theirs": []}
        for number in range(given.rounds):
            for name, command, until in (("ours", ours, "epoch 1/"), ("theirs", theirs, f"1/{given.epochs}")):
                folder = Path(place) / f"{name}{number}"
                folder.mkdir()
                seconds[name].append(timed(command, folder, until))
                spoke, epoch, end, used = seconds[name][-1]
                times = f"first line {spoke:.1f} s, first epoch {epoch:.1f} s, end {end:.1f} s, processor {used:.1f} s"
                print(f"{name:>7}: {times}", flush=True)
    for what, column in (("end", 2), ("processor", 3)):
        whole = {name: statistics.median(row[column] for row in found) for name, found in seconds.items()}
        ours, theirs = whole["ours"], whole["theirs"]
        print(f"ours / theirs, {what}: {ours / theirs:.2f} ({ours:.1f} and {theirs:.1f} s)")


if __name__ == "__main__":
    main()
