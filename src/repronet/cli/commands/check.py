"""``repronet check``: check the exercises in a student's file, or in a folder of such files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track
from rich.table import Column
from rich.text import Text

from repronet.cli.tables import PlainTable
from repronet.errors import UserError
from repronet.exercises.grading import Report, grade, require_hypothesis
from repronet.exercises.submission import Verdict, read

STYLES = {"right": "green", "wrong": "bold red", "unwritten": "dim", "unchecked": "yellow"}


def run(config: DictConfig, console: Console, words: Sequence[str]) -> bool:
    """Check a file or the files of a folder; returns whether nothing in them is wrong or unchecked."""
    names = [word for word in words if "=" not in word]
    if len(names) != 1:
        said = f"check {' '.join(names)}".strip()
        raise UserError(f"{said}: takes one file or folder; `repronet exercise start conv2d` creates one")
    require_hypothesis()
    path = Path(names[0]).expanduser()
    if path.is_dir():
        reports = _of_folder(path, config, console)
    else:
        reports = [grade(read(path, "check "), config.seconds, config.memory, quiet=False)]
        if reports[0].error:
            raise UserError(f"check {reports[0].error}")
    if not config.hints:
        for verdict in (verdict for report in reports for verdict in report.verdicts):
            verdict.hint = ""
    if config.format == "json":
        print(json.dumps([_plain(report) for report in reports], indent=2))
    elif path.is_dir():
        _show_folder(reports, console)
    else:
        _show_file(reports[0], console)
    return not any(report.error or report.count("wrong") or report.count("unchecked") for report in reports)


def _of_folder(folder: Path, config: DictConfig, console: Console) -> list[Report]:
    files = sorted(folder.glob("*.py"))
    if not files:
        raise UserError(f"check {folder}: has no .py files; name a file, or a folder of them")
    hidden, reports = config.format == "json" or not console.is_terminal, []
    for file in track(files, "checking", console=console, transient=True, disable=hidden):
        try:
            reports.append(grade(read(file, ""), config.seconds, config.memory, quiet=True))
        except UserError as error:
            reports.append(Report(file, str(error), []))
    return reports


def _plain(report: Report) -> dict[str, Any]:
    counts = {verdict: report.count(verdict) for verdict in STYLES}
    exercises = [asdict(verdict) for verdict in report.verdicts]
    return {
        "file": str(report.file),
        "error": report.error,
        **counts,
        "misspelt": report.misspelt,
        "exercises": exercises,
    }


def _show_file(report: Report, console: Console) -> None:
    table = PlainTable(Column(no_wrap=True), Column(no_wrap=True), "", show_header=False)
    for verdict in report.verdicts:
        without = f"without {' and '.join(verdict.without)}" if verdict.without else ""
        table.add_row(Text(verdict.exercise), Text(verdict.verdict, STYLES[verdict.verdict]), Text(without))
    console.print(table)
    for note in _notes(report):
        console.print(note, markup=False, soft_wrap=True)
    wrong = [verdict for verdict in report.verdicts if verdict.verdict == "wrong"]
    if wrong:
        console.print("\nthe smallest case in which each is wrong:", markup=False)
    for verdict in wrong:
        _explain(verdict, console)
    counts = (f"{report.count(kind)} {kind}" for kind in STYLES if report.count(kind))
    console.print(f"\n{', '.join(counts)}", markup=False)


def _explain(verdict: Verdict, console: Console) -> None:
    console.print(Text(f"\n{verdict.exercise}", "bold"))
    table = PlainTable(Column(no_wrap=True), Column(overflow="fold"), show_header=False)
    for name, value in verdict.case.items():
        table.add_row(f"  {name}", Text(json.dumps(value)))
    table.add_row("  wrong:", Text(_said(verdict), "bold"))
    if verdict.hint:
        table.add_row("  hint:", Text(verdict.hint))
    console.print(table)


def _said(verdict: Verdict) -> str:
    """What is wrong, in one line."""
    if verdict.yours is None:
        return verdict.what
    place = f" at {verdict.where}" if verdict.where else ""
    of = f" of {verdict.what}" if verdict.what else ""
    due = "" if verdict.right is None else f", expected {_figure(verdict.right)}"
    return f"got {_figure(verdict.yours)}{place}{of}{due}"


def _figure(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def _notes(report: Report) -> list[str]:
    """Why exercises are unchecked, and functions whose names are nearly those of exercises."""
    unchecked = dict.fromkeys(verdict.what for verdict in report.verdicts if verdict.verdict == "unchecked")
    return [*(f"unchecked: {reason}" for reason in unchecked), *report.misspelt]


def _show_folder(reports: list[Report], console: Console) -> None:
    counts = (Column(kind, justify="right") for kind in STYLES)
    table = PlainTable(Column("file", overflow="fold"), *counts, Column("what is wrong", overflow="fold"))
    for report in reports:
        named = ", ".join(verdict.exercise for verdict in report.verdicts if verdict.verdict == "wrong")
        wrong = report.error or "; ".join(filter(None, (named, *_notes(report))))
        table.add_row(report.file.name, *(str(report.count(kind)) for kind in STYLES), Text(wrong))
    console.print(table)
