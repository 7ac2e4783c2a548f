"""A sheet of visual words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from repronet.figures.images import Box, Panel, montage, sheet
from repronet.visualization.words import Words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:cyan")


def words_sheet(words: Words, pixels: Tensor, heading: str) -> Figure:
    """The heaviest words as patches; where the first of them occur in images; the weights of the pyramid's cells.

    Args:
        pixels: uint8 (N, C, H, W), the images that were searched for the words.
    """
    named = zip(words.patches, COLOURS, strict=False)
    rows: list[list[Panel | None]] = [
        [Panel(montage(patches, columns=4), colour.removeprefix("tab:")) for patches, colour in named]
    ]
    means = words.patches.float().mean(dim=1)  # (words, C, S, S)
    shown = range(0, len(pixels), max(len(pixels) // len(COLOURS), 1))[
        : len(COLOURS)
    ]  # of all classes, if they are sorted
    found = {n: [Box(*place, COLOURS[rank]) for rank, place in words.spots[n] if rank < len(COLOURS)] for n in shown}
    rows.append([Panel(pixels[n], boxes=boxes) for n, boxes in found.items()])
    weights = [Panel(cells[None], f"{len(cells)}×{len(cells)}") for cells in words.cells if len(cells) > 1]
    rows.append([Panel(montage(means), f"means of {len(means)} words"), *weights])
    return sheet(
        rows, ("patches next to\nthe heaviest words", "where these come", "all, and weights\nof the cells"), heading
    )
