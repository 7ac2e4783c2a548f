"""Decide whether records of runs support a claim."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from repronet.papers.claims import Claim, Fewer, Lower, Sooner
from repronet.papers.experiments import EXPERIMENTS
from repronet.reproduction.power import DECISIVE, SIGNIFICANT, chance, groups, power
from repronet.reproduction.record import Record, recipe

LONGEST_FIRST = ("paper", "hour", "minutes")  # smoke decides nothing
SHORT = LONGEST_FIRST[1:]
Outcome = Literal["PASS", "FAIL", "CANNOT TELL", "NOT RUN"]


@dataclass(frozen=True)
class Verdict:
    """The outcome of a claim, with the figures behind it."""

    outcome: Outcome
    evidence: str
    tested: bool = True  # whether there are enough seeds to tell a difference from chance
    # the probability that these seeds find the paper's difference, or if it prints none, the recorded one; None
    # if nothing is tested
    power: float | None = None

    @property
    def decided(self) -> bool:
        """Whether the outcome is reliable: counted, or tested with a power of at least ``DECISIVE``."""
        return self.outcome in ("PASS", "FAIL") and self.tested and (self.power is None or self.power >= DECISIVE)


def judge(claim: Claim, records: Iterable[Record], budgets: Sequence[str] = LONGEST_FIRST) -> Verdict:
    """The verdict from the longest of ``budgets`` in which both sides were run, for equally many steps if required.

    ``Lower`` passes if a one-sided test (Welch's, or Student's if one side has one seed) finds a lower error with
    p < 0.05, and fails if it finds a higher one. If it finds neither, the claim fails if the power was at least a half,
    else nothing can be told. One seed on both sides is untested. ``Sooner`` passes if the slowest seed of ``better``
    arrives before the fastest of ``worse``. Runs of one side with different configs decide nothing.
    """
    found = list(records)
    test = claim.shown_by
    if isinstance(test, Fewer):
        return _fewer(test)
    for budget in budgets:
        better, worse = (
            [record for record in found if (record["experiment"], record["budget"]) == (name, budget)]
            for name in (test.better, test.worse)
        )
        if better and worse:
            kinds = ({(recipe(record), record["protocol"]) for record in side} for side in (better, worse))
            if any(len(kind) > 1 for kind in kinds):
                return Verdict("NOT RUN", f"runs of several configs, budget={budget}")
            steps = [{record["steps"] for record in side} for side in (better, worse)]
            if steps[0] != steps[1] and (isinstance(test, Sooner) or test.equal_steps):
                continue
            verdict = _lower(test, better, worse) if isinstance(test, Lower) else _sooner(test, better, worse)
            return replace(verdict, evidence=f"{verdict.evidence}; {_length(better, worse)}, budget={budget}")
    looked_at = [one for one in found if one["budget"] in (*budgets, "smoke")]
    return Verdict("NOT RUN", _why_not(looked_at, test.better, test.worse))


def _fewer(test: Fewer) -> Verdict:
    """Count the cost of both ways, and compare the counts with each other and with the source's."""
    counts = [
        sum(maps_in * maps_out * kernel**2 * side**2 for maps_in, maps_out, kernel, side in way)
        for way in (test.smaller, test.larger)
    ]
    agree = all(printed is None or printed.agrees(count) for printed, count in zip(test.printed, counts, strict=True))
    figures = f"{counts[0]:,} against {counts[1]:,} {test.unit}, counted"
    return Verdict("PASS" if agree and counts[0] < counts[1] else "FAIL", figures)


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


def _lower(test: Lower, better: Sequence[Record], worse: Sequence[Record]) -> Verdict:
    ours, theirs = ([record[test.figure] for record in side] for side in (better, worse))
    difference = statistics.mean(theirs) - statistics.mean(ours)
    name = test.figure.removeprefix("last_").replace("_", "ing " if "train" in test.figure else " ")
    figures, reversed_ = f"{name} {spread(ours)} against {spread(theirs)}", ", the other way round"
    sides = groups(ours, theirs)
    if sides is None:
        text = f"{figures} (one seed each){'' if difference > 0 else reversed_}"
        return Verdict("PASS" if difference > 0 else "CANNOT TELL", text, tested=False)
    expected = expected_difference(test)
    found = power(abs(difference) if expected is None else expected, *sides)
    figures += f" (p = {chance(difference, *sides):.2g}, power {found:.2f})"
    if chance(difference, *sides) < SIGNIFICANT:
        return Verdict("PASS", figures, power=found)
    if chance(-difference, *sides) < SIGNIFICANT:
        return Verdict("FAIL", figures + reversed_, power=found)
    text = figures + (reversed_ if difference < 0 else ", which may be chance")
    return Verdict("FAIL" if found >= DECISIVE else "CANNOT TELL", text, power=found)


def expected_difference(test: Lower) -> float | None:
    """The paper's difference of errors, from 0 to 1; None unless it prints both alike and the better one is lower."""
    figures = [EXPERIMENTS[name].published if name in EXPERIMENTS else None for name in (test.better, test.worse)]
    if test.figure != "test_error" or any(error is None or error.expected is None for error in figures):
        return None
    better, worse = figures
    assert better is not None
    assert worse is not None
    if (better.of, better.protocol) != (worse.of, worse.protocol):
        return None
    difference = (worse.expected - better.expected) / 100  # type: ignore[operator]
    return difference if difference > 0 else None


def _sooner(test: Sooner, better: Sequence[Record], worse: Sequence[Record]) -> Verdict:
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
    outcome: Outcome = "PASS" if max(ours) < min(theirs) else "FAIL" if min(ours) > max(theirs) else "CANNOT TELL"
    tested = min(len(better), len(worse)) > 1
    return Verdict(outcome if tested or outcome == "PASS" else "CANNOT TELL", figures, tested)


def _epochs(arrivals: Sequence[float], side: Sequence[Record]) -> str:
    never = f"more than {side[0]['epochs']}"
    return ", ".join(f"{arrival:.0f}" if math.isfinite(arrival) else never for arrival in sorted(arrivals))


def spread(shares: Sequence[float]) -> str:
    """``8.75 ± 0.10 % (3)``: mean, sample deviation and number, in percent."""
    mean = f"{100 * statistics.mean(shares):.2f}"
    if len(shares) == 1:
        return f"{mean} % (1)"
    return f"{mean} ± {100 * statistics.stdev(shares):.2f} % ({len(shares)})"
