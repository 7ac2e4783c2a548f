"""The page of results: what papers published, what came out here, how far apart and why. Needs no torch."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence

from repronet.papers.claims import CLAIMS, Claim
from repronet.papers.cost import duration
from repronet.papers.experiments import EXPERIMENTS
from repronet.papers.records import TOP5, Error
from repronet.reproduction.record import HASH, Record
from repronet.reproduction.verdicts import judge, spread

BUDGETS = ("paper", "hour", "minutes", "smoke")
Group = Sequence[Record]  # the seeds of one experiment and budget, under one config and tested alike


def groups(records: Sequence[Record]) -> list[Group]:
    """The records of each experiment, budget and config together, in the order of the experiments."""
    found: dict[tuple[str, str, str, str], list[Record]] = {}
    for record in records:
        key = (record["experiment"], record["budget"], record["config_sha256"], record["protocol"])
        found.setdefault(key, []).append(record)
    order = list(EXPERIMENTS)

    def rank(key: tuple[str, str, str, str]) -> tuple[int, str, int, str]:
        name, budget, config, _ = key
        return (order.index(name) if name in order else len(order), name, BUDGETS.index(budget), config)

    return [sorted(found[key], key=lambda record: record["seed"]) for key in sorted(found, key=rank)]


def published(experiment: str) -> Error | None:
    """The figure that the experiment is held against."""
    known = EXPERIMENTS.get(experiment)
    return known.published if known else None


def comparable(record: Record) -> bool:
    """Whether the run is one whose error can be set beside the published one: the whole schedule, the same network."""
    known = EXPERIMENTS.get(record["experiment"])
    return record["budget"] == "paper" and known is not None and known.comparable


def shown_error(error: Error | None) -> str:
    """``8.75 %``: the mean of the paper's runs where it prints one; with a dagger where it is unconfirmed."""
    if error is None:
        return "-"
    mean, deviation = error.statistic.mean, error.statistic.deviation
    figure = f"{error.percent:g} %" if mean is None else f"{mean:g} ± {deviation:g} %"
    runs = f" ({error.statistic.runs})" if error.statistic.runs > 1 else ""
    return f"{figure}{runs}{' top-5' if error.of == TOP5 else ''}{error.dagger}"


def ours(group: Group) -> tuple[str, list[float]]:
    """The test errors of the kind that is published: " top-5" or "", and a share a seed.

    Records from before there was a top-5 error have " top-1" in its place.
    """
    error = published(group[0]["experiment"])
    if error is None or error.of != TOP5:
        return "", [record["test_error"] for record in group]
    if any(record.get("test_error_top5") is None for record in group):
        return " top-1", [record["test_error"] for record in group]
    return " top-5", [record["test_error_top5"] for record in group]


def shown_ours(group: Group) -> str:
    """``8.75 ± 0.10 % (3)``, with the kind of error where that is not the plain one."""
    kind, shares = ours(group)
    return spread(shares) + kind


def distance(group: Group) -> str:
    """(our mean − that of the paper) / our deviation, of runs and errors that are comparable, from two seeds on."""
    error, (kind, shares) = published(group[0]["experiment"]), ours(group)
    alike = kind != " top-1" and comparable(group[0])
    expected = None if error is None else error.expected
    if expected is None or not alike or len(shares) < 2 or statistics.stdev(shares) == 0:
        return "-"
    return f"{(100 * statistics.mean(shares) - expected) / (100 * statistics.stdev(shares)):+.1f}"


def length(group: Group, mark: str = ", not comparable") -> str:
    """The budget, with epochs and time, and ``mark`` where it is not comparable with the paper."""
    epochs, seconds = group[0]["epochs"], statistics.mean(record["train_seconds"] for record in group)
    marked = "" if comparable(group[0]) else mark
    return f"{group[0]['budget']}: {epochs} epoch{'s' if epochs > 1 else ''}, {duration(seconds)}{marked}"


