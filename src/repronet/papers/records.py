"""The kinds of facts that stand in a paper."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Protocol = Literal["1-crop", "10-crop", "144-crop", "dense", "multi-scale dense", "test images"]
Source = Literal["torchvision", "paper", "computed"]
SourceKind = Literal["paper text", "authors' repository", "secondary"]
Shape = tuple[int, int, int]  # channels, height, width
Stages = tuple[tuple[str, Shape], ...]

TOP5 = "ImageNet val top-5"  # what an error is of

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}


@dataclass(frozen=True)
class Printed:
    """A number as it is printed, "0.724 G" for instance."""

    text: str  #: the digits and the unit, k, M, G or none
    truncated: bool = False  #: whether its digits were cut off and not rounded
    without_batch_norm: bool = False  #: whether it leaves out the gains and shifts of batch normalisation

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


@dataclass(frozen=True)
class Citation:
    """Where a fact was read."""

    document: str  #: with its version: "arXiv:1512.03385v1", or a repository
    where: str  #: table, figure, section or file
    #: the text of the paper, its authors' own repository (for library weights, the library's), or a copy
    kind: SourceKind = "paper text"

    def __str__(self) -> str:
        kind = "" if self.kind == "paper text" else f", {self.kind}"
        return f"{self.document}, {self.where}{kind}"


@dataclass(frozen=True)
class Statistic:
    """Which figure of how many runs is printed."""

    #: "one run" where the source names no other
    kind: Literal["one run", "best", "median", "mean", "ensemble"] = "one run"
    runs: int = 1  #: how many
    #: mean, deviation: of those runs, in percent, where they are printed beside the best or the median
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
    """A published error."""

    percent: float  #: the error
    of: str  #: "ImageNet val top-1", "CIFAR-10 test", …
    protocol: Protocol  #: which views of an image were averaged. Errors of different protocols are never compared.
    citation: Citation  #: where it was read
    statistic: Statistic = ONE_RUN  #: which figure of how many runs it is
    images: int | None = None  #: how many images it counts, where not all of the set
    note: str = ""  #: what else must be known of it: the scale, no augmentation
    unconfirmed: str = ""  #: what of it could not be read at its source, and why; "" where all was

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


@dataclass(frozen=True)
class Recipe:
    """How the paper trained."""

    text: str  #: optimizer, batch, rates, decay, length, augmentation
    citation: Citation  #: where it was read; what is of another source is said in `text`


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
    """What was published about one network."""

    paper: Paper  #: where
    title: str  #: what it is, in a few words
    parameters: int  #: trainable parameters, to the last digit
    input: Shape
    classes: int  #: outputs of the last layer
    #: where the number of parameters comes from: "torchvision" (its published metadata), "paper", or "computed"
    #: from the paper's table
    source: Source = "computed"
    modern: bool = False  #: whether it deviates from its paper knowingly; then `deviations` says how
    deviations: tuple[str, ...] = ()  #: each in a few words
    #: those that a run has only where the network keeps its own local response norm
    of_response_norm: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  #: what else the sources say otherwise than each other, or than a count of ours
    printed: Printed | None = None  #: the size as printed in the paper, if it is
    #: multiplications and additions of one image, counted as one, in convolutions and fully connected layers:
    #: as the paper or torchvision prints them, or where neither does, computed from the paper's table
    macs: Printed | int | None = None
    with_heads: int | None = None  #: parameters together with the auxiliary classifiers
    stages: Stages = ()  #: names of modules and the shape (C, H, W) that leaves them, from the paper's table
    receptive_field: tuple[str, int] | None = None  #: (module, side in pixels) of what one of its outputs sees
    connections: tuple[tuple[str, int], ...] = ()  #: as printed in the paper: (module, or "" for all, connections)
    errors: tuple[Error, ...] = ()  #: the published errors
    recipe: Recipe | None = None  #: how it was trained

    def deviations_with(self, normalization: str) -> tuple[str, ...]:
        """How a run with ``normalization``, a name of ``repronet.models.normalization``, or "paper", deviates."""
        kept = normalization in ("paper", "local_response", "local_response_mean")
        return self.deviations + (self.of_response_norm if kept else ())


@dataclass(frozen=True)
class Experiment:
    """What a run of ``configs/experiment/NAME.yaml`` reproduces and is held against."""

    title: str  #: what it is, in a line
    network: str  #: a key of ``repronet.papers.NETWORKS``, whose paper it reproduces
    dataset: str  #: a key of ``repronet.papers.cost.WORKLOADS``
    #: the error in the paper, of `network`, or of another network and then `deviations` say so; None where it
    #: prints none
    published: Error | None
    minutes: int | None  #: epochs that about five minutes of two cores pay for; None where not even one fits
    hour: int | None  #: the same for an hour of one core
    deviations: tuple[str, ...]  #: from the paper, each in a few words; those of the network are its own
    #: whether the published figure is of such a run: the same network and length, and a test of its kind
    comparable: bool = True
    section: str = ""  #: where the paper describes it; "" for the section of the network's recipe
    also: str = ""  #: what it is taken from besides
    context: str = ""  #: what the paper says beside the figure, or in place of one
    images: int | None = None  #: that are trained on; None for all that the dataset has for it
