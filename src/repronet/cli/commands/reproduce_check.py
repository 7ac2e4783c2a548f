"""``repronet reproduce check``: whether a record made by somebody else can go into ``results/``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from repronet.cli.commands.reproduce import asked, differences
from repronet.config.compose import checked, compose
from repronet.errors import UserError
from repronet.papers import datasets
from repronet.papers.experiments import EXPERIMENTS
from repronet.reproduction import record as records
from repronet.reproduction.page import hardware
from repronet.reproduction.record import Record


def run(config: DictConfig, console: Console, words: Sequence[str]) -> bool:
    """Print what is wrong with each record, or where it belongs; returns whether all are accepted."""
    files = [Path(word).expanduser() for word in words if "=" not in word]
    if not files:
        raise UserError("reproduce check: needs the file of a record, paper-seed0.json for instance")
    results, sound = Path(config.results).expanduser(), True
    for file in files:
        record = records.read(file)
        wrong = list(objections(record))
        sound &= not wrong
        name = f"{record['experiment']}, {record['budget']}, seed {record['seed']}"
        console.print(
            f"{file}: {name}, {record['test_error']:.2%}, {hardware(record)}", highlight=False, soft_wrap=True
        )
        for line in wrong or [f"whole; belongs at {_place(record, results)}"]:
            console.print(f"  {line}", highlight=False, soft_wrap=True)
    return sound


def objections(record: Record) -> Iterator[str]:
    """Why a consistent record cannot be compared with the others."""
    name = record["experiment"]
    if name not in EXPERIMENTS:
        yield f"experiment={name} is not one of repronet's, so there is nothing to compare it with"
        return
    if not re.fullmatch(r"[0-9a-f]{40}", record["commit"] or ""):
        said = record["commit"] or "unknown"
        yield f"commit {said}: must be one clean commit; run it from a clone with nothing uncommitted"
    algorithm = f"algorithm={record['config'].get('algorithm', 'auto')}"  # any algorithm is the same recipe
    today = compose("train", [f"experiment={name}", f"budget={record['budget']}", algorithm])
    there = checked("train", OmegaConf.create({"seed": 0, **record["config"]}))
    differing = differences(asked(there), asked(today))
    if differing:
        yield f"its config is not that of the experiment today ({differing})"
    other = datasets.deviation(record["config"]["data"]["name"], record.get("data_sha256", {}).get("test"))
    if other is not None:
        yield other
    if "fingerprint" not in record:
        yield "has no fingerprint of its first steps; create it with this version"


def _place(record: Record, results: Path) -> Path:
    """Where a record belongs: the plain name, or, if another record has that, one with the name of the machine."""
    plain = records.place(results, record["experiment"], record["budget"], record["seed"])
    if not plain.exists() or records.read(plain) == record:
        return plain
    return records.place(results, record["experiment"], record["budget"], record["seed"], hardware(record))
