"""What papers claim of one network against another, with the experiments or the sums that decide it. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from repronet.papers.records import Citation, Printed
from repronet.papers.sheets import citation, rows

Figure = Literal["test_error", "last_train_error"]
Convolution = tuple[int, int, int, int]


@dataclass(frozen=True)
class Lower:
    """``figure`` of the experiment ``better`` lies below that of ``worse``."""

    figure: Figure
    better: str
    worse: str
    #: whether both must be trained for as many steps, as in all papers whose recipes are the same
    equal_steps: bool = True


@dataclass(frozen=True)
class Sooner:
    """``better`` comes down to an error in fewer steps than ``worse``."""

    figure: Literal["train_error", "val_error"]  #: of every epoch
    #: the share to come down to; None for the lowest that ``worse`` reaches at all, on average over its seeds
    error: float | None
    better: str
    worse: str


@dataclass(frozen=True)
class Fewer:
    """One way of computing the same takes fewer of ``unit``, which is counted and needs no run."""

    unit: str
    #: smaller, larger: convolutions of both ways: channels in, channels out, side of the kernel, side of the
    #: output
    smaller: tuple[Convolution, ...]
    larger: tuple[Convolution, ...]
    #: both counts, as the source prints them; None for one that is not the sum of its terms
    printed: tuple[Printed | None, Printed]


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper and what would show it."""

    text: str  #: the sentence, in our words
    citation: Citation  #: where it stands
    shown_by: Lower | Sooner | Fewer  #: what decides it
    printed: str = ""  #: the figures of the paper, and of which networks they are


def _inception_branches(*reductions: Convolution) -> tuple[Convolution, ...]:
    """128 maps of 1×1, 192 of 3×3 and 96 of 5×5 over 28×28, from what the reductions leave, or from all 256 maps."""
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
