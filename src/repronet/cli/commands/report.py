"""``repronet report``: runs set beside each other and beside their papers, on one page that stands alone."""

from __future__ import annotations

import base64
import csv
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import torch
from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import track
from rich.table import Column, Table

import repronet
from repronet import runs
from repronet.analysis.diagnosis import diagnose
from repronet.analysis.interval import interval
from repronet.cli.commands import records
from repronet.cli.failures import writing
from repronet.errors import UserError
from repronet.figures import charts
from repronet.papers import NETWORKS
from repronet.papers.records import TOP5, Error
from repronet.runs.atomic import write_whole
from repronet.training.metrics import TOP5_SHOWN

PAPER_SPLITS = {
    "mnist": "MNIST test",
    "cifar10": "CIFAR-10 test",
    "cifar100": "CIFAR-100 test",
    "imagenet": "ImageNet val",
}
LONGEST_NAME = 30  # of a run, that is kept whole in a terminal of 80 columns
MOST_CURVES = 12  # runs in one chart
LARGEST_PICTURE = 3_000_000  # bytes of a file that is taken into the page


@dataclass(frozen=True)
class Run:
    """What is known of one run from its folder.

    Attributes:
        name: its path below what all runs of the report have in common.
        result: None while it has not ended.
    """

    folder: Path
    name: str
    config: dict[str, Any]
    rows: list[dict[str, float]]
    result: dict[str, Any] | None

    @property
    def published(self) -> list[Error]:
        """What the paper of its network says of its test split, most comparable first."""
        facts = NETWORKS.get(self.config.get("model.name", ""))
        split = PAPER_SPLITS.get(self.config.get("data.name", ""))
        if facts is None or split is None:
            return []
        others = ("a reproduction", "the variant")
        return [e for e in facts.errors if e.of.startswith(split) and not e.note.startswith(others)]

    @property
    def shows_top5(self) -> bool:
        """Whether its classes are so many that a top-5 error tells something."""
        return self.result is not None and len(self.result.get("test_error_by_class", ())) >= TOP5_SHOWN

    @property
    def best(self) -> dict[str, float] | None:
        return min(charts.validated(self.rows), key=lambda row: row["val_error"], default=None)


def run(config: DictConfig, console: Console, words: Sequence[str]) -> None:
    """Write the page of the folders among ``words``; folders of records get their own.

    Raises:
        UserError: when there is no run, or a page cannot be written.
    """
    folders = [Path(word).expanduser() for word in words if "=" not in word]
    if not folders:  # somebody's own folder results/ is none of ours
        folders = [folder for folder in map(Path, ("results", "runs")) if folder.is_dir()]
        folders = [folder for folder in folders if folder.name == "runs" or records.are_records(folder)]
    recorded = [folder for folder in folders if records.are_records(folder)]
    others = [folder for folder in folders if folder not in recorded]
    if recorded and not others and any(word.startswith("out=") for word in words):
        raise UserError(f"out={config.out}: is the page of run folders; {recorded[0]} has its own, README.md in it")
    for folder in recorded:
        records.show(folder, console)
    if others or not recorded:
        write_page(others, config, console)


def write_page(folders: Sequence[Path], config: DictConfig, console: Console) -> Path:
    """Write the page of the runs in the folders; returns where.

    Raises:
        UserError: when there is no run, or the page cannot be written.
    """
    found = list(read_runs(list(folders) or [Path("runs")]))
    console.print(_table(found))
    pictures = [
        _pictures(run)
        for run in track(found, "drawing", console=console, transient=True, disable=not console.is_terminal)
    ]
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = (files("repronet.cli.commands") / "report.html.j2").read_text(encoding="utf-8")
    page = environment.from_string(template).render(
        runs=[(run, diagnose(charts.validated(run.rows)), shown) for run, shown in zip(found, pictures, strict=True)],
        columns=_columns(found),
        cells=[[cell(run) for _, cell in _columns(found)] for run in found],
        curves=_overlaid(found),
        differences=differences(found),
        names=[run.name for run in found],
        environments=_environments(found),
        version=repronet.__version__,
    )
    with writing("out", config.out) as path:
        write_whole(path, page.encode("utf-8", "replace"))
    size = f"{len(page) / 1e6:.1f} MB"
    console.print(f"\n{path}: {len(found)} run{'s' if len(found) > 1 else ''}, {size}", markup=False, soft_wrap=True)
    return path


def read_runs(folders: Sequence[Path]) -> Iterator[Run]:
    """The runs that lie in the folders or below them.

    Raises:
        UserError: when a folder has none.
    """
    places: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; name run folders, or a folder that holds some")
        below = sorted(path.parent for path in folder.rglob(runs.CONFIG))
        if not below:
            raise UserError(f"{folder}: no run there; name run folders, or a folder that holds some")
        places += [place for place in below if place not in places]
    common = os.path.commonpath([place.parent.absolute() for place in places])
    for place in places:
        yield _read(place, str(place.absolute().relative_to(common)))


def _read(folder: Path, name: str) -> Run:
    """Raises: UserError, when a file of the run is damaged."""
    try:
        config = OmegaConf.to_container(OmegaConf.load(folder / runs.CONFIG))
        rows = charts.read_history(folder / runs.HISTORY) if (folder / runs.HISTORY).is_file() else []
        result = runs.read_result(folder) if (folder / runs.RESULT).is_file() else None
    except Exception as error:  # whatever a damaged YAML, JSON or table makes their readers raise
        raise UserError(f"{folder}: cannot be read as a run ({type(error).__name__}: {error})") from error
    return Run(folder, name, dict(_flat(config)), rows, result)


