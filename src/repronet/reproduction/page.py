"""The page of results: what papers published, what came out here, how far apart and why. Needs no torch."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence

from repronet.papers.claims import CLAIMS
from repronet.papers.experiments import EXPERIMENTS
from repronet.papers.records import Error
from repronet.reproduction.record import HASH, Record
from repronet.reproduction.verdicts import judge, spread

BUDGETS = ("paper", "hour", "minutes", "smoke")
Group = Sequence[Record]  # the seeds of one experiment and budget


def groups(records: Sequence[Record]) -> list[Group]:
    """The records of each experiment and budget together, in the order of the experiments."""
    found: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        found.setdefault((record["experiment"], record["budget"]), []).append(record)
    order = list(EXPERIMENTS)

    def rank(key: tuple[str, str]) -> tuple[int, str, int]:
        name, budget = key
        return (order.index(name) if name in order else len(order), name, BUDGETS.index(budget))

    return [sorted(found[key], key=lambda record: record["seed"]) for key in sorted(found, key=rank)]


def published(experiment: str) -> Error | None:
    """The figure that the experiment is held against."""
    known = EXPERIMENTS.get(experiment)
    return known.published if known else None


def shown_error(error: Error | None) -> str:
    """``8.75 %``, with a dagger where it is quoted from memory; says when it counts the five best answers."""
    if error is None:
        return "-"
    return f"{error.percent:g} %{' top-5' if _of_five(error) else ''}{'' if error.verified else ' †'}"


def _of_five(error: Error) -> bool:
    return error.of.endswith("top-5")


def distance(group: Group) -> str:
    """(our mean − published) / our deviation, where there are two seeds and the whole schedule was run."""
    error, shares = published(group[0]["experiment"]), [record["test_error"] for record in group]
    if (
        error is None
        or _of_five(error)
        or len(shares) < 2
        or group[0]["budget"] != "paper"
        or statistics.stdev(shares) == 0
    ):
        return "-"
    return f"{(100 * statistics.mean(shares) - error.percent) / (100 * statistics.stdev(shares)):+.1f}"


def length(group: Group) -> str:
    """The budget, with epochs and time."""
    epochs, seconds = group[0]["epochs"], statistics.mean(record["train_seconds"] for record in group)
    comparable = "" if group[0]["budget"] == "paper" else ", not comparable"
    return f"{group[0]['budget']}: {epochs} epoch{'s' if epochs > 1 else ''}, {_time(seconds)}{comparable}"


def _time(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min" if seconds >= 90 else "1 min"


def page(records: Sequence[Record], costs: Mapping[str, str]) -> str:
    """The text of ``results/README.md``.

    Args:
        records: of ``results/``.
        costs: of each experiment, what it takes: why it was not run.
    """
    return "\n".join(_page(records, costs)) + "\n"


def _page(records: Sequence[Record], costs: Mapping[str, str]) -> Iterator[str]:
    yield "# Results"
    yield ""
    yield "Written by `repronet report results` from the records beside this page: one file a run, with its config,"
    yield "every epoch and a hash that is checked whenever it is read. `repronet reproduce EXPERIMENT` adds to them."
    yield ""
    yield "Error on the official test images by the weights that validation chose, tested once; mean ± sample deviation"
    yield "(number of seeds). z is (ours − paper) / our deviation. † is quoted from memory of the paper and not yet"
    yield "checked against it. A budget below `paper` shortens the schedule and keeps its shape: such a figure is no"
    yield "reproduction of the paper's, and only compares with others of its budget. Times are of a wall clock, on"
    yield "machines that did other work besides."
    yield ""
    yield "## Published figures"
    yield ""
    yield "| experiment | paper | ours | z | budget | why different |"
    yield "|---|---|---|---|---|---|"
    for group in groups(records):
        yield _row(group)
    yield ""
    yield "## Claims"
    yield ""
    yield "| claim | of | verdict | evidence |"
    yield "|---|---|---|---|"
    for claim in CLAIMS.values():
        verdict = judge(claim, records)
        yield f"| {claim.text} | {claim.where} | **{verdict.outcome}** | {verdict.evidence} |"
    yield ""
    yield "## Not run"
    yield ""
    yield "| experiment | paper | what it would take |"
    yield "|---|---|---|"
    there = {record["experiment"] for record in records}
    for name in EXPERIMENTS:
        if name not in there:
            yield f"| `{name}` | {shown_error(published(name))} | {costs.get(name, '')} |"
    yield ""
    yield "## Runs"
    yield ""
    yield "| record | test | best validation (epoch) | last validation | training | seconds | commit | hash |"
    yield "|---|---|---|---|---|---|---|---|"
    for group in groups(records):
        for record in group:
            yield _run(record)
    yield ""
    yield "## Where"
    yield ""
    for environment, names in _environments(records).items():
        yield f"- {environment}: {', '.join(names)}"


def _row(group: Group) -> str:
    first = group[0]
    deviations = dict.fromkeys(deviation for record in group for deviation in record["deviations"])
    ours = spread([record["test_error"] for record in group])
    cells = (f"`{first['experiment']}`", shown_error(published(first["experiment"])), ours, distance(group))
    return f"| {' | '.join(cells)} | {length(group)} | {'; '.join(deviations) or '-'} |"


def _run(record: Record) -> str:
    name = f"{record['experiment']}/{record['budget']}-seed{record['seed']}"
    figures = (
        f"{100 * record['test_error']:.2f} %",
        f"{100 * record['best_val_error']:.2f} % ({record['best_epoch']})",
        f"{100 * record['last_val_error']:.2f} %",
        f"{100 * record['last_train_error']:.2f} %",
        f"{record['train_seconds']:,.0f}",
        (record["commit"] or "unknown")[:9],
        record[HASH][:9],
    )
    return f"| [{name}]({name}.json) | {' | '.join(figures)} |"


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
