"""Papers' claims that compare networks, with the experiments or the counts that decide them. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from repronet.papers.records import Citation, Printed
from repronet.papers.sheets import citation, rows

Figure = Literal["test_error", "last_train_error"]
Convolution = tuple[int, int, int, int]


@dataclass(frozen=True)
class Lower:
    """The claim that ``figure`` of the experiment ``better`` is lower than that of ``worse``."""

    figure: Figure
    better: str
    worse: str
    #: whether both must be trained for equally many steps, as in all papers that use one recipe for both
    equal_steps: bool = True


@dataclass(frozen=True)
class Sooner:
    """The claim that ``better`` reaches an error in fewer steps than ``worse``."""

    figure: Literal["train_error", "val_error"]  #: an error that every epoch records
    #: the error to reach, from 0 to 1; None for the lowest that ``worse`` reaches, averaged over its seeds
    error: float | None
    better: str
    worse: str


@dataclass(frozen=True)
class Fewer:
    """The claim that one way to compute the same needs fewer of ``unit``, which is counted and needs no run."""

    unit: str
    #: smaller, larger: the convolutions of both ways: input channels, output channels, side of the kernel, side of
    #: the output
    smaller: tuple[Convolution, ...]
    larger: tuple[Convolution, ...]
    #: both counts as the source prints them; None for a printed count that is not the sum of its terms
    printed: tuple[Printed | None, Printed]


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper and the test that decides it."""

    text: str  #: the sentence, in our words
    citation: Citation  #: its place in the paper
    shown_by: Lower | Sooner | Fewer  #: the test that decides it
    printed: str = ""  #: the paper's figures, with the networks that they belong to


def _inception_branches(*reductions: Convolution) -> tuple[Convolution, ...]:
    """128 maps of 1×1, 192 of 3×3 and 96 of 5×5 on 28×28 pixels, the last two from the reduced maps or from all 256."""
    left = [maps for _, maps, _, _ in reductions] or [256, 256]
    return ((256, 128, 1, 28), (left[0], 192, 3, 28), (left[1], 96, 5, 28), *reductions)


_COUNTED = {
    "three_3x3": Fewer(
        "weights for one map each", ((1, 1, 3, 1),) * 3, ((1, 1, 7, 1),), (Printed("27"), Printed("49"))
    ),
    "bottleneck": Fewer(
        "multiplications",
        (*_inception_branches((256, 64, 1, 28), (256, 64, 1, 28)), (256, 64, 1, 28)),
        _inception_branches(),
        (None, Printed("854 M")),
    ),
}


def _shown_by(row: dict[str, Any]) -> Lower | Sooner | Fewer:
    figure, better, worse = row["shown_by"], row["better"], row["worse"]
    if figure in ("test_error", "last_train_error"):
        return Lower(figure, better, worse, equal_steps=row["steps"] != "any")
    if figure in ("train_error", "val_error"):
        return Sooner(figure, float(row["error"]) if row["error"] else None, better, worse)
    return _COUNTED[row["name"]]


CLAIMS: dict[str, Claim] = {
    row["name"]: Claim(row["text"], citation(row), _shown_by(row), row["printed"]) for row in rows("claims")
}
