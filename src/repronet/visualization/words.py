"""What a vocabulary of visual words holds, where its words come in images, and how much they count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeGuard

import torch
from torch import Tensor

CLOSEST = 8  # patches that stand for a word
SEARCHED, DRAWN = 300, 49  # images that are looked through for words, and words that are drawn


class HasWords(Protocol):
    """A network of :mod:`repronet.classical.pipelines` with words, or with Gaussians in their place."""

    def affinity(self, images: Tensor) -> Tensor: ...
    def importance(self) -> Tensor: ...
    def patch(self, row: int, column: int) -> tuple[slice, slice]: ...


@dataclass(frozen=True)
class Words:
    """Words in the order of their weight in the SVM, the heaviest first.

    Attributes:
        patches: (words, CLOSEST, C, S, S), bytes: the patches next to each.
        spots: of each image, the words among these that come in it, each with the place of its patch.
        cells: by level of the pyramid, the norm of the weights in each cell, (2^l, 2^l).
    """

    patches: Tensor
    spots: list[list[tuple[int, tuple[slice, slice]]]]
    cells: list[Tensor]


def has_words(network: object) -> TypeGuard[HasWords]:
    """Whether :func:`words_of` has something to show."""
    return hasattr(network, "affinity")


@torch.no_grad()
def words_of(network: HasWords, inputs: Tensor, pixels: Tensor, most: int) -> Words:
    """The heaviest words of a network, shown by the patches of some images.

    Args:
        inputs: (N, C, H, W), the images as the network takes them.
        pixels: uint8 (N, C, H, W), the same as they are seen.
        most: words.
    """
    weights = network.importance()  # (cells, K)
    chosen = weights.norm(dim=0).argsort(descending=True)[:most]
    affinity = torch.cat([network.affinity(part) for part in inputs.split(100)])  # (N, h, w, K)
    images, height, width, _ = affinity.shape
    answer = affinity.argmax(dim=-1)
    best = affinity.flatten(0, 2)[:, chosen].topk(min(CLOSEST, images * height * width), dim=0).indices.t()  # (most, 8)
    patches = [torch.stack([_cut(network, pixels, place, answer.shape) for place in row]) for row in best.tolist()]
    spots = [
        [(rank, _spot(network, near, one, word)) for rank, word in enumerate(chosen.tolist()) if (one == word).any()]
        for near, one in zip(affinity, answer, strict=True)
    ]
    return Words(torch.stack(patches), spots, _by_level(weights.norm(dim=1)))


def _cut(network: HasWords, pixels: Tensor, place: int, shape: torch.Size) -> Tensor:
    """The patch at a place counted through all images; what is outside of the image repeats its border."""
    _, height, width = shape
    image, row, column = place // (height * width), place // width % height, place % width
    size = pixels.shape[-1]
    rows, columns = (torch.arange(part.start, part.stop).clamp(0, size - 1) for part in network.patch(row, column))
    return pixels[image][:, rows][:, :, columns]


def _spot(network: HasWords, affinity: Tensor, answer: Tensor, word: int) -> tuple[slice, slice]:
    """Of the places that have a word, (h, w) of (h, w, K), the patch that is next to it."""
    place = torch.where(answer == word, affinity[..., word], -torch.inf).argmax().item()
    return network.patch(int(place) // answer.shape[1], int(place) % answer.shape[1])


def _by_level(cells: Tensor) -> list[Tensor]:
    """1 + 4 + 16 + … numbers as squares."""
    found, begin, side = [], 0, 1
    while begin < len(cells):
        found.append(cells[begin : begin + side * side].reshape(side, side))
        begin, side = begin + side * side, 2 * side
    return found
