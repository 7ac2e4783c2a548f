"""The kinds of facts that stand in a paper."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Protocol = Literal["1-crop", "10-crop", "144-crop", "dense", "multi-scale dense", "test images"]
Source = Literal["torchvision", "paper", "computed"]
SourceKind = Literal["paper text", "authors' repository", "secondary"]
Stages = tuple[tuple[str, tuple[int, ...]], ...]

# Images (C, H, W) and classes.
IMAGENET = ((3, 224, 224), 1000)
CIFAR = ((3, 32, 32), 10)

# What errors are of.
TOP1, TOP5 = "ImageNet val top-1", "ImageNet val top-5"
CIFAR10_TEST, CIFAR100_TEST = "CIFAR-10 test", "CIFAR-100 test"

RESPONSE_NORM_ALPHA = (
    "α of the response norm times the sum of squares, as AlexNet's formula reads; cuda-convnet and Caffe have it times"
    " the mean: normalization=local_response_mean"
)

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}


@dataclass(frozen=True)
class Printed:
    """A number as it is printed, "0.724 G" for instance.

    Args:
        text: the digits and the unit, k, M, G or none.
        truncated: whether its digits were cut off and not rounded.
        without_batch_norm: whether it leaves out the gains and shifts of batch normalisation.
    """

    text: str
    truncated: bool = False
    without_batch_norm: bool = False

    def __str__(self) -> str:
        cut_off = ", its digits cut off" if self.truncated else ""
        return f"{self.text}{cut_off}{', without batch norm' if self.without_batch_norm else ''}"

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
class Citation:
    """Where a fact was read.

    Args:
        document: with its version: "arXiv:1512.03385v1", or a repository.
        where: table, figure, section or file.
        kind: the text of the paper, its authors' own repository (for library weights, the library's), or a copy.
    """

    document: str
    where: str
    kind: SourceKind = "paper text"

    def __str__(self) -> str:
        kind = "" if self.kind == "paper text" else f", {self.kind}"
        return f"{self.document}, {self.where}{kind}"


TORCHVISION = Citation("torchvision 0.29.1", "metadata of IMAGENET1K_V1", "authors' repository")


@dataclass(frozen=True)
class Statistic:
    """Which figure of how many runs is printed.

    Args:
        kind: "one run" where the source names no other.
        runs: how many.
        mean, deviation: of those runs, in percent, where they are printed beside the best or the median.
    """

    kind: Literal["one run", "best", "median", "mean", "ensemble"] = "one run"
    runs: int = 1
    mean: float | None = None
    deviation: float | None = None

    def __str__(self) -> str:
        if self.kind == "one run":
            return self.kind
        if self.kind == "ensemble":
            return f"{self.runs} networks averaged"
        beside = "" if self.mean is None else f", whose mean is {self.mean:g} ± {self.deviation:g}"
        return f"{self.kind} of {self.runs} runs{beside}"


ONE_RUN = Statistic()


@dataclass(frozen=True)
class Error:
    """A published error.

    Args:
        percent: the error.
        of: "ImageNet val top-1", "CIFAR-10 test", …
        protocol: which views of an image were averaged. Errors of different protocols are never compared.
        citation: where it was read.
        statistic: which figure of how many runs it is.
        images: how many images it counts, where not all of the set.
        note: what else must be known of it: the scale, no augmentation.
        unconfirmed: what of it could not be read at its source, and why; "" where all was.
    """

    percent: float
    of: str
    protocol: Protocol
    citation: Citation
    statistic: Statistic = ONE_RUN
    images: int | None = None
    note: str = ""
    unconfirmed: str = ""

    @property
    def expected(self) -> float | None:
        """The percentage that the mean of other runs can be compared with; None for an ensemble or a mere best."""
        if self.statistic.mean is not None:
            return self.statistic.mean
        return None if self.statistic.kind in ("ensemble", "best") else self.percent

    @property
    def kind(self) -> str:
        """Statistic, note and number of images in words; "" for one run on the whole set."""
        statistic = "" if self.statistic == ONE_RUN else str(self.statistic)
        images = "" if self.images is None else f"on {self.images:,} images"
        return ", ".join(filter(None, (statistic, self.note, images)))

    @property
    def dagger(self) -> str:
        """`` †`` where something of it is unconfirmed, else nothing."""
        return " †" if self.unconfirmed else ""


def cifar10_error(percent: float, citation: Citation, note: str = "", statistic: Statistic = ONE_RUN) -> Error:
    """An error on the test images of CIFAR-10, each seen once."""
    return Error(percent, CIFAR10_TEST, "test images", citation, statistic, note=note)


def both(
    top1: float,
    top5: float,
    protocol: Protocol,
    citation: Citation,
    note: str = "",
    statistic: Statistic = ONE_RUN,
    images: int | None = None,
    unconfirmed: str = "",
) -> tuple[Error, Error]:
    """The two errors that a row of a table on ImageNet prints."""
    shared = (protocol, citation, statistic, images, note, unconfirmed)
    return Error(top1, TOP1, *shared), Error(top5, TOP5, *shared)


@dataclass(frozen=True)
class Recipe:
    """How the paper trained.

    Args:
        text: optimizer, batch, rates, decay, length, augmentation.
        citation: where it was read; what is of another source is said in `text`.
    """

    text: str
    citation: Citation


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
        notes: what else the sources say otherwise than each other, or than a count of ours.
        printed: the size as printed in the paper, if it is.
        macs: multiplications and additions of one picture, counted as one, in convolutions and fully connected layers:
            as the paper or torchvision prints them, or where neither does, computed from the paper's table.
        with_heads: parameters together with the auxiliary classifiers.
        stages: names of modules and the shape (C, H, W) that leaves them, from the paper's table.
        receptive_field: (module, side in pixels) of what one of its outputs sees.
        connections: as printed in the paper: (module, or "" for all, connections).
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
    notes: tuple[str, ...] = ()
    printed: Printed | None = None
    macs: Printed | int | None = None
    with_heads: int | None = None
    stages: Stages = ()
    receptive_field: tuple[str, int] | None = None
    connections: tuple[tuple[str, int], ...] = ()
    errors: tuple[Error, ...] = ()
    recipe: Recipe | None = None

    def deviations_with(self, normalization: str) -> tuple[str, ...]:
        """How a run with ``normalization``, a name of ``repronet.models.normalization``, or "paper", deviates."""
        kept = normalization in ("paper", "local_response", "local_response_mean")
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
