"""Test error and training time by the number of training images: hand-crafted features compared with learned ones.

    python benchmarks/training_sizes.py DATA_ROOT [--out runs/sizes] [--seeds 3] [--words algorithm=native]

Five classes of CIFAR-10 (bird, cat, horse, ship, truck) with 10 to 1,000 training images each, all their 5,000 official
test images, and 1,000 validation images. Each seed has its own training images. The fine-tuned ResNet-20 was trained
before on all images of the other five classes; that time is not counted. Runs that have ended are not run again, so it
may be stopped at any time, and ``--ways`` lets several processes share the work. Prints a table of the runs in
``--out``, and draws them there as ``sizes.png``; ``--draw`` only does that, for any folder of runs with
``data.per_class``.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from statistics import mean, median, stdev

import torch
import yaml
from finished_runs import ended
from matplotlib.figure import Figure

from repronet import runs

CLASSES, OTHERS = "[bird,cat,horse,ship,truck]", "[airplane,automobile,deer,dog,frog]"
# Epochs by images per class: with fewer images, more epochs but fewer steps.
EPOCHS = {10: 200, 30: 120, 100: 80, 300: 40, 1000: 20}
NETWORK = (
    *("preprocessing=standardize", "augmentation=cifar_standard", "optimizer=nesterov", "schedule=one_cycle"),
    *("data.batch_size=32", "trainer.check_val_every_n_epoch=5"),
)
BACKBONE = ("model=resnet20", *NETWORK, "data.batch_size=128", "optimizer.lr=0.2", "trainer.max_epochs=10")
WAYS = {
    "pixels_svm": ("model=pixels_svm",),
    "bovw_spm_svm": ("model=bovw_spm_svm",),
    "fisher_svm": ("model=fisher_svm",),
    "lenet5": ("model=lenet5", *NETWORK, "optimizer.lr=0.02"),
    "resnet20": ("model=resnet20", *NETWORK, "optimizer.lr=0.1"),
    "fine-tuned": ("model=resnet20", *NETWORK, "optimizer.lr=0.02", "finetune=all", "weights={backbone}"),
}
Points = dict[str, dict[int, list[tuple[float, float]]]]


def train(asked: argparse.Namespace) -> None:
    """Train the runs that have not ended yet in ``asked.out``."""
    common = [f"data.root={asked.root}", "data=cifar10", "trainer.threads=1", "trainer.board=none", "logger=none"]
    backbone = asked.out / "backbone"
    for way in asked.ways:
        words = [word.format(backbone=backbone) for word in WAYS[way]]
        if way == "fine-tuned":
            ended("train", backbone, *common, "data.val=4000", f"data.classes={OTHERS}", *BACKBONE, *asked.words)
        for seed in range(asked.seeds):
            for size in asked.sizes:
                images = [f"data.classes={CLASSES}", "data.val=2000", f"data.per_class={size}"]
                own = [f"data.per_class_seed={seed}", f"seed={seed}"]
                if not way.endswith("svm"):
                    own += [f"trainer.max_epochs={EPOCHS[size] // (2 if way == 'fine-tuned' else 1)}", *asked.words]
                ended("train", asked.out / f"{way}-{size}-{seed}", *common, *images, *words, *own)


def read(folder: Path) -> Points:
    """(Test error in per cent, seconds of training) of each seed, by model (the best last) and images per class."""
    found: Points = defaultdict(lambda: defaultdict(list))
    for path in sorted(folder.rglob(runs.RESULT)):
        config, result = yaml.safe_load((path.parent / runs.CONFIG).read_text("utf-8")), runs.read_result(path.parent)
        if isinstance(config["data"]["per_class"], int) and result["test_error"] is not None:
            name = result["model"] + (", fine-tuned" if config.get("weights") else "")
            point = 100 * result["test_error"], result["train_seconds"]
            found[name][config["data"]["per_class"]].append(point)
    return dict(sorted(found.items(), key=lambda row: -mean(error for error, _ in row[1][max(row[1])])))


def table(points: Points) -> str:
    """A table with models as rows and numbers of images as columns: error ± deviation (seeds), median seconds."""
    sizes = sorted({size for row in points.values() for size in row})
    lines = [f"| model | {' | '.join(f'{size:,} per class' for size in sizes)} |", "|---" * (len(sizes) + 1) + "|"]
    for model, found in points.items():
        cells = (_cell(found[size]) if size in found else "" for size in sizes)
        lines.append(f"| {model} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(seeds: list[tuple[float, float]]) -> str:
    errors, seconds = zip(*seeds, strict=True)
    spread = f" ± {stdev(errors):.1f}" if len(errors) > 1 else ""
    return f"{mean(errors):.1f}{spread} % ({len(errors)}), {median(seconds):.0f} s"


def draw(points: Points) -> Figure:
    """Two charts side by side, one line per model, with error bars for the deviation of the errors."""
    figure, every = Figure(figsize=(10, 3.6), layout="constrained"), sorted({n for row in points.values() for n in row})
    for axes, what, label in zip(figure.subplots(1, 2), (0, 1), ("test error, %", "seconds of training"), strict=True):
        for model, sizes in points.items():
            numbers = {size: [point[what] for point in sizes[size]] for size in sorted(sizes)}
            middle = [(median if what else mean)(values) for values in numbers.values()]
            spread = [0.0 if what or len(values) < 2 else stdev(values) for values in numbers.values()]
            axes.errorbar(list(numbers), middle, spread, label=model, marker="o")
        axes.set(xscale="log", xlabel="training images per class", ylabel=label, yscale="log" if what else "linear")
        axes.set_xticks(every, map(str, every), minor=False)
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=9)
    return figure


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, default=Path("runs/sizes"))
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(EPOCHS), choices=list(EPOCHS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--words", nargs="+", default=[], help="more arguments for networks, such as algorithm=native")
    parser.add_argument("--draw", action="store_true", help="train nothing")
    asked = parser.parse_args(words)
    asked.out = asked.out.resolve()  # configs of fine-tuned runs store the backbone's absolute path
    if not asked.draw:
        if asked.root is None:
            parser.error("DATA_ROOT: needs the folder with cifar10/; or give --draw")
        torch.set_num_threads(1)
        train(asked)
    points = read(asked.out)
    print(table(points))
    draw(points).savefig(asked.out / "sizes.png", dpi=120)


if __name__ == "__main__":
    main()
