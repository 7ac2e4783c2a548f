"""The seeds and hours needed to tell two experiments, or one and its paper, apart. Needs no torch."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from repronet.errors import UserError
from repronet.papers.claims import Lower
from repronet.papers.cost import Cost, duration
from repronet.papers.experiments import EXPERIMENTS
from repronet.reproduction.power import MOST, WANTED, Group, counting, groups, power, seeds_against_one, seeds_needed
from repronet.reproduction.record import Record
from repronet.reproduction.verdicts import LONGEST_FIRST, expected_difference


@dataclass(frozen=True)
class Plan:
    """The seeds and time that a comparison needs."""

    difference: float  # difference of the errors, from 0 to 1
    source: str  # where the difference is from, in words
    deviation: tuple[float, float]  # standard deviation of one run, on each side
    measured: str  # how the deviation was measured, in words
    power: float | None  # power of the recorded runs; None if a side has none, or both have one
    # seeds per side, or of ours alone against a paper, for a power of :data:`WANTED`; None if no number up to MOST does
    seeds: int | None
    seconds: float  # time of one seed of each side together

    @property
    def effort(self) -> str:
        """``7 seeds each, 5.2 h``."""
        if self.seeds is None:
            ours = " of ours against the paper's few runs" if "paper's figure" in self.source else ""
            return f"more than {MOST:,} seeds{ours}"
        each = " each" if "paper's figure" not in self.source else ""
        return f"{self.seeds} seeds{each}, {duration(self.seeds * self.seconds)}"

    def __str__(self) -> str:
        ours, theirs = (f"{100 * one:.2f}" for one in self.deviation)
        deviation = ours if ours == theirs else f"{ours} and {theirs}"
        has = "" if self.power is None else f", power {self.power:.2f}"
        return (
            f"{100 * self.difference:.2f} points ({self.source}), deviation {deviation} ({self.measured}){has}; "
            f"for {WANTED:g}: {self.effort}"
        )


def between(
    better: str,
    worse: str,
    records: Sequence[Record],
    costs: Mapping[str, Cost],
    budgets: Sequence[str] = LONGEST_FIRST,
    figure: str = "test_error",
) -> Plan:
    """Plan the comparison of two experiments; the difference is the paper's if it prints both, else the recorded."""
    difference, source = expected_difference(Lower(figure, better, worse)), "the paper's"  # type: ignore[arg-type]
    sides: list[list[Record]] = [[], []]
    for budget in budgets if difference is None else ("paper",):  # published differences are of full schedules
        sides = [_of(name, budget, records) for name in (better, worse)]
        if all(sides):
            break
    shares = [[record[figure] for record in side] for side in sides]
    if difference is None:
        if not all(sides):
            raise UserError(f"power {better} than={worse}: no figures of both, neither published nor recorded")
        means = [statistics.mean(side) for side in shares]
        difference, source = abs(means[1] - means[0]), f"recorded, budget={sides[0][0]['budget']}"
    deviation, measured = _deviations(shares, (better, worse))
    seeds = seeds_needed(difference, deviation)
    compared = groups(*shares) if all(shares) else None
    now = None if compared is None else power(difference, *compared)
    seconds = sum(_seconds(name, side, costs) for name, side in zip((better, worse), sides, strict=True))
    return Plan(difference, source, deviation, measured, now, seeds, seconds)


def from_the_paper(name: str, records: Sequence[Record], costs: Mapping[str, Cost]) -> Plan:
    """Plan the comparison of an experiment with its paper's error, with the paper's deviation if printed, else ours."""
    error, runs = EXPERIMENTS[name].published if name in EXPERIMENTS else None, _of(name, "paper", records)
    if error is None or error.expected is None:
        raise UserError(f"power {name}: its paper prints no figure to compare with; name another with than=EXPERIMENT")
    if not runs:
        raise UserError(f"power {name}: no run at full length is recorded; `repronet reproduce {name}` makes one")
    shares = [record["test_error"] for record in runs]
    (deviation, _), measured = _deviations([shares, []], (name, name))
    own = error.statistic.deviation
    theirs = Group(max(error.statistic.runs, 1), deviation if own is None else own / 100, 0 if own else len(shares))
    difference = abs(statistics.mean(shares) - error.expected / 100)
    now = power(difference, Group(len(shares), deviation), theirs) if len(shares) > 1 else None
    seeds = seeds_against_one(difference, deviation, theirs) if difference > 0 else None
    source = "ours from the paper's figure"
    return Plan(difference, source, (deviation, theirs.deviation), measured, now, seeds, _seconds(name, runs, costs))


def _of(name: str, budget: str, records: Sequence[Record]) -> list[Record]:
    return [record for record in records if (record["experiment"], record["budget"]) == (name, budget)]


def _deviations(shares: Sequence[Sequence[float]], names: tuple[str, str]) -> tuple[tuple[float, float], str]:
    """The standard deviation of one run on each side: measured, borrowed, or else the sampling error of its images."""
    own = [statistics.stdev(side) if len(side) > 1 else None for side in shares]
    lent = next((deviation for deviation in own if deviation is not None), None)
    if lent is not None:
        counts = " and ".join(str(len(side)) for side in shares if len(side) > 1)
        ours, theirs = (lent if deviation is None else deviation for deviation in own)
        return (ours, theirs), f"of {counts} seeds"
    images = 50_000 if EXPERIMENTS[names[0]].dataset == "imagenet" else 10_000
    errors = (EXPERIMENTS[name].published for name in names)
    published = [0.5 if error is None else error.percent / 100 for error in errors]
    ours, theirs = (statistics.mean(side) if side else share for side, share in zip(shares, published, strict=True))
    return (counting(ours, images), counting(theirs, images)), f"assumed, from {images:,} images"


def _seconds(name: str, runs: Sequence[Record], costs: Mapping[str, Cost]) -> float:
    """The training time of one seed: measured, or else computed for one core."""
    if runs:
        return statistics.mean(record["train_seconds"] for record in runs)
    return costs[name].core_seconds
