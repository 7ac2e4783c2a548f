"""Draws the pictures of docs/topics: each from numbers that repronet's own functions computed.

``python docs/topic_pictures.py`` writes all of them to docs/images/topics.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from repronet import functional
from repronet.functional.conv import conv2d_input_gradient, conv2d_weight_gradient
from repronet.functional.convolution.conv_spec import ConvSpec
from repronet.functional.max_pool import max_pool2d_input_gradient
from repronet.functional.pool import avg_pool2d_input_gradient
from repronet.functional.windows import Geometry, windows
from repronet.papers import NETWORKS
from repronet.papers.tables import golden

FOLDER = Path(__file__).with_name("images") / "topics"

# The image of the exercise edge_6x6, and its filter.
IMAGE = torch.tensor(
    [
        *([3, 0, 1, 2, 7, 4], [1, 5, 8, 9, 3, 1], [2, 7, 2, 5, 1, 3]),
        *([0, 1, 3, 1, 7, 8], [4, 2, 1, 6, 2, 8], [2, 4, 5, 2, 3, 9]),
    ],
    dtype=torch.float32,
)
EDGE = torch.tensor([[1.0, 0.0, -1.0]] * 3)
# Windows of 3×3 at stride 2 overlap here; the 9 of the second row is the largest number of two of them.
MAP = torch.tensor([[1, 3, 2, 0, 4], [0, 5, 9, 8, 1], [6, 2, 7, 3, 2], [1, 4, 0, 9, 5], [3, 8, 2, 1, 6.0]])
WAYS = {  # error of docs/guide/fine_tuning.md, 20 digits of each class
    **{"all": (11.07, 1.30), "discriminative": (17.03, 1.25), "head_then_all": (18.27, 1.05)},
    **{"gradual": (18.43, 1.10), "scratch": (31.23, 3.82), "head": (45.70, 0.72)},
}


def connectivity() -> Figure:
    """Which weight connects each pixel with each output."""
    generator = torch.Generator().manual_seed(0)
    size, window = 12, 3
    full = torch.randn(size - window + 1, size, generator=generator)
    local, shared = torch.full_like(full, torch.nan), torch.full_like(full, torch.nan)
    filter_ = torch.tensor([0.8, -1.5, 0.4])
    for row in range(len(full)):
        local[row, row : row + window] = full[row, row : row + window]
        shared[row, row : row + window] = filter_
    figure, axes = _row(3, 2.7)
    for cell, matrix, title in zip(
        axes, (full, local, shared), ("fully connected: 120", "locally connected: 30", "shared: 3 weights"), strict=True
    ):
        cell.imshow(matrix, cmap="RdBu_r", vmin=-2, vmax=2)
        cell.set(title=title, xlabel="pixel", xticks=[], yticks=[])
    axes[0].set_ylabel("output")
    return figure


def convolution() -> Figure:
    """The image and the filter of an exercise, and a convolution with neither rows nor columns of that answer."""
    upright = functional.conv2d(IMAGE[None, None], EDGE[None, None])[0, 0]
    figure, axes = _row(3, 2.9, (6, 3, 4))
    _grid(axes[0], IMAGE, "image")
    _grid(axes[1], EDGE, "filter", "RdBu_r")
    _grid(axes[2], upright, "output", "RdBu_r", numbers=False)  # the numbers are the exercise
    return figure


def im2col() -> Figure:
    """A small image of numbered pixels and its columns."""
    image = torch.arange(1.0, 17).view(1, 1, 4, 4)
    columns = windows(image, _square(3)).reshape(4, 9).T
    figure, axes = _row(2, 3.3, (4, 4))
    _grid(axes[0], image[0, 0], "image", "viridis")
    _grid(axes[1], columns, "columns, one for each window", "viridis")
    return figure


def pooling() -> Figure:
    """Max, average and L2 pooling of one map."""
    maps = MAP[None, None]
    figure, axes = _row(4, 2.4, (5, 2, 2, 2))
    _grid(axes[0], MAP, "map")
    _grid(axes[1], functional.max_pool2d(maps, 3, 2)[0, 0], "max")
    _grid(axes[2], functional.avg_pool2d(maps, 3, 2)[0, 0], "average")
    _grid(axes[3], functional.lp_pool2d(maps, 2.0, 3, 2)[0, 0], "L2")
    return figure


def norms() -> Figure:
    """Which of 4 images × 6 channels share their statistics."""
    image, channel = torch.meshgrid(torch.arange(4), torch.arange(6), indexing="ij")
    shared = {
        **{"batch": channel, "layer": image, "instance": image * 6 + channel},
        "group (2 groups)": image * 2 + channel // 3,
    }
    figure, axes = _row(4, 2.6)
    for cell, (title, groups) in zip(axes, shared.items(), strict=True):
        order = torch.randperm(int(groups.max()) + 1, generator=torch.Generator().manual_seed(1))
        cell.imshow(order[groups].T, cmap="turbo", alpha=0.75)
        cell.set(title=title, xlabel="image", xticks=[], yticks=[])
        cell.set_xticks([x - 0.5 for x in range(1, 4)], minor=True)
        cell.set_yticks([y - 0.5 for y in range(1, 6)], minor=True)
        cell.grid(which="minor", color="white", linewidth=2)
        cell.tick_params(which="minor", length=0)
    axes[0].set_ylabel("channel")
    return figure


def softmax() -> Figure:
    """Scores, probabilities, gradient."""
    scores = torch.tensor([1.0, 3.0, 2.0, -1.0, 0.5], requires_grad=True)
    (gradient,) = torch.autograd.grad(functional.cross_entropy(scores[None], torch.tensor([2])), scores)
    figure, axes = _row(3, 2.5)
    values = (scores.detach(), functional.softmax(scores.detach(), dim=0), gradient)
    for cell, value, title in zip(axes, values, ("scores z", "probabilities p", "gradient p − [k = t]"), strict=True):
        cell.bar(range(5), value, color=["tab:orange" if k == 2 else "tab:blue" for k in range(5)])
        cell.axhline(0, color="black", linewidth=0.7)
        cell.set(title=title, xlabel="class")
    return figure


def conv_backward() -> Figure:
    """Image, filter and output of a convolution above their gradients for L = Σ y² / 2."""
    generator = torch.Generator().manual_seed(3)
    image = torch.randint(0, 4, (1, 1, 5, 5), generator=generator).float()
    weight = torch.tensor([[[[1.0, 0, -1], [1, 0, -1], [1, 0, -1]]]])
    spec = ConvSpec(_square(3), groups=1)
    output = functional.conv2d(image, weight)
    figure = Figure(figsize=(7.6, 4.6), layout="constrained")
    axes = figure.subplots(2, 3, width_ratios=(5, 3, 3))
    _grid(axes[0, 0], image[0, 0], "image x")
    _grid(axes[0, 1], weight[0, 0], "filter w", "RdBu_r")
    _grid(axes[0, 2], output[0, 0], "output y", "RdBu_r")
    _grid(axes[1, 0], conv2d_input_gradient(output, weight, (5, 5), spec)[0, 0], "∂L/∂x", "RdBu_r")
    _grid(axes[1, 1], conv2d_weight_gradient(output, image, spec)[0, 0], "∂L/∂w", "RdBu_r")
    _grid(axes[1, 2], output[0, 0], "∂L/∂y = y", "RdBu_r")
    return figure


def pool_backward() -> Figure:
    """The map, and where a gradient of 1 for each output goes."""
    geometry, ones = _square(3, 2), torch.ones(1, 1, 2, 2)
    figure, axes = _row(3, 2.8)
    _grid(axes[0], MAP, "map")
    _grid(axes[1], max_pool2d_input_gradient(ones, MAP[None, None], geometry)[0, 0], "max pooling")
    _grid(axes[2], 9 * avg_pool2d_input_gradient(ones, (5, 5), geometry, 9)[0, 0], "average pooling, times 9")
    return figure


def networks() -> Figure:
    """Parameters against multiplications, a colour for each year."""
    figure = Figure(figsize=(7.6, 4.2), layout="constrained")
    axes = figure.subplots()
    names = ("lenet5_1998", "alexnet", "vgg16", "googlenet", "inception_v3", "resnet50", "resnet152", "resnext50_32x4d")
    for name in (*names, "densenet121", "se_resnet50"):
        facts, macs = NETWORKS[name], golden()[name]["macs"]
        colour = matplotlib.colormaps["viridis"]((facts.paper.year - 2011) / 8)
        axes.scatter(macs, facts.parameters, s=60, color=colour)
        is_above = name in ("resnet50", "googlenet", "resnet152")
        place = {"xytext": (0, 8 if is_above else -14), "textcoords": "offset points"}
        axes.annotate(f"{name} ({facts.paper.year})", (macs, facts.parameters), ha="center", fontsize=8, **place)
    axes.set(xscale="log", yscale="log", xlabel="multiplications for one image", ylabel="parameters")
    axes.margins(0.15)
    axes.grid(alpha=0.3)
    return figure


def transfer() -> Figure:
    """Bars of the measured errors."""
    figure = Figure(figsize=(7.6, 2.6), layout="constrained")
    axes = figure.subplots()
    names = list(WAYS)[::-1]
    means, deviations = zip(*(WAYS[name] for name in names), strict=True)
    colours = ["tab:orange" if name == "scratch" else "tab:blue" for name in names]
    axes.barh(names, means, xerr=deviations, color=colours, alpha=0.8)
    axes.set(xlabel="test error, %")
    return figure


HOUSE = (  # rows of packages, from what is used by nobody to what uses nobody
    ("cli", "api"),
    ("session", "reproduction", "classical"),
    ("config",),
    ("gan",),
    ("training", "exercises", "analysis"),
    ("data", "weights", "visualization", "runs", "figures"),
    ("models",),
    ("layers",),
    ("functional",),
    ("native",),
    ("papers", "errors", "constraints", "algorithms"),
)


def house() -> Figure:
    """The packages in rows; each row uses the rows below it."""
    figure = Figure(figsize=(7.6, 5.6), layout="constrained")
    axes = figure.subplots()
    high = len(HOUSE)
    colours = matplotlib.colormaps["Blues"]
    for number, row in enumerate(HOUSE):
        y, wide = high - number, 10 / len(row)
        for place, name in enumerate(row):
            box = Rectangle((place * wide + 0.08, y - 0.32), wide - 0.16, 0.64, edgecolor="tab:blue")
            box.set_facecolor(colours(0.1 + 0.04 * number))
            axes.add_patch(box)
            axes.text((place + 0.5) * wide, y, name, ha="center", va="center")
        if number:
            axes.annotate("", (5, y + 0.34), (5, y + 0.66), arrowprops={"arrowstyle": "->", "color": "grey"})
    axes.set(xlim=(0, 10), ylim=(0.5, high + 0.5))
    axes.set_axis_off()
    return figure


PICTURES = {
    draw.__name__: draw
    for draw in (
        *(connectivity, convolution, im2col, pooling, norms, softmax, conv_backward, pool_backward, networks),
        *(transfer, house),
    )
}


def _square(side: int, stride: int = 1) -> Geometry:
    return Geometry((side, side), (stride, stride), (0, 0), (1, 1))


def _row(count: int, high: float, widths: tuple[int, ...] | None = None) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(7.6, high), layout="constrained")
    return figure, list(figure.subplots(1, count, width_ratios=widths))


def _grid(axes: Axes, matrix: Tensor, title: str, colours: str = "Blues", numbers: bool = True) -> None:
    """A matrix as coloured cells with their numbers."""
    largest = float(matrix.abs().max()) * 1.6
    lowest = -largest if colours == "RdBu_r" else 0
    axes.imshow(matrix, cmap=colours, vmin=lowest, vmax=largest, alpha=0.85)
    axes.set(title=title, xticks=[], yticks=[])
    for row, values in enumerate(matrix.tolist() if numbers else ()):
        for column, value in enumerate(values):
            text = f"{value:.0f}" if float(value).is_integer() else f"{value:.1f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=9)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        with rc_context({"svg.hashsalt": name, "svg.fonttype": "none", "font.size": 9, "axes.titlesize": 9}):
            draw().savefig(FOLDER / f"{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    sys.exit(main())
