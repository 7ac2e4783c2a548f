"""``repronet report results``: the page of reproduced results, and the verdicts on claims."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Column

from repronet.cli.tables import PlainTable
from repronet.config.groups import CONFIGS
from repronet.papers.claims import CLAIMS
from repronet.papers.cost import Cost, cost
from repronet.papers.experiments import EXPERIMENTS
from repronet.reproduction import record
from repronet.reproduction.page import comparable, distance, groups, length, page, published, shown_error, shown_ours
from repronet.reproduction.verdicts import judge
from repronet.runs.atomic import write_whole

PAGE = "README.md"
COLOURS = {"PASS": "green", "FAIL": "red", "CANNOT TELL": "yellow", "NOT RUN": "dim"}


def are_records(folder: Path) -> bool:
    """Whether the folder holds records of reproduced runs."""
    return next(folder.glob("*/*-seed*.json"), None) is not None


def show(folder: Path, console: Console) -> Path:
    """Print the figures and the claims, and write ``folder/README.md``; returns its path."""
    found = record.read_all(folder)
    records = list(found.values())
    full = [one for one in records if one["budget"] == "paper"]
    if full:
        console.print(_figures(full))
        console.print()
        console.print(_claims(full))
    else:
        console.print("no run at full length yet; the page lists the shorter ones")
    path = folder / PAGE
    write_whole(path, page(found, costs()).encode())
    console.print(f"\n{path}: {len(records)} run{'s' if len(records) > 1 else ''}", markup=False, soft_wrap=True)
    return path


def costs() -> dict[str, Cost]:
    """The cost of each experiment at full length."""
    found = {}
    for name, run in EXPERIMENTS.items():
        keys = _plain("trainer/default") | _plain(f"data/{run.dataset}") | _own_keys(name)
        batch = keys["batch_size"] * keys.get("accumulate_grad_batches", 1)
        found[name] = cost(run.network, run.dataset, keys["max_epochs"], batch, run.images)
    return found


@cache
def _plain(path: str) -> dict[str, Any]:
    """The keys of a file in configs/. Composing every experiment in full would take a quarter of a minute."""
    return yaml.safe_load((CONFIGS / f"{path}.yaml").read_text(encoding="utf-8"))


def _own_keys(experiment: str) -> dict[str, Any]:
    """The data and trainer keys of an experiment and of those that it is based on."""
    content = _plain(f"experiment/{experiment}")
    keys: dict[str, Any] = {}
    for entry in content["defaults"]:
        keys |= _own_keys(entry) if isinstance(entry, str) else {}
    return keys | content.get("data", {}) | content.get("trainer", {})


def _figures(records: list[record.Record]) -> PlainTable:
    figures = (Column(heading, justify="right", no_wrap=True) for heading in ("paper", "ours", "z"))
    columns = (Column("experiment", no_wrap=True), *figures, "budget")
    table = PlainTable(*columns, title="test error")
    grouped = list(groups(records))
    for group in grouped:
        name = group[0]["experiment"]
        away = distance(group) if comparable(group[0]) else "*"
        table.add_row(name, shown_error(published(name)), shown_ours(group), away, length(group, ""))
    if any(not comparable(group[0]) for group in grouped):
        table.caption = "* not comparable with the paper's figure: shorter, or of another kind"
        table.caption_justify = "left"
    return table


def _claims(records: list[record.Record]) -> PlainTable:
    table = PlainTable("claim", "verdict", "evidence", title="claims")
    for claim in CLAIMS.values():
        verdict = judge(claim, records)
        colour = COLOURS[verdict.outcome] if verdict.tested else "yellow"
        outcome = verdict.outcome if verdict.tested else f"{verdict.outcome}, untested"
        table.add_row(claim.text, f"[{colour}]{outcome}[/]", verdict.evidence)
    return table
