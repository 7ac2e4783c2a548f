"""The page of results: published errors, ours, their distance and the reasons for it. Needs no torch."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from repronet.errors import UserError
from repronet.papers.claims import CLAIMS, Claim, Fewer, Lower
from repronet.papers.cost import Cost, duration
from repronet.papers.experiments import EXPERIMENTS
from repronet.papers.records import TOP5, Error
from repronet.reproduction.plans import between
from repronet.reproduction.record import HASH, Record, hardware, place, recipe
from repronet.reproduction.verdicts import SHORT, judge, spread

BUDGETS = ("paper", "hour", "minutes", "smoke")
Group = Sequence[Record]  # the seeds of one experiment, budget, config, test protocol and machine


def groups(records: Sequence[Record]) -> list[Group]:
    """Group the records by experiment, budget, config, protocol and machine, in the order of the experiments."""
    found: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        alike = (recipe(record), record["protocol"], hardware(record))
        found.setdefault((record["experiment"], record["budget"], *alike), []).append(record)
    order = list(EXPERIMENTS)

    def rank(key: tuple[str, ...]) -> tuple[int, str, int, str, str]:
        name, budget, config, _, machine = key
        return (order.index(name) if name in order else len(order), name, BUDGETS.index(budget), config, machine)

    return [sorted(found[key], key=lambda record: record["seed"]) for key in sorted(found, key=rank)]


def published(experiment: str) -> Error | None:
    """The published error that the experiment is compared with."""
    known = EXPERIMENTS.get(experiment)
    return known.published if known else None


def comparable(record: Record) -> bool:
    """Whether the run's error can be compared with the published one: the whole schedule, the same network."""
    known = EXPERIMENTS.get(record["experiment"])
    return record["budget"] == "paper" and known is not None and known.comparable


def shown_error(error: Error | None) -> str:
    """``8.75 %``: the mean of the paper's runs if it prints one; with a dagger if it is unconfirmed."""
    if error is None:
        return "-"
    mean, deviation = error.statistic.mean, error.statistic.deviation
    figure = f"{error.percent:g} %" if mean is None else f"{mean:g} ± {deviation:g} %"
    runs = f" ({error.statistic.runs})" if error.statistic.runs > 1 else ""
    return f"{figure}{runs}{' top-5' if error.of == TOP5 else ''}{error.dagger}"


def ours(group: Group) -> tuple[str, list[float]]:
    """The test errors of the published kind: the kind, " top-5" or "", and one error from 0 to 1 per seed.

    Old records without a top-5 error give the top-1 error and " top-1" instead.
    """
    error = published(group[0]["experiment"])
    if error is None or error.of != TOP5:
        return "", [record["test_error"] for record in group]
    if any(record.get("test_error_top5") is None for record in group):
        return " top-1", [record["test_error"] for record in group]
    return " top-5", [record["test_error_top5"] for record in group]


def shown_ours(group: Group) -> str:
    """``8.75 ± 0.10 % (3)``, with the kind of error if the published one is top-5."""
    kind, shares = ours(group)
    return spread(shares) + kind


def distance(group: Group) -> str:
    """(our mean − the paper's) / our deviation, for at least two seeds of comparable runs and errors; else "-"."""
    error, (kind, shares) = published(group[0]["experiment"]), ours(group)
    alike = kind != " top-1" and comparable(group[0])
    expected = None if error is None else error.expected
    if expected is None or not alike or len(shares) < 2 or statistics.stdev(shares) == 0:
        return "-"
    return f"{(100 * statistics.mean(shares) - expected) / (100 * statistics.stdev(shares)):+.1f}"


def length(group: Group, mark: str = ", not comparable") -> str:
    """The budget with epochs and time, and ``mark`` if it is not comparable with the paper."""
    epochs, seconds = group[0]["epochs"], statistics.mean(record["train_seconds"] for record in group)
    marked = "" if comparable(group[0]) else mark
    return f"{group[0]['budget']}: {epochs} epoch{'s' if epochs > 1 else ''}, {duration(seconds)}{marked}"


