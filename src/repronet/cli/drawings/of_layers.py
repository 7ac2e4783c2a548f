"""Drawings of the filters, outputs and receptive fields of layers."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from repronet.cli.drawings.subject import Sample, Subject
from repronet.errors import UserError
from repronet.figures.images import Box, Panel, around_grey, montage, sheet
from repronet.visualization.deconvolution import patch, project, strongest
from repronet.visualization.effective_field import effective_field
from repronet.visualization.filters import first_filters
from repronet.visualization.layer_outputs import has_places, watched
from repronet.visualization.rectifiers import probe_with

TOP = 9  # excitations per map, as in the paper's figure 2
SEARCHED = 500  # images that are searched for them
BOX_COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown")


def filters(subject: Subject) -> Figure:
    """The first layer's kernels, each scaled by itself, and all on one scale."""
    kernels = first_filters(subject.network)
    if kernels is None:
        raise UserError(f"what=filters: the first layer of {subject.config.model.name} has no kernels that are images")
    kernels = kernels[:256]
    panels = [Panel(montage(kernels, each=True), "each by itself"), Panel(montage(kernels), "all on one scale")]
    side = "×".join(map(str, kernels.shape[-2:]))
    return sheet([panels], heading=f"{subject.name}: {len(kernels)} filters of the first layer, {side}", inch=4.2)


def activations(subject: Subject) -> Figure:
    """The first feature maps of layers from the first to the last, for one image."""
    shown = subject.sample(1)
    image = Panel(shown.pixels[0], subject.classes[int(shown.labels[0])])
    wanted = subject.some_layers(6)
    with torch.no_grad(), watched(subject.network, wanted) as outputs:
        subject.network(shown.inputs[:1])
    panels: list[Panel | None] = [image]
    for layer in wanted:
        output = outputs.of[layer][0]
        maps = output[:, None] if output.ndim == 3 else output[:, None, None, None]  # (K, 1, h, w)
        title = f"{layer}\n{'×'.join(map(str, output.shape))}"
        panels.append(Panel(montage(maps[: subject.wishes.maps], each=True), title))
    rows = [panels[start : start + 4] for start in range(0, len(panels), 4)]
    return sheet(rows, heading=f"{subject.name}: outputs of the first {subject.wishes.maps} maps of layers", inch=2.7)


def deconvnet(subject: Subject) -> Figure:
    """For maps of layers, the nine strongest activations projected back to pixels, beside what their units see."""
    sample = subject.sample(SEARCHED)
    wanted = subject.some_layers(4)
    way_back = probe_with(subject.classifier.network, "deconvolution")
    drawn = {layer: _excited(subject, sample, way_back, layer) for layer in wanted}
    rows = {layer: panels for layer, panels in drawn.items() if panels}
    if not rows:
        raise UserError("what=deconvnet: none of the images excites a map of this layer")
    heading = f"{subject.name}: the nine strongest of {len(sample)} images, one square per map"
    return sheet(list(rows.values()), list(rows), heading, inch=4.4)


def _excited(subject: Subject, sample: Sample, way_back: nn.Module, layer: str) -> list[Panel]:
    """The panels of one layer: projections, and the patches that the units see; none if no map is excited."""
    with subject.progress(len(sample), f"searching {layer}") as advance:
        excitations = strongest(subject.network, sample.inputs, layer, TOP, advance)
    units = [unit for unit, found in enumerate(excitations) if found[0].value > 0][: subject.wishes.maps]
    field, size = subject.fields[layer], (sample.pixels.shape[-2], sample.pixels.shape[-1])
    side = max(size) if field is None or field.whole else min(max(field.size), max(size))
    back, seen = [], []
    with subject.progress(len(units), f"projecting {layer}") as advance:
        for unit in units:
            found = excitations[unit]
            spans = [patch(field, one.place, size) for one in found]
            projected = project(way_back, sample.inputs, layer, unit, found)
            back.append(_nine([around_grey(projected[n][:, r, c], 0.01) for n, (r, c) in enumerate(spans)], side))
            images = [sample.pixels[one.image].float() / 255 for one in found]
            seen.append(_nine([image[:, r, c] for image, (r, c) in zip(images, spans, strict=True)], side))
            advance(1)
    if not units:
        return []
    shown = {"projected": back, "seen": seen}
    return [Panel(montage(torch.stack(squares), border=2), title) for title, squares in shown.items()]


def _nine(patches: list[Tensor], side: int) -> Tensor:
    """Patches as one 3×3 square; those cut off at the image's edge are padded with grey."""
    squares, line = [], max(side // 16, 1) if side > 8 else 0
    for shown in patches:
        square = torch.full((shown.shape[0], side, side), 0.5)
        top, left = (side - shown.shape[-2]) // 2, (side - shown.shape[-1]) // 2
        square[:, top : top + shown.shape[-2], left : left + shown.shape[-1]] = shown
        squares.append(F.pad(square, (0, line, 0, line), value=0.8))
    while len(squares) < TOP:
        squares.append(torch.full_like(squares[0], 0.5))
    rows = [torch.cat(squares[start : start + 3], dim=2) for start in range(0, TOP, 3)]
    return torch.cat(rows, dim=1)  # 9 × (C, s, s) → (C, 3s, 3s)


def receptive_field(subject: Subject) -> Figure:
    """The receptive field of the middle unit of layers as a frame, and the effect of each pixel on it as a heat map."""
    sample = subject.sample(32)
    wanted = subject.some_layers(6)
    heat = effective_field(subject.network, sample.inputs, wanted)
    with torch.no_grad(), watched(subject.network, wanted) as outputs:
        subject.network(sample.inputs[:1])
    size = (sample.pixels.shape[-2], sample.pixels.shape[-1])
    boxes, panels = [], []
    for number, layer in enumerate(wanted):
        output, field = outputs.of[layer], subject.fields[layer]
        middle = (output.shape[2] // 2, output.shape[3] // 2) if has_places(output) else (0, 0)
        rows, columns = patch(field, middle, size)
        box = Box(rows, columns, BOX_COLOURS[number % len(BOX_COLOURS)])
        boxes.append(box)
        side = "all" if field is None or field.whole else f"{field.size[0]}×{field.size[1]}"
        panels.append(Panel(heat[layer].sqrt()[None], f"{layer}\nsees {side}", boxes=[box]))
    first = Panel(sample.pixels[0], "theoretical", boxes=boxes)
    every: list[Panel | None] = [first, *panels]
    rows_of = [every[start : start + 4] for start in range(0, len(every), 4)]
    heading = f"{subject.name}: receptive field of the middle unit (frame), square root of each pixel's weight (shade)"
    return sheet(rows_of, heading=heading, inch=2.6)
