"""The kinds of facts that stand in a paper."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Protocol = Literal["1-crop", "10-crop", "144-crop", "dense", "test images"]
Source = Literal["torchvision", "paper", "computed"]
Stages = tuple[tuple[str, tuple[int, ...]], ...]

# Images (C, H, W) and classes.
IMAGENET = ((3, 224, 224), 1000)
CIFAR = ((3, 32, 32), 10)

# What errors are of, and where torchvision states those of its weights.
TOP1, TOP5, CIFAR10_TEST = "ImageNet val top-1", "ImageNet val top-5", "CIFAR-10 test"
TORCHVISION = "torchvision, IMAGENET1K_V1"

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}


@dataclass(frozen=True)
class Printed:
    """A number as it is printed, "0.724 G" for instance.

    Args:
        text: the digits and the unit, k, M, G or none.
        truncated: whether its digits were cut off and not rounded.
    """

    text: str
    truncated: bool = False

    def __str__(self) -> str:
        return f"{self.text}, its digits cut off" if self.truncated else self.text

    def agrees(self, exact: float) -> bool:
        """Whether `exact` is printed like this."""
        found = re.fullmatch(r"([\d,]+)(?:\.(\d+))? ?([kMG]?)", self.text)
        if found is None:
            raise ValueError(f"{self.text!r} is no printed number; write 3.8 G or 61,706")
        whole, decimals, unit = found[1].replace(",", ""), found[2] or "", found[3]
        scaled = exact / _UNITS[unit] * 10 ** len(decimals)
        shown = int(whole + decimals)
        return shown <= scaled < shown + 1 if self.truncated else abs(scaled - shown) <= 0.5


def cut(text: str) -> Printed:
    """A number whose digits are cut off and not rounded."""
    return Printed(text, truncated=True)


def stages(text: str) -> Stages:
    """``c1 6×28×28, s2 6×14×14``: names of modules and the shapes that leave them."""
    pairs = (stage.split() for stage in text.split(","))
    return tuple((name, tuple(map(int, shape.split("×")))) for name, shape in pairs)


@dataclass(frozen=True)
class Error:
    """A published error.

    Args:
        percent: the error.
        of: "ImageNet val top-1", "CIFAR-10 test", …
        protocol: how many crops of a picture were averaged. Errors of different protocols are never compared.
        where: table, figure or section.
        verified: whether it was read in the paper itself, and not quoted from memory.
        note: what else must be known of it: an ensemble, the scale, no augmentation.
    """

    percent: float
    of: str
    protocol: Protocol
    where: str
    verified: bool = False
    note: str = ""


def cifar10_error(percent: float, where: str, note: str = "") -> Error:
    """An error on the test images of CIFAR-10."""
    return Error(percent, CIFAR10_TEST, "test images", where, note=note)


@dataclass(frozen=True)
class Recipe:
    """How the paper trained.

    Args:
        text: optimizer, batch, rates, decay, length, augmentation.
        where: section.
        verified: as of :class:`Error`.
    """

    text: str
    where: str
    verified: bool = False


@dataclass(frozen=True)
class Paper:
    """Where a network was published."""

    authors: str
    title: str
    venue: str
    year: int
    arxiv: str | None = None


@dataclass(frozen=True)
class Facts:
    """What was published about one network.

    Args:
        paper: where.
        title: what it is, in a few words.
        parameters: trainable parameters, to the last digit.
        input: channels, height, width.
        classes: outputs of the last layer.
        source: where the number of parameters comes from: "torchvision" (its published metadata), "paper", or
            "computed" from the paper's table.
        modern: whether it deviates from its paper knowingly; then `deviations` says how.
        deviations: each in a few words.
        of_response_norm: those that a run has only where the network keeps its own local response norm.
        printed: the size as printed in the paper, if it is.
        macs: multiplications and additions of one picture, counted as one, in convolutions and fully connected layers,
            as printed; the paper's number or torchvision's.
        with_heads: parameters together with the auxiliary classifiers.
        stages: names of modules and the shape (C, H, W) that leaves them, from the paper's table.
        receptive_field: (module, side in pixels) of what one of its outputs sees.
        connections: as the paper counts them: (module, or "" for all, connections).
        errors: the published errors.
        recipe: how it was trained.
    """

    paper: Paper
    title: str
    parameters: int
    input: tuple[int, int, int]
    classes: int
    source: Source = "computed"
    modern: bool = False
    deviations: tuple[str, ...] = ()
    of_response_norm: tuple[str, ...] = ()
    printed: Printed | None = None
    macs: Printed | None = None
    with_heads: int | None = None
    stages: Stages = ()
    receptive_field: tuple[str, int] | None = None
    connections: tuple[tuple[str, int], ...] = ()
    errors: tuple[Error, ...] = ()
    recipe: Recipe | None = None

    def deviations_with(self, normalization: str) -> tuple[str, ...]:
        """How a run with ``normalization``, a name of ``repronet.models.normalization``, or "paper", deviates."""
        kept = normalization in ("paper", "local_response")
        return self.deviations + (self.of_response_norm if kept else ())


@dataclass(frozen=True)
class Experiment:
    """What a run of ``configs/experiment/NAME.yaml`` reproduces and is held against.

    Args:
        title: what it is, in a line.
        network: a key of ``repronet.papers.NETWORKS``, whose paper it reproduces.
        dataset: a key of ``repronet.papers.cost.WORKLOADS``.
        published: the error in the paper, of `network`, or of another network and then `deviations` say so; None where
            it prints none.
        minutes: epochs that about five minutes of two cores pay for; None where not even one fits.
        hour: the same for an hour of one core.
        deviations: from the paper, each in a few words; those of the network are its own.
        comparable: whether the published figure is of such a run: the same network and length, and a test of its kind.
        section: where the paper tells of it; "" for where it tells the network's recipe.
        also: what it is taken from besides.
        context: what the paper says beside the figure, or for want of one.
    """

    title: str
    network: str
    dataset: str
    published: Error | None
    minutes: int | None
    hour: int | None
    deviations: tuple[str, ...]
    comparable: bool = True
    section: str = ""
    also: str = ""
    context: str = ""