INTRODUCTION = """\
# Results

Written by `repronet report results` from the records beside this page: one file per run, with its config, every epoch
and a hash that is checked at every read to catch accidental edits. `repronet reproduce EXPERIMENT` adds records.

Error on the official test images (on ours for mnist5k), with the weights chosen on validation; mean ± sample deviation
(number of seeds). All seeds of an experiment share one validation split. The paper's figure is from one run, or the
mean or median of the number of runs in brackets; if a paper prints the best of several runs and their mean, the mean is
shown. z is (ours − paper) / our deviation. † marks unconfirmed details; the network's page lists them. *Not
comparable*: the experiment differs from the published one in more than details. Times are wall-clock times on machines
that also did other work.
"""
ABOUT_CLAIMS = """\
Only full-length runs count. PASS: a one-sided test (Welch's, or Student's where one side has one seed) finds the
claimed difference with p < 0.05. FAIL: it finds the opposite with p < 0.05, or nothing although its power is 0.5 or
more. CANNOT TELL: it finds nothing and its power is lower; more seeds are needed. *Untested*: one seed on both sides.
Power is the chance that the recorded seeds find the paper's difference, or the recorded one where the paper prints
none. Training error is averaged over an epoch during training, on augmented images if the recipe augments.
"""
ABOUT_POWER = """\
Seeds per side that find the difference with a power of 0.8, and the time they take: measured where such runs exist,
otherwise computed for one core as below. Deviations are measured on the recorded seeds; without any, they are assumed
to be the sampling error of the test images, √(p(1−p)/N). `repronet reproduce power EXPERIMENT
than=EXPERIMENT` prints this for any two experiments.
"""
ABOUT_SHORT = """\
Schedules shortened in proportion, to a few of a paper's hundreds of epochs. They show that every part runs and learns,
and how training starts. They reproduce no published figure and support no claim.
"""
ABOUT_COSTS = """\
Computed as three times the multiplications of a forward pass, for every image of every epoch. The speed of one core
(AMD EPYC without AVX-512) is measured, that of a GPU (such as an H100) is assumed.
"""


def page(runs: Mapping[Path, Record], costs: Mapping[str, Cost]) -> str:
    """The text of ``results/README.md``.

    Args:
        runs: the records of ``results/`` by file.
        costs: the cost of each experiment, by name; the reason why some were not run.
    """
    records = list(runs.values())
    others = {record[HASH]: hardware(record) for path, record in runs.items() if "-on-" in path.name}
    full = [record for record in records if record["budget"] == "paper"]
    there, short = {record["experiment"] for record in full}, [one for one in records if one["budget"] != "paper"]
    decided = sum(judge(claim, full).decided for claim in CLAIMS.values())
    lines = [
        INTRODUCTION,
        "## Published figures\n",
        *_table("experiment | paper | ours | z | length | where | why different", map(_figures, groups(full))),
        f"\n## Claims\n\n{ABOUT_CLAIMS}\nDecided: {decided} of {len(CLAIMS)}.\n",
        *_table("claim | paper | its figures | verdict | evidence", (_claim(claim, full) for claim in CLAIMS.values())),
        f"\n## What a difference takes\n\n{ABOUT_POWER}",
        *_table("claim | difference | deviation | power | it takes", _plans(full, costs)),
        f"\n## Does the machinery run?\n\n{ABOUT_SHORT}",
        *_table("experiment | error | length | where", (_short(group) for group in groups(short))),
        "",
        *_table("claim | how the two begin", _begun(short)),
        f"\n## Not run at full length\n\n{ABOUT_COSTS}",
        *_table(
            "experiment | paper | what it would take",
            ((f"`{n}`", shown_error(published(n)), str(costs.get(n, ""))) for n in EXPERIMENTS if n not in there),
        ),
        "\n## Runs\n",
        *_table(
            "record | test | top-5 | protocol | best validation (epoch) | last validation | training | seconds "
            "| commit | hash",
            (_run(record, others.get(record[HASH], "")) for group in groups(records) for record in group),
        ),
        "\n## Where\n",
        *(f"- {environment}: {', '.join(names)}" for environment, names in _environments(records).items()),
    ]
    return "\n".join(lines) + "\n"


