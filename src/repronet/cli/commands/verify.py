"""``repronet verify``: every network against its paper, a line each."""

from __future__ import annotations

from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track
from rich.text import Text

from repronet.analysis.verification import Check, verify
from repronet.errors import UserError
from repronet.papers import NETWORKS
from repronet.papers.tables import short


def run(config: DictConfig, console: Console) -> bool:
    """Print PASS or FAIL for each network; whether all passed."""
    alone = config.model.name if "model" in config else None
    names = [alone] if alone else list(NETWORKS)
    if names[0] not in NETWORKS:
        raise UserError(f"model={alone}: no paper is known of it, so there is nothing to check it against")
    waits = not alone and console.is_terminal
    total, failed = 0, 0
    for name in track(names, "verifying", console=console, transient=True, disable=not waits):
        checks = verify(name)
        wrong = [check for check in checks if not check.passed]
        total, failed = total + len(checks), failed + bool(wrong)
        console.print(_line(name, checks))
        for found in checks if alone else wrong:
            line = Text("  ok    " if found.passed else "  WRONG ", "green" if found.passed else "bold red")
            line.append(f"{found.what}: {found.found}, expected {found.expected}", "default")
            console.print(line, soft_wrap=True)
    networks = f"{len(names)} network{'s' if len(names) > 1 else ''}"
    if failed:
        console.print(Text(f"\n{failed} of {networks} not as expected", "bold red"))
    else:
        console.print(Text(f"\n{networks}, {total} checks: all as expected", "bold green"))
    return failed == 0


def _line(name: str, checks: list[Check]) -> Text:
    passed = all(check.passed for check in checks)
    facts = NETWORKS[name]
    kind = "modern" if facts.modern else "faithful"
    parameters = short(facts.parameters)
    line = Text("PASS" if passed else "FAIL", "green" if passed else "bold red")
    return line.append(
        f"  {name:<20}{facts.paper.year}  {parameters:>7} parameters  {kind:<8}  {len(checks)} checks", "default"
    )
