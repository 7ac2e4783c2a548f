"""Show the visual words of a vocabulary: their patches, where they occur in images, and their weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeGuard

import torch
from torch import Tensor

CLOSEST = 8  # patches shown for each word
SEARCHED, DRAWN = 300, 49  # images searched for words, and words drawn


class HasWords(Protocol):
    """A network of :mod:`repronet.classical.pipelines` with visual words, or with Gaussians instead."""

    def affinity(self, images: Tensor) -> Tensor: ...
    def importance(self) -> Tensor: ...
    def patch(self, row: int, column: int) -> tuple[slice, slice]: ...


@dataclass(frozen=True)
class Words:
    """Words in the order of their weight in the SVM, the heaviest first.

    Attributes:
        patches: (words, CLOSEST, C, S, S), uint8: the patches closest to each word.
        spots: for each image, those of the words that occur in it, each as its rank and the place of its patch.
        cells: for each level of the pyramid, the norm of the weights in each cell, (2^l, 2^l).
    """

    patches: Tensor
    spots: list[list[tuple[int, tuple[slice, slice]]]]
    cells: list[Tensor]


def has_words(network: object) -> TypeGuard[HasWords]:
    """Whether the network has words that :func:`words_of` can show."""
    return hasattr(network, "affinity")


@torch.no_grad()
def words_of(network: HasWords, inputs: Tensor, pixels: Tensor, most: int) -> Words:
    """The words of a network with the largest weights, illustrated by patches of some images.

    Args:
        inputs: (N, C, H, W), the images as network inputs.
        pixels: uint8 (N, C, H, W), the same images for display.
        most: the largest number of words.
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
    """The patch at a place, numbered across all images; outside the image, the border is repeated."""
    _, height, width = shape
    image, row, column = place // (height * width), place // width % height, place % width
    size = pixels.shape[-1]
    rows, columns = (torch.arange(part.start, part.stop).clamp(0, size - 1) for part in network.patch(row, column))
    return pixels[image][:, rows][:, :, columns]


def _spot(network: HasWords, affinity: Tensor, answer: Tensor, word: int) -> tuple[slice, slice]:
    """The patch closest to a word among the places whose ``answer`` (h, w) is that word; ``affinity`` is (h, w, K)."""
    place = torch.where(answer == word, affinity[..., word], -torch.inf).argmax().item()
    return network.patch(int(place) // answer.shape[1], int(place) % answer.shape[1])


def _by_level(cells: Tensor) -> list[Tensor]:
    """Split 1 + 4 + 16 + … numbers into one square per level."""
    found, begin, side = [], 0, 1
    while begin < len(cells):
        found.append(cells[begin : begin + side * side].reshape(side, side))
        begin, side = begin + side * side, 2 * side
    return found