INTRODUCTION = """\
# Results

Written by `repronet report results` from the records beside this page: one file a run, with its config, every epoch and
a hash that is checked whenever it is read, so that a slip is noticed. `repronet reproduce EXPERIMENT` adds to them.

Error on the official test images (those of mnist5k are ours), by the weights that validation chose; mean ± sample
deviation (number of seeds). All seeds of an experiment share one validation split. The paper's figure is that of one
run, or the mean or median of as many as stand in brackets; where a paper prints the best of several beside their mean,
the mean is shown. z is (ours − paper) / our deviation. Of what is marked † something is unconfirmed; the page of the
network says what. *Not comparable*: a budget below `paper` shortens the schedule and keeps its shape, and some
experiments differ from the published one in more than details; such a figure reproduces nothing and only compares with
others of its kind. Times are of a wall clock, on machines that did other work besides.
"""
ABOUT_CLAIMS = """\
PASS where the difference is there and, with two seeds or more on both sides, a one-sided Welch test gives it less
than 5 % to be chance. FAIL where it is the other way round, or may be chance, and says which. *Untested*: one seed on
a side, of which nothing more than the figures is known. *Short*: after a part of the schedule; the networks of the
claims are trained, so that such a verdict tells how they begin, and neither bears a claim out nor refutes it.
Training error is the mean over an epoch, on augmented images where there are such, while the weights move.
"""
ABOUT_COSTS = """\
Computed: three times the multiplications of a forward pass for every image of every epoch, at the rate of one core of
an AMD EPYC without AVX-512, measured, and of a GPU such as an H100, assumed.
"""


def page(records: Sequence[Record], costs: Mapping[str, str]) -> str:
    """The text of ``results/README.md``.

    Args:
        records: of ``results/``.
        costs: of each experiment, what it takes: why it was not run.
    """
    there = {record["experiment"] for record in records if record["budget"] == "paper"}
    lines = [
        INTRODUCTION,
        "## Published figures\n",
        *_table("experiment | paper | ours | z | budget | why different", map(_figures, groups(records))),
        f"\n## Claims\n\n{ABOUT_CLAIMS}",
        *_table(
            "claim | paper | its figures | verdict | evidence", (_claim(claim, records) for claim in CLAIMS.values())
        ),
        f"\n## Not run at full length\n\n{ABOUT_COSTS}",
        *_table(
            "experiment | paper | what it would take",
            ((f"`{n}`", shown_error(published(n)), costs.get(n, "")) for n in EXPERIMENTS if n not in there),
        ),
        "\n## Runs\n",
        *_table(
            "record | test | top-5 | protocol | best validation (epoch) | last validation | training | seconds "
            "| commit | hash",
            (_run(record) for group in groups(records) for record in group),
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
    return f"`{name}`", shown_error(published(name)), shown_ours(group), distance(group), length(group), why


def _claim(claim: Claim, records: Sequence[Record]) -> tuple[str, ...]:
    verdict = judge(claim, records)
    outcome = f"{verdict.outcome}, {verdict.reserve}" if verdict.reserve else f"**{verdict.outcome}**"
    return claim.text, str(claim.citation), claim.printed, outcome, verdict.evidence


def _run(record: Record) -> tuple[str, ...]:
    name = f"{record['experiment']}/{record['budget']}-seed{record['seed']}"
    top5 = record.get("test_error_top5")
    return (
        f"[{name}]({name}.json)",
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
    """Each machine with its versions once, with the experiments that ran there."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        hardware, versions = record["hardware"], record["versions"]
        threads = f"{hardware['torch_threads']} thread{'s' if hardware['torch_threads'] > 1 else ''}"
        machine = f"{hardware['gpu'] or hardware['processor']}, {threads}"
        software = ", ".join(f"{name} {version}" for name, version in versions.items())
        found.setdefault(f"{machine}; {software}", {})[record["experiment"]] = None
    return {environment: list(names) for environment, names in found.items()}
