"""Draw error and time over the number of training images: ``python scripts/draw_training_sizes.py OUT.png RUN …``.

Each RUN is a run folder or a folder of them, as a sweep over ``data.per_class`` leaves; runs that differ in their seed
alone are one point, with their standard deviation.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev

import yaml
from matplotlib.figure import Figure

from repronet import runs

Points = dict[str, dict[int, list[tuple[float, float]]]]


def read(folders: list[Path]) -> Points:
    """By model and images a class: test error in per cent, and seconds of training, of each seed."""
    found: Points = defaultdict(lambda: defaultdict(list))
    for path in sorted(file for folder in folders for file in folder.rglob(runs.RESULT)):
        config, result = yaml.safe_load((path.parent / runs.CONFIG).read_text("utf-8")), runs.read_result(path.parent)
        if config["data"]["per_class"] is not None and result["test_error"] is not None:
            point = 100 * result["test_error"], result["train_seconds"]
            found[result["model"]][config["data"]["per_class"]].append(point)
    return found


def draw(points: Points) -> Figure:
    """Two charts side by side, a line a model."""
    figure = Figure(figsize=(9.5, 3.6), layout="constrained")
    for axes, what, label in zip(figure.subplots(1, 2), (0, 1), ("test error, %", "seconds of training"), strict=True):
        for model, sizes in points.items():
            numbers = {size: [point[what] for point in sizes[size]] for size in sorted(sizes)}
            spread = [stdev(values) if len(values) > 1 else 0.0 for values in numbers.values()]
            axes.errorbar(list(numbers), [mean(values) for values in numbers.values()], spread, label=model, marker="o")
        axes.set(xscale="log", xlabel="training images a class", ylabel=label, yscale="log" if what else "linear")
        axes.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=8)
    return figure


def main(out: Path, folders: list[Path]) -> None:
    points = read(folders)
    for model, sizes in points.items():
        for size, found in sorted(sizes.items()):
            errors, seconds = zip(*found, strict=True)
            print(f"{model:<14} {size:>6} a class: {mean(errors):6.2f} %  {mean(seconds):7.1f} s  ({len(found)} seeds)")
    draw(points).savefig(out)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