def _table(headings: str, rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {headings} |"
    yield f"|{'---|' * len(headings.split(' | '))}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _figures(group: Group) -> tuple[str, ...]:
    name, deviations = group[0]["experiment"], [deviation for record in group for deviation in record["deviations"]]
    why = "; ".join(dict.fromkeys(deviations)) or "-"
    paper, where = shown_error(published(name)), hardware(group[0])
    return f"`{name}`", paper, shown_ours(group), distance(group), length(group), where, why


def _short(group: Group) -> tuple[str, ...]:
    errors = spread([one["test_error"] for one in group])
    return f"`{group[0]['experiment']}`", errors, length(group, ""), hardware(group[0])


def _claim(claim: Claim, records: Sequence[Record]) -> tuple[str, ...]:
    verdict = judge(claim, records)
    outcome = f"**{verdict.outcome}**" if verdict.tested else f"{verdict.outcome}, untested"
    return claim.text, str(claim.citation), claim.printed, outcome, verdict.evidence


def _plans(records: Sequence[Record], costs: Mapping[str, Cost]) -> Iterator[tuple[str, ...]]:
    """The plan for each claim about errors; counted claims and claims about curves do not depend on more seeds."""
    for claim in CLAIMS.values():
        test = claim.shown_by
        if not isinstance(test, Lower):
            continue
        try:
            plan = between(test.better, test.worse, records, costs, ("paper",), test.figure)
        except UserError:
            yield claim.text, "-", "-", "-", "no figures, neither published nor recorded at full length"
            continue
        deviation = " and ".join(dict.fromkeys(f"{100 * one:.2f}" for one in plan.deviation))
        now = "-" if plan.power is None else f"{plan.power:.2f}"
        difference = f"{100 * plan.difference:.2f} points, {plan.source}"
        yield claim.text, difference, f"{deviation}, {plan.measured}", now, plan.effort


def _begun(records: Sequence[Record]) -> Iterator[tuple[str, ...]]:
    verdicts = {
        claim.text: judge(claim, records, SHORT) for claim in CLAIMS.values() if not isinstance(claim.shown_by, Fewer)
    }
    yield from ((text, verdict.evidence) for text, verdict in verdicts.items() if verdict.outcome != "NOT RUN")


def _run(record: Record, machine: str) -> tuple[str, ...]:
    name = place(Path(), record["experiment"], record["budget"], record["seed"], machine).as_posix()
    top5 = record.get("test_error_top5")
    return (
        f"[{name.removesuffix('.json')}]({name})",
        f"{100 * record['test_error']:.2f} %",
        "-" if top5 is None else f"{100 * top5:.2f} %",
        record["protocol"].replace("_", " "),
        f"{100 * record['best_val_error']:.2f} % ({record['best_epoch']})",
        f"{100 * record['last_val_error']:.2f} %",
        f"{100 * record['last_train_error']:.2f} %",
        f"{record['train_seconds']:,.0f}",
        (record["commit"] or "unknown")[:9],
        record[HASH][:9],
    )


def _environments(records: Sequence[Record]) -> dict[str, list[str]]:
    """The experiments that ran in each environment, a machine with its versions."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        hardware, versions = record["hardware"], record["versions"]
        threads = f"{hardware['torch_threads']} thread{'s' if hardware['torch_threads'] > 1 else ''}"
        machine = f"{hardware['gpu'] or hardware['processor']}, {threads}"
        software = ", ".join(f"{name} {version}" for name, version in versions.items())
        found.setdefault(f"{machine}; {software}", {})[record["experiment"]] = None
    return {environment: list(names) for environment, names in found.items()}