def _flat(config: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def differences(found: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """The keys that the runs' configs differ in, with the value of each run."""
    keys = dict.fromkeys(key for run in found for key in run.config if key != "run_dir")
    values = {key: ["-" if run.config.get(key) is None else str(run.config[key]) for run in found] for key in keys}
    return [(key, row) for key, row in values.items() if len(set(row)) > 1]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def _published(run: Run, top5: bool) -> str:
    """The published errors of one kind, with their protocol where it is not the plain one, and what else is said."""
    found = []
    for error in run.published:
        if (error.of == TOP5) == top5:
            notes = [error.protocol] * (error.protocol != "test images") + [error.kind] * bool(error.kind)
            found.append(f"{error.percent:g} %" + (f" ({', '.join(notes)})" if notes else ""))
    return ", ".join(found) or "-"


def _interval(run: Run) -> str:
    tested = run.result is not None and run.result["test_error"] is not None
    return interval(run.result["test_error"], run.result["test_images"]) if tested else "-"  # type: ignore[index]


def _status(run: Run) -> str:
    wanted = run.config.get("trainer.max_epochs", 0)
    return f"{len(run.rows)}/{wanted}" if run.result is None else f"{run.result['epochs']}"


COLUMNS = (
    ("run", lambda run: run.name),
    ("model", lambda run: run.config.get("model.name", "-")),
    ("data", lambda run: run.config.get("data.name", "-")),
    ("test error", lambda run: _percent(run.result and run.result["test_error"])),
    ("95 % interval", _interval),
    ("published", lambda run: _published(run, top5=False)),
    ("top-5 error", lambda run: _percent(run.result and run.result.get("test_error_top5"))),
    ("published top-5", lambda run: _published(run, top5=True)),
    ("best validation", lambda run: _percent(run.best and run.best["val_error"])),
    ("training", lambda run: _percent(run.rows[-1]["train_error"] if run.rows else None)),
    ("epochs", _status),
    ("time", lambda run: f"{run.rows[-1]['seconds']:,.0f} s" if run.rows else "-"),
)
IN_PAGE_ALONE = ("model", "data", "95 % interval", "training", "time")
OF_MANY_CLASSES = ("top-5 error", "published top-5")


def _columns(found: Sequence[Run]) -> list[tuple[str, Callable[[Run], str]]]:
    top5 = any(run.shows_top5 for run in found)
    return [(heading, cell) for heading, cell in COLUMNS if top5 or heading not in OF_MANY_CLASSES]


def _table(found: Sequence[Run]) -> Table:
    cells = {heading: cell for heading, cell in _columns(found) if heading not in IN_PAGE_ALONE}
    names = min(max((len(run.name) for run in found), default=0), LONGEST_NAME)
    others = (Column(head, justify="right", overflow="fold") for head in [*cells][1:])
    table = Table(Column("run", min_width=names, overflow="fold"), *others, box=None, pad_edge=False)
    for run in found:
        table.add_row(*(cell(run) for cell in cells.values()))
    return table


def _overlaid(found: Sequence[Run]) -> list[str]:
    """Charts of at most twelve runs each."""
    drawn = [run for run in found if run.rows]
    groups = [drawn[start : start + MOST_CURVES] for start in range(0, len(drawn), MOST_CURVES)]
    return [_embedded(charts.curves({run.name: run.rows for run in group})) for group in groups]


def _pictures(run: Run) -> list[tuple[str, str]]:
    """The run's confusion matrix and what `repronet visualize` drew, each with its name."""
    shown = []
    drawn = {path.stem: path for path in sorted((run.folder / "pictures").glob("*.png"))}
    table = run.folder / runs.CONFUSION
    if table.is_file() and "confusion" not in drawn:
        with table.open(encoding="utf-8") as file:
            head, *rows = list(csv.reader(file))
        counts = torch.tensor([[int(cell) for cell in row[1:]] for row in rows])
        shown.append(("confusion", _embedded(charts.confusion(counts, head[1:], "test"))))
    for name, path in drawn.items():
        if name != "curves" and path.stat().st_size <= LARGEST_PICTURE:
            shown.append((name, _as_data(path.read_bytes())))
    return sorted(shown, key=lambda pair: pair[0] != "confusion")


def _embedded(figure: Figure) -> str:
    written = io.BytesIO()
    figure.savefig(written, format="png")
    return _as_data(written.getvalue())


def _as_data(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _environments(found: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """Each environment once, with the runs that ended in it."""
    grouped: dict[str, list[str]] = {}
    for run in found:
        if run.result is not None:
            versions = ", ".join(f"{name} {version}" for name, version in run.result["versions"].items())
            hardware = run.result["hardware"]
            machine, threads = hardware["gpu"] or hardware["processor"], hardware["torch_threads"]
            commit = run.result["git_commit"] or "unknown"
            environment = f"{versions}; {machine}, {threads} threads, {hardware['system']}; commit {commit}"
            grouped.setdefault(environment, []).append(run.name)
    return list(grouped.items())
