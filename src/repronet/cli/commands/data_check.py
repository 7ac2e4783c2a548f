"""``repronet data check``: problems in a folder of images, and labels of a run that are probably wrong."""

from __future__ import annotations

import json
import logging
import shlex
import shutil
from dataclasses import asdict
from errno import EEXIST
from itertools import groupby
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Column
from rich.text import Text

from repronet.analysis.wrong_labels import require_cleanlab
from repronet.cli.tables import PlainTable
from repronet.config.preflight import read_named_table
from repronet.data.folders import shown
from repronet.data.scan import Report, scan, scan_table
from repronet.errors import UserError

log = logging.getLogger("repronet.data")

SHOWN = 6  # findings of each kind in the table
TAKEN = ("image_folder", "table", "imagenet", "imagenette")


def run(config: DictConfig, console: Console) -> bool:
    """Check the folder of ``config``, or the images of a run; returns whether a run can use them as they are."""
    if config.run:
        require_cleanlab("run")
        from repronet.cli.commands.run_check import check_run

        report, sheet = check_run(config, console)
        _say(report, config, console)
        if sheet and config.format == "table":
            log.info(f"the first of them are drawn in {sheet}")
        return True
    if config.data.name not in TAKEN:
        raise UserError(f"data={config.data.name}: is not a folder of images; data check supports {', '.join(TAKEN)}")
    if config.data.name == "table":
        if config.aside is not None:
            why = "would leave rows without an image; use data.on_error=skip in training"
            raise UserError(f"aside={config.aside}: {why}")
        layout = read_named_table(config.data)
        for note in layout.notes:
            log.info(note)
        report = scan_table(layout)
    elif config.data.root is None:
        raise UserError("data.root: must name the folder of images")
    else:
        report = scan(Path(config.data.root).expanduser())
    aside = Path(config.aside).expanduser() if config.aside else None
    if aside is not None and aside.resolve().is_relative_to(report.root.resolve()):
        raise UserError(f"aside={aside}: is within data.root={report.root}; name a folder beside it")
    _say(report, config, console)
    moved = len(report.unreadable) if aside else 0
    if aside is not None:
        _set_aside(report, aside)
        log.info(f"moved to {aside}: {moved:,} unreadable image{'' if moved == 1 else 's'}")
    elif report.unreadable and config.format == "table" and config.data.name != "table":
        root = report.root if report.root.name not in ("", "..") else report.root.resolve()
        beside = root.with_name(f"{root.name}-unreadable")
        words = shlex.join(["data", "check", f"data.root={shown(report.root)}", f"aside={shown(beside)}"])
        log.info(f"set aside what cannot be read: repronet {words}")
    return report.count("error") == moved


def _say(report: Report, config: DictConfig, console: Console) -> None:
    if config.format == "table":
        _show(report, console, of_run=bool(config.run))
    else:
        plain = {
            "root": shown(report.root),
            "classes": list(report.classes),
            "images": report.images,
            "findings": [asdict(finding) for finding in report.findings],
        }
        print(json.dumps(plain, indent=2))


def _set_aside(report: Report, aside: Path) -> None:
    """Move unreadable images to ``aside``, keeping their folders."""
    for file in report.unreadable:
        place = aside / file.relative_to(report.root)
        try:
            if place.exists():
                raise FileExistsError(EEXIST, "there is one of its name")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(file, place)
        except OSError as error:
            raise UserError(f"aside={shown(aside)}: {shown(file)} cannot be moved ({error.strerror})") from error


def _show(report: Report, console: Console, of_run: bool) -> None:
    for split, counts in report.images.items():
        total, present = sum(counts.values()), len(counts)
        name, classes = "images" if split == "all" else split, "class" if present == 1 else "classes"
        found = f"{total:>9,}  in {present:,} {classes}"
        if report.several is not None:
            each = total / max(report.several[split], 1)
            found = f"{report.several[split]:>9,}  with labels of {present:,} {classes}, {each:.1f} per image"
        console.print(f"{name:<10}{found}", markup=False)
    if report.findings:
        console.print()
        console.print(_table(report))
    if of_run:
        labels = sum(finding.what == "likely wrong label" for finding in report.findings)
        near = sum(finding.what.startswith("near duplicate") for finding in report.findings)
        console.print(f"\nlikely wrong labels: {labels:,}; pairs of near duplicates: {near:,}", markup=False)
        return
    parts = [f"{report.count(kind):,} {kind}{'' if report.count(kind) == 1 else 's'}" for kind in ("error", "warning")]
    verdict = "a run would stop or learn wrong" if report.count("error") else "a run can use it"
    console.print(f"\n{', '.join(parts)}: {verdict}", markup=False)


def _table(report: Report) -> PlainTable:
    columns = (Column(style="bold", no_wrap=True), Column(overflow="fold"))
    table = PlainTable(*columns, show_header=False)
    for (severity, what), group in groupby(report.findings, key=lambda finding: (finding.severity, finding.what)):
        findings = list(group)
        for finding in findings[:SHOWN]:
            table.add_row(severity, Text.assemble(finding.where, ": ", (what, "bold"), f", {finding.detail}"))
        if len(findings) > SHOWN:
            table.add_row("", f"… {what}: {len(findings) - SHOWN:,} more; format=json has them all")
    return table
