"""``repronet finetune compare``: ways of tuning side by side, on the same pictures, with the same epochs and seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Column, Table

from repronet import runs
from repronet.cli.commands import sweep
from repronet.config.build_weights import begins_with, shapes_of_weights
from repronet.config.compose import compose
from repronet.errors import UserError
from repronet.runs.atomic import write_whole

OWN_KEYS = {"finetune": "ways", "seed": "seeds"}  # of a run, and what stands in its place here


class Row(NamedTuple):
    """What one way came to over its seeds; errors are shares."""

    way: str
    errors: list[float]
    seconds: float  # the mean
    trained: int  # parameters
    old: list[float]  # errors on the old task after it, where they are known

    @property
    def mean(self) -> float:
        return statistics.mean(self.errors)

    @property
    def std(self) -> float:
        """Of the sample; 0 for one seed."""
        return statistics.stdev(self.errors) if len(self.errors) > 1 else 0.0


def run(config: DictConfig, console: Console, words: Sequence[str]) -> bool:
    """Run every way with every seed, then print and draw the errors; whether every run ended well.

    Raises:
        UserError: for words that a run does not take and weights that cannot be had, before any run begins.
    """
    for word in words:
        key, _, value = word.partition("=")
        if key in OWN_KEYS:
            raise UserError(f"{word}: what is compared stands in {OWN_KEYS[key]}=[{value},…]")
    common = [word for word in words if word.partition("=")[0] not in OWN_KEYS.values()]
    jobs = [[f"finetune={way}", f"seed={seed}"] for way in config.ways for seed in sweep.listed(config.seeds)]
    configs = [compose("train", [*common, *job]) for job in jobs]
    shapes_of_weights(next(filter(begins_with, configs), configs[0]))  # which all runs share: is there what they need?
    folder = sweep.begin(configs, jobs, compared=True)
    succeeded = sweep.work(folder, jobs, console)
    sum_up(folder, jobs, console)
    return succeeded


def sum_up(folder: Path, jobs: list[list[str]], console: Console) -> None:
    """Print and draw the errors of the runs that have ended."""
    rows = rows_of(folder, jobs)
    if not rows:
        return
    console.print()
    console.print(_table(rows, len({words[1] for words in jobs})))
    write_whole(folder / "compare.csv", _as_csv(rows).encode())
    _figure(rows).savefig(folder / "compare.png")
    console.print(f"\n{folder / 'compare.png'}", markup=False, soft_wrap=True)


def rows_of(within: Path, jobs: list[list[str]]) -> list[Row]:
    """A row a way, the lowest error first; of runs that failed there is nothing."""
    found: dict[str, list[dict[str, Any]]] = {}
    for folder, words in zip(sweep.job_folders(within, jobs), jobs, strict=True):
        if (folder / runs.RESULT).exists():
            found.setdefault(words[0].partition("=")[2], []).append(runs.read_result(folder))
    rows = []
    for way, results in found.items():
        errors = [  # of validation where the data has no test split
            result["best_val_error"] if result["test_error"] is None else result["test_error"] for result in results
        ]
        seconds = statistics.mean(result["train_seconds"] for result in results)
        old = [result["old_task"]["error_after"] for result in results if result["old_task"]]
        rows.append(Row(way, errors, seconds, results[0]["trained_parameters"], old))
    return sorted(rows, key=lambda row: row.mean)


def _table(rows: list[Row], seeds: int) -> Table:
    headings = ("error", "±", "to scratch", "old task", "seconds", "trained")
    columns = ("finetune=", *(Column(heading, justify="right") for heading in headings))
    title = f"error, mean and deviation of {seeds}"
    table = Table(*columns, box=None, title=title, title_justify="left", pad_edge=False)
    scratch = next((row.mean for row in rows if row.way == "scratch"), None)
    for row in rows:
        gain = "" if scratch is None or row.way == "scratch" else f"{100 * (row.mean - scratch):+.2f} points"
        old = f"{statistics.mean(row.old):.2%}" if row.old else "-"
        figures = (f"{row.mean:.2%}", f"{row.std:.2%}", gain, old, f"{row.seconds:.0f}", f"{row.trained:,}")
        table.add_row(row.way, *figures)
    return table


def _as_csv(rows: list[Row]) -> str:
    lines = ["way,mean_error,std_error,seeds,seconds,trained_parameters,errors,old_task_errors"]
    for row in rows:
        errors = " ".join(map(repr, row.errors))
        old = " ".join(map(repr, row.old))
        counts = f"{len(row.errors)},{row.seconds:.3f},{row.trained}"
        lines.append(f"{row.way},{row.mean!r},{row.std!r},{counts},{errors},{old}")
    return "\n".join(lines) + "\n"


def _figure(rows: list[Row]) -> Figure:
    figure = Figure(figsize=(7, 0.6 + 0.5 * len(rows)), dpi=110, layout="constrained")
    axes = figure.subplots()
    places = range(len(rows))
    colours = ["tab:gray" if row.way == "scratch" else "tab:blue" for row in rows]
    axes.barh(places, [100 * row.mean for row in rows], xerr=[100 * row.std for row in rows], color=colours, alpha=0.6)
    for place, row in zip(places, rows, strict=True):
        axes.plot([100 * error for error in row.errors], [place] * len(row.errors), ".", color="black", markersize=4)
    axes.set_yticks(places, [row.way for row in rows])
    axes.invert_yaxis()
    axes.set(xlabel="error in %, a point a seed", xlim=(0, None))
    axes.grid(axis="x", alpha=0.3)
    return figure
