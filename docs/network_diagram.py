"""A network as a row of boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

Part = tuple[str, Sequence[int]]
"""The text below a box, and the shape of the output that it shows: (C, H, W) or (features,)."""

WIDTH = 7.6  # inches; all that follows, too
ROW = 1.55
MIDDLE = 0.85  # height of the centre of the maps above the lower edge of their row
LETTER = 0.062
GAP = 0.16
POINTS = 7


def boxes(parts: Sequence[Part], links: Sequence[str | None] | None = None) -> Figure:
    """The output of each part of a network: as high as its maps, wider the more maps it has, in rows as they fill.

    `links` are addresses, one for each part: in an SVG its box becomes a link.

    Heights and widths grow with logarithms, so that 224 pixels and one, three maps and 2,048, fit one row. Vectors are
    of another colour than maps.
    """
    rows: list[list[tuple[Part, str | None]]] = [[]]
    for part, link in zip(parts, links or [None] * len(parts), strict=True):
        if rows[-1] and sum(_slot(other) for other, _ in rows[-1]) + _slot(part) > WIDTH:
            rows.append([])
        rows[-1].append((part, link))
    figure = Figure(figsize=(WIDTH, ROW * len(rows)), dpi=100)
    for number, row in enumerate(rows):
        axes = figure.add_axes((0, 1 - (number + 1) / len(rows), 1, 1 / len(rows)))
        axes.set(xlim=(0, WIDTH), ylim=(0, ROW))
        axes.set_axis_off()
        left = 0.0
        for part, link in row:
            _draw(axes, part, left + _slot(part) / 2, link)
            left += _slot(part)
    return figure


def _draw(axes: Axes, part: Part, middle: float, link: str | None) -> None:
    (text, shape), (wide, high) = part, _size(part)
    colour = "tab:blue" if len(shape) == 3 and shape[1] > 1 else "tab:orange"
    corner = (middle - wide / 2, MIDDLE - high / 2)
    axes.add_patch(Rectangle(corner, wide, high, facecolor=colour, alpha=0.35, edgecolor=colour, url=link))
    axes.text(middle, MIDDLE + high / 2 + 0.04, _shown(shape), ha="center", va="bottom", fontsize=POINTS)
    axes.text(middle, MIDDLE - high / 2 - 0.04, text, ha="center", va="top", fontsize=POINTS, linespacing=1.3)


def _size(part: Part) -> tuple[float, float]:
    """Width and height of a box."""
    _, shape = part
    return 0.12 + 0.045 * math.log2(shape[0]), 0.1 + 0.105 * math.log2(shape[1] if len(shape) == 3 else 1)


def _slot(part: Part) -> float:
    """Width that a box and its texts need in a row."""
    lines = (*part[0].splitlines(), _shown(part[1]))
    return max(_size(part)[0], LETTER * max(map(len, lines))) + GAP


def _shown(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
