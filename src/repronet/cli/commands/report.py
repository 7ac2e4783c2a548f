"""``repronet report``: compare runs with each other and with their papers, on one self-contained page."""

from __future__ import annotations

import base64
import io
import re
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Column

import repronet
from repronet import runs
from repronet.analysis.diagnosis import diagnose
from repronet.analysis.interval import interval
from repronet.cli.commands import records
from repronet.cli.commands.report_answers import read_answers
from repronet.cli.commands.report_runs import Run, by_folds, differences, read_runs
from repronet.cli.failures import writing
from repronet.cli.page import page_template
from repronet.cli.tables import PlainTable
from repronet.errors import UserError
from repronet.figures import charts
from repronet.papers.records import TOP5
from repronet.runs.atomic import write_whole
from repronet.session.console import tracked
from repronet.terminal import wrapped

NARROWEST = 12  # least number of terminal columns for the names of runs
MOST_CURVES = 12  # runs in one chart
MOST_THUMBNAILS, MOST_OF_A_RUN = 1200, 160  # per page, per run
LARGEST_PICTURE = 3_000_000  # bytes; larger files are left out of the page


def run(config: DictConfig, console: Console, words: Sequence[str]) -> None:
    """Write the page of the folders among ``words``; folders of records get their own."""
    folders = [Path(word).expanduser() for word in words if "=" not in word]
    if not folders:  # a folder results/ without records is not ours
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
    """Write the page of the runs in the folders; returns its path."""
    found = read_runs(list(folders) or [Path("runs")])
    console.print(_table(found, console.width))
    folded = [(name, len(folds), _over(folds)) for name, folds in by_folds(found)]
    for name, count, figures in folded:
        said = ", ".join(f"{heading} {figure}" for heading, figure in figures)
        console.print(wrapped(f"{name}, mean ± deviation of {count} folds: {said}"), markup=False, soft_wrap=True)
    images = [_images(run) for run in tracked(found, "drawing", console)]
    template = page_template("repronet.cli.commands", "report.html.j2", sorts_by=_sorts_by)
    most = min(MOST_THUMBNAILS // len(found), MOST_OF_A_RUN)
    answers = [read_answers(run.folder, number, most) for number, run in enumerate(found)]
    drawn = [run for run in found if run.rows]
    overlaid = [drawn[start : start + MOST_CURVES] for start in range(0, len(drawn), MOST_CURVES)]
    sentences = [_described(run) for run in found]
    page = template.render(
        runs=list(zip(found, sentences, images, answers, strict=True)),
        columns=_columns(found),
        cells=[[cell(run) for _, cell in _columns(found)] for run in found],
        curves=[_embedded(charts.curves({run.name: run.rows for run in group})) for group in overlaid],
        folded=folded,
        differences=differences(found),
        names=[run.name for run in found],
        environments=_environments(found),
        several=any(run.multilabel for run in found),
        version=repronet.__version__,
    )
    with writing("out", config.out) as path:
        write_whole(path, page.encode("utf-8", "replace"))
    size = f"{len(page) / 1e6:.1f} MB"
    console.print(f"\n{path}: {len(found)} run{'s' if len(found) > 1 else ''}, {size}", markup=False, soft_wrap=True)
    return path


def _described(run: Run) -> list[str]:
    """Sentences about the curves; those of a fitted pipeline are over values of C instead of epochs."""
    rows = charts.validated(run.rows)
    if not rows or "model.costs" not in run.config:
        return diagnose(rows)
    best = min(rows, key=lambda row: row["val_error"])
    return [f"Each epoch fits one value of C; C = {best['lr']:g} has the smallest validation error."]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def _ranked(precision: float | None) -> str:
    return "-" if precision is None else f"{precision:.4f}"


def _published(run: Run, top5: bool) -> str:
    """The published errors of one kind, with protocol and notes if they are not the usual ones."""
    found = []
    for error in run.published:
        if (error.of == TOP5) == top5:
            notes = [error.protocol] * (error.protocol != "test images") + [error.kind] * bool(error.kind)
            found.append(f"{error.percent:g} %" + (f" ({', '.join(notes)})" if notes else ""))
    return ", ".join(found) or "-"


def _interval(run: Run) -> str:
    if run.result is None or run.result["test_error"] is None:
        return "-"
    return interval(run.result["test_error"], run.result["test_images"])


def _status(run: Run) -> str:
    return str(run.result["epochs"]) if run.result else f"{len(run.rows)}/{run.config.get('trainer.max_epochs', 0)}"


COLUMNS = (
    ("run", lambda run: run.name),
    ("model", lambda run: run.config.get("model.name", "-")),
    ("data", lambda run: run.config.get("data.name", "-")),
    ("test error", lambda run: _percent(run.result and run.result["test_error"])),
    ("95 % interval", _interval),
    ("published", lambda run: _published(run, top5=False)),
    ("top-5 error", lambda run: _percent(run.result and run.result.get("test_error_top5"))),
    ("published top-5", lambda run: _published(run, top5=True)),
    ("test mAP", lambda run: _ranked(run.result and run.result.get("test_map"))),
    ("best mAP", lambda run: _ranked(run.best and run.best.get("val_map"))),
    ("best validation", lambda run: _percent(run.best and run.best["val_error"])),
    ("training", lambda run: _percent(run.rows[-1]["train_error"] if run.rows else None)),
    ("epochs", _status),
    ("time", lambda run: f"{run.rows[-1]['seconds']:,.0f} s" if run.rows else "-"),
)
ORDER = ("confusion", "mistakes", "reliability", "inputs")  # of the images, before all others
IN_PAGE_ALONE = ("model", "data", "95 % interval", "training", "time")
OF_FOLDS = {  # heading: key of a result, whether it is a share
    "test error": ("test_error", True),
    "test mAP": ("test_map", False),
    "best validation": ("best_val_error", True),
}
OF_MANY_CLASSES = ("top-5 error", "published top-5")
OF_SEVERAL_LABELS = ("test mAP", "best mAP")


def _columns(found: Sequence[Run]) -> list[tuple[str, Callable[[Run], str]]]:
    idle = () if any(run.shows_top5 for run in found) else OF_MANY_CLASSES
    idle += () if any(run.multilabel for run in found) else OF_SEVERAL_LABELS
    return [(heading, cell) for heading, cell in COLUMNS if heading not in idle]


def _table(found: Sequence[Run], width: int) -> PlainTable:
    """Numbers are never broken; if ``width`` is too small, headings break at words, then names anywhere."""
    cells = {heading: [cell(run) for run in found] for heading, cell in _columns(found) if heading not in IN_PAGE_ALONE}
    names = cells.pop("run")
    cells = {heading: column for heading, column in cells.items() if {*column} != {"-"}}
    figures = {heading: max(map(len, map(_figure_in, column)), default=0) for heading, column in cells.items()}
    wide = {heading: max(figures[heading], len(heading)) for heading in cells}
    narrow = {heading: max(figures[heading], *map(len, heading.split())) for heading in cells}
    longest = max(map(len, ("run", *names)))
    taken = wide if longest + sum(wide.values()) + 2 * len(wide) <= width else narrow
    room = max(width - sum(taken.values()) - 2 * len(taken), NARROWEST)
    columns = (Column(heading, justify="right", width=taken[heading]) for heading in cells)
    table = PlainTable(Column("run", width=min(longest, room), overflow="fold"), *columns)
    for row in zip(names, *cells.values(), strict=True):
        table.add_row(*row)
    return table


def _figure_in(cell: str) -> str:
    """The part of a cell that must not be broken: its number."""
    return match[0] if (match := re.match(r"[\d,.]+ %", cell)) else max(cell.split(), key=len)


def _over(folds: Sequence[Run]) -> list[tuple[str, str]]:
    """Mean and sample deviation of the figures that all folds have."""
    found = []
    for heading, (key, is_share) in OF_FOLDS.items():
        values = [run.result.get(key) for run in folds if run.result is not None]
        known = [value for value in values if value is not None]
        if len(known) == len(folds):
            mean, deviation = statistics.mean(known), statistics.stdev(known)
            shown = f"{_percent(mean)} ± {100 * deviation:.2f}" if is_share else f"{mean:.4f} ± {deviation:.4f}"
            found.append((heading, shown))
    return found


def _sorts_by(cell: str) -> str:
    """The sort key of a cell: the number at its start, or its text."""
    return match[0].replace(",", "") if (match := re.match(r"[\d,]+(\.\d+)?(?=$|[ %/])", cell)) else cell


def _images(run: Run) -> list[tuple[str, str]]:
    """The run's confusion matrix and the images drawn by the run and by `repronet visualize`, each with its name."""
    shown = []
    drawn = {path.stem: path for path in sorted((run.folder / runs.PICTURES).glob("*.png"))}
    if (run.folder / runs.CONFUSION).is_file() and "confusion" not in drawn:
        classes, counts = runs.read_confusion(run.folder)
        shown.append(("confusion", _embedded(charts.confusion(torch.tensor(counts), classes, "test"))))
    for name, path in drawn.items():
        if name != "curves" and path.stat().st_size <= LARGEST_PICTURE:
            shown.append((name, _as_data(path.read_bytes())))
    return sorted(shown, key=lambda pair: (ORDER.index(pair[0]) if pair[0] in ORDER else len(ORDER), pair[0]))


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
