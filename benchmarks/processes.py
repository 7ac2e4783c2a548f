"""Two processes with one thread each, relative to one process with two threads: images per second of ResNet-20.

    python benchmarks/processes.py [rounds=3] [steps=20] [model=resnet20 data.batch_size=128 ...]

Runs ``repronet train`` on the built-in digits, alternating between the two, so that changes of machine speed affect
both. Counts the second epoch of each run, as timed in ``history.csv``: training steps and one validation batch. Prints
the medians and the median of the rounds' ratios; above 1, the two processes are faster.
"""

from __future__ import annotations

import csv
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

KINDS = {"one process, two threads": (1, 2), "two processes, a thread each": (2, 1)}
WORDS = (
    *(
        "model=resnet20",
        "data=mnist5k",
        "augmentation=cifar_standard",
        "data.batch_size=128",
        "data.eval_batch_size=100",
    ),
    *("trainer.accelerator=cpu", "trainer.max_epochs=2", "trainer.limit_val_batches=1", "trainer.limit_test_batches=1"),
    *("trainer.board=none", "trainer.enable_progress_bar=false"),
)


def images_per_second(folder: Path, processes: int, threads: int, steps: int, words: list[str]) -> float:
    """Images per second in the second epoch of a run."""
    given = [f"trainer.devices={processes}", f"trainer.threads={threads}", f"trainer.limit_train_batches={steps}"]
    command = [sys.executable, "-m", "repronet", "train", *WORDS, *given, *words, f"run_dir={folder}"]
    subprocess.run(command, check=True, capture_output=True)
    with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
        first, second = (float(row["seconds"]) for row in csv.DictReader(file))
    batch = next(word.split("=")[1] for word in reversed([*WORDS, *words]) if word.startswith("data.batch_size="))
    return steps * int(batch) / (second - first)


def main(words: list[str]) -> None:
    """Run the rounds and print the results."""
    given = {"rounds": 3, "steps": 20}
    for word in [word for word in words if word.partition("=")[0] in given]:
        key, _, value = word.partition("=")
        given[key] = int(value)
        words.remove(word)
    found: dict[str, list[float]] = {name: [] for name in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given["rounds"]):
            for name, (processes, threads) in KINDS.items():
                run = Path(folder) / f"{number}-{processes}"
                found[name].append(images_per_second(run, processes, threads, given["steps"], words))
                print(f"round {number + 1}, {name}: {found[name][-1]:,.0f} images/s", flush=True)
    for name, speeds in found.items():
        print(f"{name}: {statistics.median(speeds):,.0f} images/s")
    one, two = found.values()
    ratios = [b / a for a, b in zip(one, two, strict=True)]
    print(f"ratio: {statistics.median(ratios):.2f} (rounds: {', '.join(f'{ratio:.2f}' for ratio in ratios)})")


if __name__ == "__main__":
    main(sys.argv[1:])
