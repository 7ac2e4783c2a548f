"""``repronet finetune compare``: networks and ways of tuning side by side, on the same images, epochs and seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Column

from repronet import runs
from repronet.cli.commands import sweep
from repronet.cli.tables import PlainTable
from repronet.config.build_weights import begins_with, shapes_of_weights
from repronet.config.compose import compose
from repronet.errors import UserError

OWN_KEYS = {"finetune": "ways", "seed": "seeds"}  # keys of a run, and the keys that replace them here
SEVERAL = "models"  # the key that replaces model= for several networks


class Row(NamedTuple):
    """The results of one way over its seeds: errors, or mean average precisions for several labels per image."""

    way: str  # after the name of its network, if there are several
    measure: str  # "error" or "mAP"
    figures: list[float]
    seconds: float  # the mean
    trained: int  # parameters
    old: list[float]  # errors on the old task after tuning, if known

    @property
    def network(self) -> str:
        return self.way.rpartition(" ")[0]

    @property
    def from_scratch(self) -> bool:
        return self.way.rpartition(" ")[2] == "scratch"

    @property
    def mean(self) -> float:
        return statistics.mean(self.figures)

    @property
    def std(self) -> float:
        """The sample standard deviation; 0 for one seed."""
        return statistics.stdev(self.figures) if len(self.figures) > 1 else 0.0


def run(config: DictConfig, console: Console, words: Sequence[str]) -> bool:
    """Run every way with every seed, then print and draw the errors; returns whether every run succeeded."""
    for word in words:
        key, _, value = word.partition("=")
        if key in OWN_KEYS:
            raise UserError(f"{word}: the values to compare are set in {OWN_KEYS[key]}=[{value},…]")
        if key == "model" and config.models:
            raise UserError(f"{word}: beside models=[…]; give one of the two")
    common = [word for word in words if word.partition("=")[0] not in (*OWN_KEYS.values(), SEVERAL)]
    chosen = [[f"model={name}"] for name in config.models] or [[]]
    of_each = [[f"finetune={way}", f"seed={seed}"] for way in config.ways for seed in sweep.listed(config.seeds)]
    jobs = [[*network, *words] for network in chosen for words in of_each]
    configs = [compose("train", [*common, *job]) for job in jobs]
    for config in {tuned.model.name: tuned for tuned in configs if begins_with(tuned)}.values():
        shapes_of_weights(config)  # fails before any run begins; a network's runs share these weights
    begun = sweep.begin(configs, jobs, compared=True)
    succeeded = sweep.work(begun, console)
    sum_up(begun, console)
    return succeeded


def sum_up(begun: sweep.Sweep, console: Console) -> None:
    """Print and draw the errors of the runs that have ended."""
    rows, folder = rows_of(begun), begun.folder
    if not rows:
        return
    console.print()
    console.print(_table(rows, len({words[-1] for words in begun.jobs})))
    _write_csv(folder / "compare.csv", rows)
    _figure(rows).savefig(folder / "compare.png")
    console.print(f"\n{folder / 'compare.png'}", markup=False, soft_wrap=True)


def rows_of(begun: sweep.Sweep) -> list[Row]:
    """A row for each way, the best first; failed runs are left out."""
    found: dict[str, list[dict[str, Any]]] = {}
    for folder, words in begun.runs.items():
        if (folder / runs.RESULT).exists():
            way = " ".join(word.partition("=")[2] for word in words if not word.startswith("seed="))
            found.setdefault(way, []).append(runs.read_result(folder))
    rows = []
    for way, results in found.items():
        measure = "mAP" if "best_val_map" in results[0] else "error"
        kept, tested = f"best_val_{measure.lower()}", f"test_{measure.lower()}"
        # validation figures if the data has no test split
        figures = [result[kept] if result.get(tested) is None else result[tested] for result in results]
        seconds = statistics.mean(result["train_seconds"] for result in results)
        old = [result["old_task"]["error_after"] for result in results if result["old_task"]]
        rows.append(Row(way, measure, figures, seconds, results[0]["trained_parameters"], old))
    return sorted(rows, key=lambda row: row.mean if row.measure == "error" else -row.mean)


def _table(rows: list[Row], seeds: int) -> PlainTable:
    measure = rows[0].measure
    headings = (measure, "±", "to scratch", "old task", "seconds", "trained")
    columns = ("finetune=", *(Column(heading, justify="right") for heading in headings))
    title = f"{measure}, mean and deviation of {seeds} seeds" if seeds > 1 else f"{measure} with one seed"
    table = PlainTable(*columns, title=title)
    fresh = {row.network: row.mean for row in rows if row.from_scratch}
    for row in rows:
        scratch = fresh.get(row.network)
        gain = "" if scratch is None or row.from_scratch else f"{100 * (row.mean - scratch):+.2f} points"
        old = f"{statistics.mean(row.old):.2%}" if row.old else "-"
        spread = f"{row.std:.2%}" if len(row.figures) > 1 else "-"
        figures = (f"{row.mean:.2%}", spread, gain, old, f"{row.seconds:.0f}", f"{row.trained:,}")
        table.add_row(row.way, *figures)
    return table


def _write_csv(path: Path, rows: list[Row]) -> None:
    measure = rows[0].measure
    head = f"way,mean_{measure},std_{measure},seeds,seconds,trained_parameters,{measure}s,old_task_errors".split(",")
    table = []
    for row in rows:
        figures, old = (" ".join(map(repr, values)) for values in (row.figures, row.old))
        table.append([row.way, row.mean, row.std, len(row.figures), f"{row.seconds:.3f}", row.trained, figures, old])
    runs.write_table(path, head, table)


def _figure(rows: list[Row]) -> Figure:
    figure = Figure(figsize=(7, 0.6 + 0.5 * len(rows)), dpi=110, layout="constrained")
    axes = figure.subplots()
    places = range(len(rows))
    colours = ["tab:gray" if row.from_scratch else "tab:blue" for row in rows]
    axes.barh(places, [100 * row.mean for row in rows], xerr=[100 * row.std for row in rows], color=colours, alpha=0.6)
    for place, row in zip(places, rows, strict=True):
        axes.plot(
            [100 * figure for figure in row.figures], [place] * len(row.figures), ".", color="black", markersize=4
        )
    axes.set_yticks(places, [row.way for row in rows])
    axes.invert_yaxis()
    axes.set(xlabel=f"{rows[0].measure} in %, one point per seed", xlim=(0, None))
    axes.grid(axis="x", alpha=0.3)
    return figure
