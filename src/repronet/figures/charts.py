"""Curves, matrices, maps of points and surfaces."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import TypeVar

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter
from torch import Tensor

from repronet.figures.images import plainly, stretched

MOST_NAMED = 40  # largest number of classes whose names label a matrix
COLOURS = 20
NAME = 24  # letters of a class's name at most
LEGEND = 120  # letters in a line of a legend at most
WIDE = 4  # ratio of the largest value to the smallest from which an axis is logarithmic

Rows = Sequence[Mapping[str, float]]
Row = TypeVar("Row", bound=Mapping[str, float])


def read_history(path: Path) -> list[dict[str, float]]:
    """The rows of a run's history.csv; empty cells, as in epochs without validation, become NaN."""
    with path.open(encoding="utf-8") as file:
        return [{key: float(value or "nan") for key, value in row.items()} for row in csv.DictReader(file)]


def validated(rows: Sequence[Row]) -> list[Row]:
    """The rows of validated epochs: their errors are numbers even if their losses are not."""
    return [row for row in rows if not math.isnan(row["val_error"])]


def curves(runs: Mapping[str, Rows]) -> Figure:
    """Loss and error by epoch, training dashed and validation solid, one colour per run. For a single run also the
    learning rate and, faintly, the top-5 errors if those of training are known.
    """
    alone = len(runs) == 1
    top5 = alone and all(not math.isnan(row.get("train_error_top5", math.nan)) for row in next(iter(runs.values())))
    figure = Figure(figsize=(12 if alone else 9.5, 3.4), dpi=110, layout="constrained")
    axes = figure.subplots(1, 3 if alone else 2)
    for plot, (name, scale, label) in zip(axes, [("loss", 1, "loss"), ("error", 100, "error, %")], strict=False):
        lines = [(split, name, 1.0) for split in ("train", "val")]
        lines += [(split, "error_top5", 0.5) for split in ("train", "val") if top5 and name == "error"]
        for number, (run, rows) in enumerate(runs.items()):
            epochs = [row["epoch"] for row in rows]
            for split, kind, alpha in lines:
                values = [scale * row[f"{split}_{kind}"] for row in rows]
                label_of = split if alone else (run if split == "val" else None)
                label_of = f"{split} top-5" if kind == "error_top5" else label_of
                colour = f"C{number}" if len(runs) <= 10 else colormaps["tab20"](number % 20)
                colour = f"C{2 * (split == 'val')}" if alone else colour
                style = "--" if split == "train" else "-"
                plot.plot(epochs, values, style, color=colour, alpha=alpha, label=label_of, marker=_marker(rows))
        drawn = [row[f"{split}_{kind}"] for rows in runs.values() for row in rows for split, kind, _ in lines]
        plot.set(xlabel="epoch", ylabel=label)
        _scale(plot, [value for value in drawn if not math.isnan(value)])
        plot.grid(which="both", alpha=0.25)
    if alone:
        rows = next(iter(runs.values()))
        axes[2].plot([row["epoch"] for row in rows], [row["lr"] for row in rows], color="C1", marker=_marker(rows))
        axes[2].set(xlabel="epoch", ylabel="learning rate", ylim=(0, None))
        axes[2].grid(alpha=0.25)
        axes[1].legend(fontsize=8)
        figure.suptitle(plainly(next(iter(runs))), fontsize=10)
    else:
        columns = max(min(LEGEND // max(map(len, runs)), 3), 1)
        figure.set_figheight(3.4 + 0.17 * -(-len(runs) // columns))  # room for the legend below the curves
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(
            handles, [plainly(name, LEGEND) for name in names], loc="outside lower center", fontsize=8, ncols=columns
        )
        axes[0].set_title("validation solid, training dashed", fontsize=8, loc="left")
    for plot in axes:
        plot.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


def redrawn(
    runs: Mapping[str, Sequence[Rows]],
    kinds: Sequence[str],
    published: Mapping[str, float],
    marks: Mapping[str, float],
    heading: str,
    by: str = "step",
) -> Figure:
    """Errors by step or epoch, one colour per experiment: training dashed, validation solid, published errors dotted.

    Args:
        runs: the rows of each seed; for several seeds, the mean is drawn over the single curves.
        kinds: "train_error", "val_error" or both.
        published: errors of some of the experiments, in percent.
        marks: other errors to mark, in percent, by name.
    """
    figure = Figure(figsize=(9.5, 4.6), dpi=110, layout="constrained")
    axes = figure.subplots()
    for number, (run, seeds) in enumerate(runs.items()):
        for kind in kinds:
            style, label = ("--" if kind == "train_error" else "-"), (run if kind == kinds[-1] else None)
            places = [row[by] for row in seeds[0]]
            values = [[100 * row[kind] for row in rows] for rows in seeds]
            for single in values if len(seeds) > 1 else ():
                axes.plot(places, single, style, color=f"C{number}", alpha=0.25, linewidth=0.8)
            average = [mean(found) for found in zip(*values, strict=True)]
            axes.plot(places, average, style, color=f"C{number}", label=label, marker=_marker(seeds[0]))
        if run in published:
            axes.axhline(published[run], color=f"C{number}", linestyle=":", label=f"paper: {published[run]:g} %")
    for name, percent in marks.items():
        axes.axhline(percent, color="gray", linestyle=":", label=f"{name}: {percent:g} %")
    axes.set(xlabel=by, ylabel="error, %", ylim=(0, None))
    only = {"val_error": "validation error", "train_error": "training error"}[kinds[0]]
    axes.set_title("validation solid, training dashed" if len(kinds) > 1 else only, fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.legend(fontsize=7)
    figure.suptitle(heading, fontsize=10)
    return figure


def _scale(plot: Axes, drawn: Sequence[float]) -> None:
    """Make the axis logarithmic, with plain numbers as ticks, if the values are positive and far apart."""
    if not drawn or min(drawn) <= 0 or max(drawn) < WIDE * min(drawn):
        return
    plot.set_yscale("log")
    plot.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    plot.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    plot.yaxis.set_minor_formatter(NullFormatter())


def _marker(rows: Rows) -> str | None:
    """Dots for fewer than three epochs, as a line through one is invisible and through two hardly visible."""
    return "." if len(rows) < 3 else None


def confusion(counts: Tensor, classes: Sequence[str], heading: str, inches: float | None = None) -> Figure:
    """A confusion matrix, (classes, classes): shares of each row as shades, counts as numbers.

    Args:
        inches: height of the figure; None: what the classes need, up to eleven.
    """
    size = len(classes)
    inches = inches or min(max(0.42 * size + 2, 4.5), 11)
    figure = Figure(figsize=(inches + 0.6, inches), dpi=110, layout="constrained")
    axes = figure.subplots()
    shares = counts / counts.sum(dim=1, keepdim=True).clamp_min(1)
    axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    if size <= MOST_NAMED:
        names = [plainly(name, NAME) for name in classes]
        axes.set_xticks(range(size), names, rotation=90, fontsize=8)
        axes.set_yticks(range(size), names, fontsize=8)
    if size <= COLOURS:
        for row, column in torch.nonzero(counts).tolist():
            shade = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, f"{int(counts[row, column])}", ha="center", va="center", fontsize=7, color=shade)
    wrong = 1 - float(counts.trace()) / max(float(counts.sum()), 1)
    axes.set(xlabel="taken for", ylabel="is")
    axes.set_title(f"{plainly(heading)}: {wrong:.2%} wrong of {int(counts.sum()):,}", fontsize=10)
    return figure


def reliability(images: Tensor, likely: Tensor, right: Tensor, heading: str) -> Figure:
    """A reliability diagram: the accuracy of predictions over their confidence, and below it their number.

    Args:
        images, likely, right: for bins of equal width, (bins,): the number of predictions, their mean probability, and
            the share of them that is right.
    """
    figure = Figure(figsize=(4.6, 5), dpi=110, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    bins = len(images)
    middles, filled = (np.arange(bins) + 0.5) / bins, images.numpy() > 0
    upper.bar(middles[filled], right.numpy()[filled], 0.94 / bins, color="tab:blue", alpha=0.7, label="right answers")
    upper.plot(likely.numpy()[filled], right.numpy()[filled], ".", color="black", markersize=4)
    upper.plot([0, 1], [0, 1], "--", color="gray", linewidth=1, label="perfect calibration")
    upper.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    upper.legend(fontsize=8, loc="upper left")
    lower.bar(middles, images.numpy(), 0.94 / bins, color="gray")
    lower.set(xlabel="confidence", ylabel="images")
    upper.set_title(plainly(heading), fontsize=10)
    return figure


def point_map(
    points: Tensor, labels: Tensor, classes: Sequence[str], heading: str, images: Tensor | None = None
) -> Figure:
    """A scatter plot of points (N, 2), coloured by label, with a few of the images (N, C, H, W) at their points."""
    figure = Figure(figsize=(9, 7.2), dpi=110, layout="constrained")
    axes = figure.subplots()
    present = sorted(set(labels.tolist()))
    for label in present:
        its = points[labels == label].numpy()
        colour, name = f"C{label % 10}", plainly(classes[int(label)], NAME)
        axes.scatter(*its.T, s=9, color=colour, marker="o^"[label // 10 % 2], label=name)
    for index in _apart(points, 60) if images is not None else []:
        image = stretched(images[index]).permute(1, 2, 0).numpy()  # type: ignore[index]  # (H, W, C)
        image = image if image.shape[-1] == 3 else image[..., 0]
        thumbnail = OffsetImage(image, zoom=18 / max(image.shape[:2]), cmap="gray")
        edge = {"edgecolor": f"C{labels[index] % 10}"}
        axes.add_artist(AnnotationBbox(thumbnail, tuple(points[index].tolist()), pad=0.1, bboxprops=edge))
    axes.set(xticks=[], yticks=[])
    axes.set_title(plainly(heading), fontsize=10)
    if len(present) <= COLOURS:
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), markerscale=2)
    return figure


def _apart(points: Tensor, most: int) -> list[int]:
    """The indices of points none of which is near another, chosen in order."""
    reach = float((points.amax(0) - points.amin(0)).max()) / 13
    chosen: list[int] = []
    for index in range(len(points)):
        if all(float((points[index] - points[other]).norm()) > reach for other in chosen):
            chosen.append(index)
            if len(chosen) == most:
                break
    return chosen


def surface(line: Tensor, plane: Tensor, reach: float, heading: str) -> Figure:
    """The loss along one direction (P,) and over two (B, A), each from −reach to reach."""
    figure = Figure(figsize=(11, 4.2), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(np.linspace(-reach, reach, len(line)), line.numpy())
    left.axvline(0, color="gray", linewidth=0.8)
    left.set(xlabel="α, in lengths of the filters", ylabel="loss", title="along one direction")
    left.grid(alpha=0.25)
    ticks = [np.linspace(-reach, reach, count) for count in reversed(plane.shape)]
    shown = plane.numpy()
    levels = np.geomspace(max(shown.min(), 1e-6), max(shown.max(), shown.min() * 1.01, 2e-6), 22)
    contours = right.contourf(*ticks, shown, levels=levels, cmap="viridis", norm="log", extend="both")
    right.contour(*ticks, shown, levels=levels[::2], colors="white", linewidths=0.4)
    right.plot(0, 0, "r+", markersize=10)
    right.set(xlabel="α", ylabel="β", title="over two directions")
    right.set_aspect("equal")
    figure.colorbar(contours, ax=right, label="loss", format="%.3g")
    figure.suptitle(plainly(heading), fontsize=10)
    return figure
