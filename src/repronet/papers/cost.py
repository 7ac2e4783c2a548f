"""The cost of a run, computed from its number of multiplications. Needs no torch.

A forward pass takes as many multiplications as the network has MACs, and each of the two gradients, of the inputs and
of the weights, as many again; the rest, such as batch norm, is included in the measured speeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from repronet.papers.tables import golden, short


@dataclass(frozen=True)
class Workload:
    """A dataset, and the speed at which networks for its images are trained."""

    images: int  #: number of training images, without the validation split
    core: float  #: multiplications per second of one core of an AMD EPYC without AVX-512, measured
    gpu: float | None  #: the same for a GPU such as an H100, assumed; None if the batches are too small for a GPU


WORKLOADS = {
    "mnist5k": Workload(3_500, 2.5e9, None),
    "mnist": Workload(55_000, 2.5e9, None),
    "cifar10": Workload(45_000, 25e9, 2e12),
    "cifar100": Workload(45_000, 25e9, 2e12),
    "imagenet": Workload(1_255_544, 25e9, 10e12),
}


def multiplications(network: str, dataset: str, epochs: int, images: int | None = None) -> int:
    """Multiplications of a whole training on this many ``images``, or on all training images of the dataset."""
    return 3 * golden()[network]["macs"] * (images or WORKLOADS[dataset].images) * epochs


@dataclass(frozen=True)
class Cost:
    """The cost of a training, in words and as the time on one core."""

    text: str
    core_seconds: float

    def __str__(self) -> str:
        return self.text


def cost(network: str, dataset: str, epochs: int, batch_size: int, images: int | None = None) -> Cost:
    """The cost of a training: its steps of ``batch_size`` images, its multiplications, and their time."""
    work, macs = WORKLOADS[dataset], golden()[network]["macs"]
    total, images = multiplications(network, dataset, epochs, images), images or work.images
    steps = epochs * math.ceil(images / batch_size)
    seconds = total / work.core
    times = [f"{duration(seconds)} on a core ({work.core / 1e9:g} G a second)"]
    if work.gpu is not None:
        times.append(f"{duration(total / work.gpu)} on a GPU (an assumed {work.gpu / 1e12:g} T)")
    power = f"{total:.1e}".replace("e+", "e")
    product = f"3 × {short(macs)} MACs × {images:,} images × {epochs} epochs"
    return Cost(f"{steps:,} steps of {batch_size}; {product} = {power}: {', '.join(times)}", seconds)


def duration(seconds: float) -> str:
    """``45 s``, ``14 min``, ``1.3 h``, ``17 days``, ``3.1 years``."""
    for unit, size, until in (("s", 1, 90), ("min", 60, 5400), ("h", 3600, 72 * 3600), ("days", 86_400, 730 * 86_400)):
        if seconds < until:
            return f"{seconds / size:.1f} h" if unit == "h" and seconds < 10 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds / (365 * 86_400):.1f} years"
