"""The part of an image that excites a feature map, projected back to pixels.

M. D. Zeiler, R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014 (arXiv:1311.2901), section 2:
keep the strongest activation of a map and set everything else in the layer to zero; then, layer by layer down to the
pixels, unpool with the switches of the forward pass, rectify, and filter with the transposed filters. Figure 2 shows
the nine strongest activations of each map beside the image patches that caused them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from repronet.analysis.receptive_field import Field
from repronet.visualization.layer_outputs import watched

BATCH = 32


@dataclass(frozen=True)
class Excitation:
    """The output of one unit for one image."""

    image: int  #: the index of the image
    place: tuple[int, int]  #: of the unit in its map, (row, column)
    value: float  #: its output


@torch.no_grad()
def strongest(
    network: nn.Module,
    images: Tensor,
    layer: str,
    count: int = 9,
    advance: Callable[[int], None] = lambda images: None,
) -> list[list[Excitation]]:
    """For each map of the layer, the images that excite it most, one unit per image, the strongest first.

    Args:
        network: from :func:`repronet.visualization.layer_outputs.probe`.
        images: network inputs (N, C, H, W).
        count: how many per map; fewer if there are fewer images.
        advance: called with the number of images just seen.
    """
    peaks, places = [], []
    for part in images.split(BATCH):
        with watched(network, (layer,)) as outputs:
            network(part)
        maps = outputs.of[layer]
        values, at = maps.flatten(2).max(dim=2) if maps.ndim == 4 else (maps, torch.zeros_like(maps, dtype=torch.long))
        width = maps.shape[3] if maps.ndim == 4 else 1
        peaks.append(values)  # (n, K)
        places.append(torch.stack([at // width, at % width], dim=2))  # (n, K, 2)
        advance(len(part))
    values, at = torch.cat(peaks), torch.cat(places)
    best = values.topk(min(count, len(images)), dim=0)  # (count, K)
    return [
        [
            Excitation(image, (int(at[image, unit, 0]), int(at[image, unit, 1])), value)
            for image, value in zip(best.indices[:, unit].tolist(), best.values[:, unit].tolist(), strict=True)
        ]
        for unit in range(values.shape[1])
    ]


def project(network: nn.Module, images: Tensor, layer: str, unit: int, found: Sequence[Excitation]) -> Tensor:
    """Project the excitations of map ``unit`` back to the pixels of their images: (len(found), C, H, W).

    Args:
        network: from :func:`repronet.visualization.rectifiers.probe_with`, which sets the rectifiers' backward rule.
        images: network inputs (N, C, H, W), to which the indices in ``found`` refer.
    """
    projections = []
    for start in range(0, len(found), BATCH):
        part = found[start : start + BATCH]
        chosen = images[[one.image for one in part]].clone().requires_grad_()
        with torch.enable_grad(), watched(network, (layer,)) as outputs:
            network(chosen)
        output = outputs.of[layer]
        kept = torch.zeros_like(output)
        for number, one in enumerate(part):
            at = (number, unit, *one.place) if output.ndim == 4 else (number, unit)
            kept[at] = output[at].detach()
        projections.append(torch.autograd.grad(output, chosen, kept)[0])
    return torch.cat(projections)


def patch(field: Field | None, place: tuple[int, int], size: tuple[int, int]) -> tuple[slice, slice]:
    """The rows and columns that the unit at ``place`` sees of an image of that size; all if the field is unknown."""
    if field is None or field.whole or len(field.size) != 2:
        return slice(0, size[0]), slice(0, size[1])
    first = [place[axis] * field.stride[axis] - field.padding[axis] for axis in (0, 1)]
    spans = [(max(first[axis], 0), min(first[axis] + field.size[axis], size[axis])) for axis in (0, 1)]
    return slice(*spans[0]), slice(*spans[1])
