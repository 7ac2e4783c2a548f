"""A network as a row of boxes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

MOST = 16  # boxes in a row


def boxes(shapes: Mapping[str, Sequence[int]]) -> Figure:
    """What leaves each part of a network, (C, H, W) or (features,): as high as its maps, as wide as it has many.

    Heights and widths grow with logarithms, so that 224 pixels and one, three maps and 2,048, fit one row.
    """
    parts = [(name, tuple(shape)) for name, shape in shapes.items() if shape]
    rows = [parts[start : start + MOST] for start in range(0, len(parts), MOST)]
    figure = Figure(figsize=(11, 2.4 * len(rows)), dpi=100, layout="constrained")
    for axes, row in zip(figure.subplots(len(rows), 1, squeeze=False)[:, 0], rows, strict=True):
        left = 0.0
        for name, shape in row:
            channels, side = shape[0], shape[1] if len(shape) == 3 else 1
            wide, high = 0.25 + 0.1 * math.log2(channels), 0.25 + 0.25 * math.log2(side)
            colour = "tab:blue" if side > 1 else "tab:orange"
            axes.add_patch(Rectangle((left, -high / 2), wide, high, facecolor=colour, alpha=0.35, edgecolor=colour))
            middle = left + wide / 2
            axes.text(middle, -1.25, name, ha="center", va="top", rotation=30, rotation_mode="anchor", fontsize=7)
            axes.text(middle, 1.25, "×".join(map(str, shape)), ha="center", va="bottom", fontsize=7)
            left += max(wide, 0.075 * len("×".join(map(str, shape)))) + 0.35
        axes.set(xlim=(-0.4, max(left, 8)), ylim=(-2.1, 1.6))
        axes.set_axis_off()
    return figure
