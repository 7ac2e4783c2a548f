"""The kinds of facts that papers publish."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Protocol = Literal["1-crop", "10-crop", "144-crop", "dense", "multi-scale dense", "test images"]
Source = Literal["torchvision", "paper", "computed"]
SourceKind = Literal["paper text", "authors' repository", "secondary"]
Shape = tuple[int, int, int]  # channels, height, width
Stages = tuple[tuple[str, Shape], ...]

TOP5 = "ImageNet val top-5"  # a value of Error.of

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}


@dataclass(frozen=True)
class Printed:
    """A number as it is printed, such as "0.724 G"."""

    text: str  #: the digits and the unit, k, M, G or none
    truncated: bool = False  #: whether it was truncated instead of rounded
    without_batch_norm: bool = False  #: whether it leaves out the gains and shifts of batch normalisation

    def __str__(self) -> str:
        cut_off = ", its digits cut off" if self.truncated else ""
        return f"{self.text}{cut_off}{', without batch norm' if self.without_batch_norm else ''}"

    def agrees(self, exact: float) -> bool:
        """Whether `exact` would be printed like this."""
        found = re.fullmatch(r"([\d,]+)(?:\.(\d+))? ?([kMG]?)", self.text)
        if found is None:
            raise ValueError(f"{self.text!r} is no printed number; write 3.8 G or 61,706")
        whole, decimals, unit = found[1].replace(",", ""), found[2] or "", found[3]
        scaled = exact / _UNITS[unit] * 10 ** len(decimals)
        shown = int(whole + decimals)
        return shown <= scaled < shown + 1 if self.truncated else abs(scaled - shown) <= 0.5


@dataclass(frozen=True)
class Citation:
    """The place where a fact was read."""

    document: str  #: with its version: "arXiv:1512.03385v1", or a repository
    where: str  #: table, figure, section or file
    #: the text of the paper, its authors' own repository (for library weights, the library's), or a copy
    kind: SourceKind = "paper text"

    def __str__(self) -> str:
        kind = "" if self.kind == "paper text" else f", {self.kind}"
        return f"{self.document}, {self.where}{kind}"


@dataclass(frozen=True)
class Statistic:
    """The statistic that is printed, and the number of runs behind it."""

    #: "one run" unless the source names another
    kind: Literal["one run", "best", "median", "mean", "ensemble"] = "one run"
    runs: int = 1  #: number of runs
    #: mean, deviation: those of the runs, in percent, if they are printed beside the best or the median
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
    protocol: Protocol  #: the views of an image that were averaged; errors of different protocols are never compared
    citation: Citation  #: where it was read
    statistic: Statistic = ONE_RUN  #: the statistic that it is, and the number of runs
    images: int | None = None  #: number of images that it was measured on; None for the whole set
    note: str = ""  #: other conditions, such as the scale or no augmentation
    unconfirmed: str = ""  #: the details that could not be read at the source, and why; "" if there are none

    @property
    def expected(self) -> float | None:
        """The percentage to compare the mean of other runs with; None for an ensemble, or a best without a mean."""
        if self.statistic.mean is not None:
            return self.statistic.mean
        return None if self.statistic.kind in ("ensemble", "best") else self.percent

    @property
    def kind(self) -> str:
        """Statistic, note and number of images in words; "" for one run on the whole set without a note."""
        statistic = "" if self.statistic == ONE_RUN else str(self.statistic)
        images = "" if self.images is None else f"on {self.images:,} images"
        return ", ".join(filter(None, (statistic, self.note, images)))

    @property
    def dagger(self) -> str:
        """`` †`` if any detail is unconfirmed, else an empty string."""
        return " †" if self.unconfirmed else ""


@dataclass(frozen=True)
class Recipe:
    """The training recipe of a paper."""

    text: str  #: optimizer, batch size, learning rates, decay, length, augmentation
    citation: Citation  #: where it was read; `text` names any other sources


@dataclass(frozen=True)
class Paper:
    """The paper in which a network was published."""

    authors: str
    title: str
    venue: str
    year: int
    arxiv: str | None = None


@dataclass(frozen=True)
class Facts:
    """The published facts about one network."""

    paper: Paper  #: the paper
    title: str  #: a short description
    parameters: int  #: exact number of trainable parameters
    input: Shape
    classes: int  #: outputs of the last layer
    #: where the number of parameters comes from: "torchvision" (its published metadata), "paper", or "computed"
    #: from the paper's table
    source: Source = "computed"
    modern: bool = False  #: whether it deviates from its paper on purpose; `deviations` then says how
    deviations: tuple[str, ...] = ()  #: deviations from the paper, each in a few words
    #: further deviations of runs in which the network keeps its own local response norm
    of_response_norm: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  #: other contradictions among the sources, or between a source and our count
    printed: Printed | None = None  #: the number of parameters as printed in the paper, if it is
    #: multiply-accumulate operations of one image in convolutions and fully connected layers: as the paper or
    #: torchvision prints them, or if neither does, computed from the paper's table
    macs: Printed | int | None = None
    with_heads: int | None = None  #: number of parameters including the auxiliary classifiers
    stages: Stages = ()  #: names of modules and the shapes (C, H, W) of their outputs, from the paper's table
    receptive_field: tuple[str, int] | None = None  #: (module, side in pixels) of the receptive field of its outputs
    connections: tuple[tuple[str, int], ...] = ()  #: as printed in the paper: (module, or "" for all, connections)
    errors: tuple[Error, ...] = ()  #: the published errors
    recipe: Recipe | None = None  #: how it was trained

    def deviations_with(self, normalization: str) -> tuple[str, ...]:
        """The deviations of a run with ``normalization``: a name of ``repronet.models.normalization``, or "paper"."""
        kept = normalization in ("paper", "local_response", "local_response_mean")
        return self.deviations + (self.of_response_norm if kept else ())


@dataclass(frozen=True)
class Experiment:
    """The experiment that ``configs/experiment/NAME.yaml`` reproduces, and the figure that it is compared with."""

    title: str  #: a description in one line
    network: str  #: a key of ``repronet.papers.NETWORKS``, whose paper it reproduces
    dataset: str  #: a key of ``repronet.papers.cost.WORKLOADS``
    #: the paper's error of `network`, or of another network, which `deviations` then say; None if the paper
    #: prints none
    published: Error | None
    minutes: int | None  #: epochs that fit into about five minutes of two cores; None if not even one fits
    hour: int | None  #: the same for an hour of one core
    deviations: tuple[str, ...]  #: deviations from the paper, each in a few words, besides those of the network
    #: whether the published figure is from such a run: the same network, length and kind of test
    comparable: bool = True
    section: str = ""  #: where the paper describes it; "" for the section of the network's recipe
    also: str = ""  #: other sources that it is taken from
    context: str = ""  #: what the paper says beside the figure, or instead of one
    images: int | None = None  #: number of training images; None for all training images of the dataset
