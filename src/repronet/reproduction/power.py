"""The number of seeds needed to tell two errors apart. Needs no torch.

For two groups of n₁ and n₂ runs with standard deviations s₁ and s₂ and a true difference Δ, Welch's statistic has a
noncentral t distribution with δ = Δ / √(s₁²/n₁ + s₂²/n₂) and ν = (s₁²/n₁ + s₂²/n₂)² / (s₁⁴/(n₁²(n₁−1)) +
s₂⁴/(n₂²(n₂−1))) degrees of freedom. The power is the probability that it exceeds the 95th percentile of Student's t
with ν: that a one-sided test at 5 % finds an existing difference (Cohen 1988, chapter 2).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scipy.stats import nct, t

SIGNIFICANT = 0.05
WANTED = 0.8  # the power that a plan must reach
DECISIVE = 0.5  # the power below which a test that finds nothing decides nothing
MOST = 10_000  # the greatest number of seeds considered


@dataclass(frozen=True)
class Group:
    """One side of a comparison: runs of one kind."""

    runs: int  # number of runs; their mean is compared
    deviation: float  # standard deviation of one run, in the unit of the difference
    borrowed: int = 0  # number of runs of the other side that the deviation is from, if this side has none of its own

    @property
    def variance(self) -> float:
        """The variance of the mean."""
        return self.deviation**2 / self.runs

    @property
    def freedom(self) -> int:
        return (self.borrowed or self.runs) - 1


def freedom(one: Group, other: Group) -> float:
    """ν of the Welch–Satterthwaite equation, or of Student's test if one side borrows the other's deviation."""
    if one.borrowed or other.borrowed:
        return min(one.freedom, other.freedom)
    parts = [group.variance**2 / group.freedom for group in (one, other)]
    return (one.variance + other.variance) ** 2 / sum(parts)


def power(difference: float, one: Group, other: Group) -> float:
    """The probability that a one-sided test at 5 % finds ``difference``."""
    error = math.sqrt(one.variance + other.variance)
    if error == 0:
        return 1.0 if difference > 0 else 0.0
    degrees = freedom(one, other)
    return float(nct.sf(t.ppf(1 - SIGNIFICANT, degrees), degrees, difference / error))


def chance(difference: float, one: Group, other: Group) -> float:
    """p of the one-sided test: the probability of a difference of the means this large if there is no true one."""
    error = math.sqrt(one.variance + other.variance)
    if error == 0:
        return 0.0 if difference > 0 else 1.0
    return float(t.sf(difference / error, freedom(one, other)))


def seeds_needed(difference: float, deviations: tuple[float, float], wanted: float = WANTED) -> int | None:
    """The fewest seeds per side that find ``difference`` with the power ``wanted``; None if more than MOST."""
    if difference <= 0:
        return None

    def enough(runs: int) -> bool:
        one, other = (Group(runs, deviation) for deviation in deviations)
        return power(difference, one, other) >= wanted

    return _first(enough)


def seeds_against_one(difference: float, deviation: float, theirs: Group, wanted: float = WANTED) -> int | None:
    """The same if the number of runs of the other side, ``theirs``, is fixed, as for a paper."""

    def enough(runs: int) -> bool:
        other = Group(theirs.runs, theirs.deviation, runs if theirs.borrowed else 0)
        return power(difference, Group(runs, deviation), other) >= wanted

    return _first(enough)


def _first(enough: Callable[[int], bool]) -> int | None:
    """The least count from 2 on that is ``enough``, by doubling and bisection: more seeds never have less power."""
    low, high = 1, 2
    while not enough(high):
        low, high = high, 2 * high
        if high > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def counting(share: float, images: int) -> float:
    """The sampling error of an error ``share`` on N ``images``, √(p(1−p)/N), used if no deviation is measured."""
    return math.sqrt(share * (1 - share) / images)


def groups(ours: Sequence[float], theirs: Sequence[float]) -> tuple[Group, Group] | None:
    """Both sides as groups; a side with one run borrows the other's deviation; None if both have one run."""
    deviations = [statistics.stdev(side) if len(side) > 1 else None for side in (ours, theirs)]
    if deviations == [None, None]:
        return None
    sides = zip((ours, theirs), deviations, (theirs, ours), reversed(deviations), strict=True)
    one, other = (
        Group(len(side), own) if own is not None else Group(1, lent or 0.0, len(lender))
        for side, own, lender, lent in sides
    )
    return one, other
