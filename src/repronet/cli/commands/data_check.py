"""``repronet data check``: what a folder of pictures holds, and what in it would surprise a run."""

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
from rich.table import Column, Table
from rich.text import Text

from repronet.data.reading import shown
from repronet.data.scan import Report, scan
from repronet.errors import UserError

log = logging.getLogger("repronet.data")

SHOWN = 6  # findings of a kind in the table
FOLDERS = ("image_folder", "imagenet", "imagenette")


def run(config: DictConfig, console: Console) -> bool:
    """Look through the folder of ``config``; whether a run can use it as it is.

    Raises:
        UserError: when there is no folder of pictures to look through.
    """
    if config.data.name not in FOLDERS:
        raise UserError(f"data={config.data.name}: is no folder of pictures; data check takes {', '.join(FOLDERS)}")
    if config.data.root is None:
        raise UserError("data.root: must name the folder of pictures")
    report = scan(Path(config.data.root).expanduser())
    aside = Path(config.aside).expanduser() if config.aside else None
    if aside is not None and aside.resolve().is_relative_to(report.root.resolve()):
        raise UserError(f"aside={aside}: is within data.root={report.root}; name a folder beside it")
    if config.format == "json":
        plain = {
            "root": shown(report.root),
            "classes": list(report.classes),
            "pictures": report.pictures,
            "findings": [asdict(finding) for finding in report.findings],
        }
        print(json.dumps(plain, indent=2))
    else:
        _show(report, console)
    moved = len(report.unreadable) if aside else 0
    if aside is not None:
        _set_aside(report, aside)
        log.info(f"{moved:,} pictures that cannot be read are in {aside} now")
    elif report.unreadable and config.format == "table":
        root = report.root if report.root.name not in ("", "..") else report.root.resolve()
        beside = root.with_name(f"{root.name}-unreadable")
        words = shlex.join(["data", "check", f"data.root={shown(report.root)}", f"aside={shown(beside)}"])
        log.info(f"set aside what cannot be read: repronet {words}")
    return report.count("error") == moved


def _set_aside(report: Report, aside: Path) -> None:
    """Move the pictures that cannot be read to ``aside``, each below the folders that it was in.

    Raises:
        UserError: when one cannot be moved, or another of its name is there.
    """
    for file in report.unreadable:
        place = aside / file.relative_to(report.root)
        try:
            if place.exists():
                raise FileExistsError(EEXIST, "there is one of its name")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(file, place)
        except OSError as error:
            raise UserError(f"aside={shown(aside)}: {shown(file)} cannot be moved ({error.strerror})") from error


def _show(report: Report, console: Console) -> None:
    for split, counts in report.pictures.items():
        total, present = sum(counts.values()), len(counts)
        name = "pictures" if split == "all" else split
        console.print(f"{name:<10}{total:>9,}  in {present:,} {'class' if present == 1 else 'classes'}", markup=False)
    if report.findings:
        console.print()
        console.print(_table(report))
    parts = [f"{report.count(kind):,} {kind}{'' if report.count(kind) == 1 else 's'}" for kind in ("error", "warning")]
    verdict = "a run would stop or learn wrong" if report.count("error") else "a run can use it"
    console.print(f"\n{', '.join(parts)}: {verdict}", markup=False)


def _table(report: Report) -> Table:
    columns = (Column(style="bold", no_wrap=True), Column(overflow="fold"))
    table = Table(*columns, box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for (severity, what), group in groupby(report.findings, key=lambda finding: (finding.severity, finding.what)):
        findings = list(group)
        for finding in findings[:SHOWN]:
            table.add_row(severity, Text.assemble(finding.where, ": ", (what, "bold"), f", {finding.detail}"))
        if len(findings) > SHOWN:
            table.add_row("", f"… {what}: {len(findings) - SHOWN:,} more; format=json has them all")
    return table
