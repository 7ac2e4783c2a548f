"""Near-duplicate images: found by a perceptual hash, confirmed by their small grey copies.

:mod:`repronet.data.scan` finds files of the same bytes. An image that was saved again, scaled or made lighter has other
bytes but the same low frequencies. The hash takes a few lines; packages that have it bring compiled dependencies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn
from torch import Tensor
from torch.nn import functional as F

SIDE, KEPT = 32, 8  # side of the grey copy, and of its block of low frequencies
FAR = 8  # number of the 64 bits in which the hashes of two images may differ
ALIKE = 0.98  # the lowest correlation of their grey copies
ROWS = 256  # hashes that are compared with all others at once


@dataclass(frozen=True)
class Twins:
    """The indices of two images, and the correlation of their grey copies."""

    first: int
    second: int
    alike: float


def grey_copy(image: Tensor) -> NDArray[np.float32]:
    """uint8 (C, H, W) of any size → (32, 32): the mean over channels, reduced with antialiasing."""
    grey = image.float().mean(dim=0)[None, None]  # (C, H, W) → (1, 1, H, W)
    return F.interpolate(grey, (SIDE, SIDE), mode="bilinear", antialias=True)[0, 0].numpy()


def perceptual_hash(copy: NDArray[np.float32]) -> int:
    """64 bits that say which of the 8×8 lowest frequencies of a grey copy are above their median.

    C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1.
    """
    low = np.asarray(dctn(copy, norm="ortho"))[:KEPT, :KEPT].ravel()
    bits = low > np.median(low[1:])  # without the first, which is the mean brightness
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_duplicates(images: Iterable[Tensor]) -> list[Twins]:
    """Find pairs of images whose hashes and grey copies are nearly the same, the most similar first.

    Every pair has an image that is in no earlier pair, so many copies of one image do not give all pairs of them. An
    image without contrast matches no other.
    """
    copies = [grey_copy(image) for image in images]
    contrast = np.array([row for row, copy in enumerate(copies) if copy.std() > 0], dtype=np.int64)
    if not len(contrast):
        return []
    hashes = np.array([perceptual_hash(copies[row]) for row in contrast], dtype=np.uint64)
    flat = np.stack([copies[row].ravel() for row in contrast])  # (N, 1024)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    found = []
    for start in range(0, len(hashes), ROWS):
        apart = np.bitwise_count(hashes[start : start + ROWS, None] ^ hashes[None, start:])  # (ROWS, the rest)
        first, second = start + np.stack(np.nonzero(np.triu(apart <= FAR, k=1)))
        alike = np.einsum("ij,ij->i", flat[first], flat[second])
        found += [
            Twins(int(contrast[one]), int(contrast[other]), float(share))
            for one, other, share in zip(first, second, alike, strict=True)
            if share >= ALIKE
        ]
    return list(_with_a_new_image(sorted(found, key=lambda twins: -twins.alike)))


def _with_a_new_image(pairs: Iterable[Twins]) -> Iterator[Twins]:
    seen: set[int] = set()
    for pair in pairs:
        both = {pair.first, pair.second}
        if not both <= seen:
            seen |= both
            yield pair
