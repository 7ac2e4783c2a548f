"""``repronet reproduce figure``: a figure of a paper, drawn from records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from repronet.cli.failures import writing
from repronet.errors import UserError, nearest
from repronet.figures.charts import redrawn
from repronet.papers.figures import FIGURES
from repronet.reproduction.page import groups, length, published, shown_error, shown_ours
from repronet.reproduction.record import Record, read_all


def run(config: DictConfig, console: Console, words: Sequence[str]) -> Path:
    """Draw the one figure among ``words`` and print its numbers beside the paper's; returns its path."""
    names = [word for word in words if "=" not in word]
    if len(names) != 1 or names[0] not in FIGURES:
        near = nearest(names[0], FIGURES) if names else ""
        raise UserError(f"reproduce figure {' '.join(names)}: takes one of {', '.join(FIGURES)}{near}")
    figure = FIGURES[names[0]]
    found = longest(list(read_all(Path(config.results).expanduser()).values()), figure.experiments)
    if not found:
        raise UserError(f"reproduce figure {names[0]}: results={config.results} has no run of {figure.experiments[0]}")
    lengths = {name: length(group, "").rpartition(", ")[0].removeprefix("paper: ") for name, group in found.items()}
    titles = {name: f"{name} ({lengths[name]}, n = {len(group)})" for name, group in found.items()}
    rows = {titles[name]: [record["history"] for record in group] for name, group in found.items()}
    # A published error belongs to the whole schedule, so it is not drawn beside a shorter run.
    whole = {name: published(name) for name, group in found.items() if group[0]["budget"] == "paper"}
    levels = {titles[name]: error.percent for name, error in whole.items() if error is not None}
    heading = figure.title if figure.citation is None else f"{figure.title} ({figure.citation})"
    with writing("out", config.out or f"{names[0]}.png") as path:
        redrawn(rows, figure.curves, levels, dict(figure.levels), heading, figure.by).savefig(path)
    for name, group in found.items():
        paper = shown_error(published(name)) + ("" if name in whole else " at full length")
        console.print(
            f"{name}: {shown_ours(group)}, paper {paper}; {length(group, '')}", highlight=False, soft_wrap=True
        )
    lacking = [name for name in figure.experiments if name not in found]
    if lacking:
        console.print(f"no run of {', '.join(lacking)}", highlight=False, soft_wrap=True)
    console.print(f"{figure.note}\n{path}" if figure.note else str(path), highlight=False, soft_wrap=True)
    return path


def longest(records: Sequence[Record], experiments: Sequence[str]) -> dict[str, Sequence[Record]]:
    """The records of the longest budget of each experiment, in the given order; smoke runs are left out."""
    found: dict[str, Sequence[Record]] = {}
    for group in groups(records):  # for each experiment, the longest budget comes first
        found.setdefault(group[0]["experiment"], group)
    return {name: found[name] for name in experiments if name in found and found[name][0]["budget"] != "smoke"}
