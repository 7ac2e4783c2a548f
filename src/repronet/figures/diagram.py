"""A network as a row of boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

Part = tuple[str, Sequence[int]]
"""What stands below a box, and the shape of what leaves it: (C, H, W) or (features,)."""

WIDTH = 7.6  # inches; all that follows, too
ROW = 1.55
MIDDLE = 0.85  # of the maps, above the lower edge of their row
LETTER = 0.062
GAP = 0.16
POINTS = 7


def boxes(parts: Sequence[Part]) -> Figure:
    """What leaves each part of a network, as high as its maps and as wide as it has many, in rows as they fill.

    Heights and widths grow with logarithms, so that 224 pixels and one, three maps and 2,048, fit one row. Vectors are
    of another colour than maps.
    """
    rows: list[list[Part]] = [[]]
    for part in parts:
        if rows[-1] and sum(map(_slot, rows[-1])) + _slot(part) > WIDTH:
            rows.append([])
        rows[-1].append(part)
    figure = Figure(figsize=(WIDTH, ROW * len(rows)), dpi=100)
    for number, row in enumerate(rows):
        axes = figure.add_axes((0, 1 - (number + 1) / len(rows), 1, 1 / len(rows)))
        axes.set(xlim=(0, WIDTH), ylim=(0, ROW))
        axes.set_axis_off()
        left = 0.0
        for part in row:
            _draw(axes, part, left + _slot(part) / 2)
            left += _slot(part)
    return figure


def _draw(axes: Axes, part: Part, middle: float) -> None:
    (text, shape), (wide, high) = part, _size(part)
    colour = "tab:blue" if len(shape) == 3 and shape[1] > 1 else "tab:orange"
    corner = (middle - wide / 2, MIDDLE - high / 2)
    axes.add_patch(Rectangle(corner, wide, high, facecolor=colour, alpha=0.35, edgecolor=colour))
    axes.text(middle, MIDDLE + high / 2 + 0.04, _shown(shape), ha="center", va="bottom", fontsize=POINTS)
    axes.text(middle, MIDDLE - high / 2 - 0.04, text, ha="center", va="top", fontsize=POINTS, linespacing=1.3)


def _size(part: Part) -> tuple[float, float]:
    """Width and height of a box."""
    _, shape = part
    return 0.12 + 0.045 * math.log2(shape[0]), 0.1 + 0.105 * math.log2(shape[1] if len(shape) == 3 else 1)


def _slot(part: Part) -> float:
    """What a box and its texts take of a row."""
    lines = (*part[0].splitlines(), _shown(part[1]))
    return max(_size(part)[0], LETTER * max(map(len, lines))) + GAP


def _shown(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
