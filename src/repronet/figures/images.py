"""Images, feature maps and filters in rows and grids, drawn with sharp pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.utils import make_grid

if TYPE_CHECKING:  # imported only for drawing, so that training need not wait for it
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCH = 1.5  # inches, the side of an image
SMALL = 20  # pixels up to which a small image in a montage is enlarged
SIDE = 280  # pixels, the side of an image that is shown alone


@dataclass(frozen=True)
class Box:
    """A frame on an image, in its pixels."""

    rows: slice
    columns: slice
    colour: str = "tab:orange"


@dataclass(frozen=True)
class Panel:
    """One image of a sheet."""

    image: Tensor  # (1 or 3, H, W), uint8 as it is, other values stretched from the least to the largest
    title: str = ""  # above the image
    heat: Tensor | None = None  # (h, w) from 0 to 1, drawn over the image and resized to it
    boxes: Sequence[Box] = field(default_factory=tuple)  # frames on it


def sheet(
    rows: Sequence[Sequence[Panel | None]], titles: Sequence[str] = (), heading: str = "", inch: float = INCH
) -> Figure:
    """Panels in rows, with the title of each row on its left.

    Args:
        titles: one for each row; empty for rows without titles.
        inch: the width of a panel.
    """
    from matplotlib.figure import Figure

    columns = max(map(len, rows))
    margin = max(0.085 * max(map(len, titles), default=0), 0.1)
    titled = any(panel is not None and panel.title for row in rows for panel in row)
    tallness = [[panel.image.shape[-2] / panel.image.shape[-1] for panel in row if panel is not None] for row in rows]
    heights = [inch * min(max(*ratios, 0.2), 3.0) + 0.2 * titled for ratios in tallness]  # within what can be laid out
    size = (inch * columns + margin, sum(heights) + 0.35 * bool(heading))
    figure = Figure(figsize=size, dpi=110, layout="compressed")
    grid = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
    for line, (row, axes_of_row) in enumerate(zip(rows, grid, strict=True)):
        for axes in axes_of_row:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        for panel, axes in zip(row, axes_of_row, strict=False):
            if panel is not None:
                _draw(panel, axes)
        if titles:
            axes_of_row[0].set_ylabel(titles[line], rotation=0, ha="right", va="center", fontsize=9)
    if heading:
        figure.suptitle(plainly(heading), fontsize=10)
    return figure


def _draw(panel: Panel, axes: Axes) -> None:
    from matplotlib.patches import Rectangle

    height, width = panel.image.shape[-2:]
    pixels = stretched(panel.image).permute(1, 2, 0).cpu().numpy()  # (C, H, W) → (H, W, C)
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    axes.imshow(pixels if pixels.shape[-1] == 3 else pixels[..., 0], cmap="gray", vmin=0, vmax=1, extent=extent)
    if panel.heat is not None:
        axes.imshow(
            panel.heat.cpu().numpy(), cmap="jet", alpha=0.45, vmin=0, vmax=1, extent=extent, interpolation="bilinear"
        )
    for box in panel.boxes:
        top, left = box.rows.start, box.columns.start
        span = (box.columns.stop - left, box.rows.stop - top)
        axes.add_patch(Rectangle((left - 0.5, top - 0.5), *span, fill=False, edgecolor=box.colour, linewidth=1.3))
    axes.set_title(plainly(panel.title), fontsize=8)


def stretched(image: Tensor) -> Tensor:
    """Scale an image to 0 to 1: uint8 by 255, other values from their least to their largest."""
    if image.dtype == torch.uint8:
        return image.float() / 255
    low, high = image.min(), image.max()
    return (image - low) / (high - low).clamp_min(1e-12)


def around_grey(values: Tensor, share: float) -> Tensor:
    """Scale to 0 to 1 with zero as grey; the strongest ``share`` is clipped, so that one value cannot fade the rest."""
    reach = torch.quantile(values.abs().flatten(), 1 - share).clamp_min(1e-12)
    return 0.5 + 0.5 * (values / reach).clamp(-1, 1)


def montage(images: Tensor, columns: int | None = None, each: bool = False, border: int = 1) -> Tensor:
    """Tile images (N, C, H, W) into one, with white lines between them: (C, H', W'), from 0 to 1.

    Small images are enlarged, so that the lines between them do not dominate.

    Args:
        columns: images in a row; None: as many as make it nearly square.
        each: stretch every image by itself instead of all on one scale.
    """
    shown = torch.stack([stretched(image) for image in images]) if each else stretched(images)
    times = max(SMALL // images.shape[-1], 1) if border else 1
    shown = F.interpolate(shown, scale_factor=times, mode="nearest") if times > 1 else shown
    columns = columns or math.ceil(math.sqrt(len(images)))
    grid = make_grid(shown, nrow=columns, padding=border, pad_value=1.0)  # turns one channel into three
    return grid if images.shape[1] == 3 else grid[:1]


def plainly(text: str, letters: int | None = None) -> str:
    """Cut a text to ``letters`` and escape its dollar signs, which matplotlib would read as a formula."""
    cut = text if letters is None or len(text) <= letters else f"{text[: letters - 1]}…"
    return cut.replace("$", r"\$")


def image_grid(
    images: Tensor,
    titles: Sequence[str] | None = None,
    heading: str | None = None,
    columns: int | None = None,
    inch: float = INCH,
) -> Figure:
    """A grid of images (N, C, H, W) of any range, nearly square without ``columns``, each under its own title.

    All have the same scale of brightness, so that they can be compared. They are drawn as one image, which takes a
    tenth of the time of many.
    """
    from matplotlib.figure import Figure

    count, side = len(images), images.shape[-1]
    columns = columns or math.ceil(math.sqrt(count))
    lines = max((title.count("\n") + 1 for title in titles or ()), default=0)
    room = math.ceil(0.16 * lines * images.shape[-2])  # above each image, for its title
    framed = F.pad(stretched(images), (0, 0, room, 0), value=1.0)
    grid = make_grid(framed, nrow=columns, padding=max(side // 24, 1), pad_value=1.0)  # (3, H', W')
    tall, wide = grid.shape[-2:]
    figure = Figure(figsize=(inch * columns, inch * columns * tall / wide + 0.3 * bool(heading)), dpi=110)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0 if not heading else 1 - 0.3 / figure.get_figheight()))
    axes.set_axis_off()
    axes.imshow(grid.permute(1, 2, 0).cpu().numpy(), aspect="auto")
    step_x, step_y = side + max(side // 24, 1), images.shape[-2] + room + max(side // 24, 1)
    for index, title in enumerate(titles or ()):
        x, y = (index % columns + 0.5) * step_x, index // columns * step_y + max(side // 24, 1) + room
        axes.text(x, y - 0.02 * images.shape[-2], plainly(title), ha="center", va="bottom", fontsize=8)
    if heading:
        figure.text(0.5, 1 - 0.06 / figure.get_figheight(), plainly(heading), ha="center", va="top", fontsize=10)
    return figure


def overlaid(image: Tensor, heat: Tensor) -> Tensor:
    """Overlay an image (1 or 3, H, W) with a heat map (h, w) from 0 to 1, resized to it: (3, H, W) from 0 to 1."""
    from matplotlib import colormaps

    wide = F.interpolate(heat[None, None], image.shape[-2:], mode="bilinear", align_corners=False)[0, 0]
    colours = torch.from_numpy(colormaps["jet"](wide.cpu().numpy())[..., :3]).permute(2, 0, 1).float()  # (3, H, W)
    return 0.55 * stretched(image).expand(3, -1, -1) + 0.45 * colours


def enlarged(image: Tensor, side: int = SIDE) -> Tensor:
    """Enlarge an image (C, H, W) by a whole factor, with sharp pixels, to be visible; shrink it if it is very large."""
    times = side // max(image.shape[-2:])
    if times >= 1:
        return F.interpolate(image[None], scale_factor=times, mode="nearest")[0]
    share = min(2 * side / max(image.shape[-2:]), 1.0)
    return F.interpolate(image[None], [round(share * length) for length in image.shape[-2:]], mode="area")[0]
