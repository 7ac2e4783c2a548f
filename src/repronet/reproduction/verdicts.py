"""Whether records of runs bear a claim out."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.stats import ttest_ind

from repronet.papers.claims import Claim, Convolution, Fewer, Lower, Sooner
from repronet.reproduction.record import Record

LONGEST_FIRST = ("paper", "hour", "minutes")  # smoke decides nothing
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Verdict:
    """What the records say of a claim, and the figures that say it.

    Args:
        short: whether the schedule was shortened: then it is about how networks begin to learn.
        tested: whether there are seeds enough to tell a difference from chance.
    """

    outcome: Literal["PASS", "FAIL", "NOT RUN"]
    evidence: str
    short: bool = False
    tested: bool = True

    @property
    def reserve(self) -> str:
        """What must be known beside the outcome: "", "short", "untested" or "short, untested"."""
        return ", ".join(["short"] * self.short + ["untested"] * (not self.tested))


def judge(claim: Claim, records: Iterable[Record]) -> Verdict:
    """The verdict on the longest budget in which both sides were run for equally many steps.

    A lower error counts where a one-sided Welch test gives it less than 5 % to be chance, and where one side has one
    seed alone, which no test can judge, as it is; coming down sooner counts where the slowest seed of the one does so
    before the fastest of the other. Runs of one side that differ in their configs decide nothing.
    """
    found = list(records)
    test = claim.shown_by
    if isinstance(test, Fewer):
        return _fewer(test)
    for budget in LONGEST_FIRST:
        better, worse = (
            [record for record in found if (record["experiment"], record["budget"]) == (name, budget)]
            for name in (test.better, test.worse)
        )
        if better and worse:
            kinds = ({(record["config_sha256"], record["protocol"]) for record in side} for side in (better, worse))
            if any(len(kind) > 1 for kind in kinds):
                return Verdict("NOT RUN", f"runs of several configs, budget={budget}")
            steps = [{record["steps"] for record in side} for side in (better, worse)]
            if steps[0] != steps[1] and (isinstance(test, Sooner) or test.equal_steps):
                continue
            outcome, figures = _lower(test, better, worse) if isinstance(test, Lower) else _sooner(test, better, worse)
            evidence = f"{figures}; {_length(better, worse)}, budget={budget}"
            return Verdict(outcome, evidence, budget != "paper", min(len(better), len(worse)) > 1)
    return Verdict("NOT RUN", _why_not(found, test.better, test.worse))


def _fewer(test: Fewer) -> Verdict:
    """What both ways take, counted, and whether it is what the source prints."""
    counts = [sum(map(_count, way)) for way in (test.smaller, test.larger)]
    agree = all(printed is None or printed.agrees(count) for printed, count in zip(test.printed, counts, strict=True))
    figures = f"{counts[0]:,} against {counts[1]:,} {test.unit}, counted"
    return Verdict("PASS" if agree and counts[0] < counts[1] else "FAIL", figures)


def _count(convolution: Convolution) -> int:
    maps_in, maps_out, kernel, side = convolution
    return maps_in * maps_out * kernel**2 * side**2


def _why_not(found: Sequence[Record], *names: str) -> str:
    budgets = {name: {record["budget"] for record in found if record["experiment"] == name} for name in names}
    missing = [name for name in names if not budgets[name]]
    if missing:
        return f"no run of {' and '.join(missing)}"
    smoke = [name for name in names if budgets[name] == {"smoke"}]
    return f"only smoke runs of {' and '.join(smoke)}, which decide nothing" if smoke else "no two runs of equal length"


def _length(better: Sequence[Record], worse: Sequence[Record]) -> str:
    """``3 epochs``, ``5 of 182 epochs``, or ``300 epochs against 182``."""
    ours, theirs = better[0]["epochs"], worse[0]["epochs"]
    shortened = next((text for text in better[0]["deviations"] if re.fullmatch(r"\d+ of \d+ epochs", text)), None)
    if ours == theirs and shortened:
        return shortened
    return f"{ours} epoch{'s' if ours > 1 else ''}{'' if ours == theirs else f' against {theirs}'}"


def _lower(test: Lower, better: Sequence[Record], worse: Sequence[Record]) -> tuple[Literal["PASS", "FAIL"], str]:
    ours, theirs = ([record[test.figure] for record in side] for side in (better, worse))
    lower = statistics.mean(ours) < statistics.mean(theirs)
    chance, note = 0.0, "one seed each" if len(ours) == len(theirs) else "too few seeds for a test"
    if min(len(ours), len(theirs)) > 1:
        if statistics.stdev(ours) == statistics.stdev(theirs) == 0:
            chance = 0.0 if lower else 1.0
        else:  # how probable so low a mean is if both are of one kind: Welch's test, one-sided
            chance = float(ttest_ind(ours, theirs, equal_var=False, alternative="less")[1])  # type: ignore[arg-type]
        note = f"p = {chance:.2g}"
    name = test.figure.removeprefix("last_").replace("_", "ing " if "train" in test.figure else " ")
    figures = f"{name} {spread(ours)} against {spread(theirs)} ({note})"
    if not lower:
        return "FAIL", f"{figures}, the other way round"
    return ("PASS", figures) if chance < SIGNIFICANT else ("FAIL", f"{figures}, which may be chance")


def _sooner(test: Sooner, better: Sequence[Record], worse: Sequence[Record]) -> tuple[Literal["PASS", "FAIL"], str]:
    error = test.error
    if error is None:
        error = statistics.mean(min(row[test.figure] for row in record["history"]) for record in worse)
    ours, theirs = (
        # the first epoch with at most that error
        [
            min((row["epoch"] for row in record["history"] if row[test.figure] <= error), default=math.inf)
            for record in side
        ]
        for side in (better, worse)
    )
    figures = f"{100 * error:.3g} % after {_epochs(ours, better)} epochs against {_epochs(theirs, worse)}"
    return ("PASS" if max(ours) < min(theirs) else "FAIL"), figures


def _epochs(arrivals: Sequence[float], side: Sequence[Record]) -> str:
    never = f"more than {side[0]['epochs']}"
    return ", ".join(f"{arrival:.0f}" if math.isfinite(arrival) else never for arrival in sorted(arrivals))


def spread(shares: Sequence[float]) -> str:
    """``8.75 ± 0.10 % (3)``: mean, sample deviation and number, in percent."""
    mean = f"{100 * statistics.mean(shares):.2f}"
    if len(shares) == 1:
        return f"{mean} % (1)"
    return f"{mean} ± {100 * statistics.stdev(shares):.2f} % ({len(shares)})"
