"""``repronet reproduce power``: how many seeds it takes to distinguish two experiments, or one and its paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from repronet.cli.commands.records import costs
from repronet.errors import UserError, nearest
from repronet.papers.experiments import EXPERIMENTS
from repronet.reproduction.plans import Plan, between, from_the_paper
from repronet.reproduction.record import read_all


def run(config: DictConfig, console: Console, words: Sequence[str]) -> Plan:
    """Print the result in one line; returns the plan."""
    names = [word for word in words if "=" not in word]
    if len(names) != 1:
        raise UserError("reproduce power: takes one experiment; than=EXPERIMENT compares it with another")
    for name in (*names, *([config.than] if config.than else [])):
        if name not in EXPERIMENTS:
            raise UserError(f"reproduce power {name}: no such experiment{nearest(name, EXPERIMENTS)}")
    records = list(read_all(Path(config.results).expanduser()).values())
    if config.than is None:
        plan, other = from_the_paper(names[0], records, costs()), "its paper"
    else:
        plan, other = between(names[0], config.than, records, costs()), config.than
    console.print(f"{names[0]} and {other}: {plan}", highlight=False, soft_wrap=True)
    return plan
