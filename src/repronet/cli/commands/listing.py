"""``repronet list``: what there is to choose from."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from repronet.config.compose import compose, nearest
from repronet.config.groups import GROUPS, choices
from repronet.errors import UserError
from repronet.papers import NETWORKS
from repronet.papers.experiments import EXPERIMENTS, described
from repronet.papers.tables import golden, short


def show(words: Sequence[str]) -> int:
    """Print the choices of each group named (``models`` serves as well as ``model``), or of all groups.

    ``experiment NAME`` prints what must be known of that one.
    """
    if len(words) == 2 and _group(words[0]) == "experiment" and words[1].removesuffix("s") not in GROUPS:
        return _experiment(words[1])
    groups = [_group(word) for word in words] or list(GROUPS)
    console = Console(highlight=False)
    for position, group in enumerate(groups):
        if position:
            console.print()
        console.print(f"{group}=", style="bold")
        console.print(_networks() if group == "model" else _titles(group))
    if "model" in groups:
        console.print("\n* modern: knowingly not as in its paper; docs/networks.md says how")
    return 0


def _titles(group: str) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column()
    known = {name: run.title for name, run in EXPERIMENTS.items()} if group == "experiment" else {}
    for name, title in (choices(group) | known).items():
        table.add_row(f"  {name}", Text(title))
    return table


def _experiment(name: str) -> int:
    if name not in EXPERIMENTS:
        raise UserError(f"list experiment {name}: no such experiment{nearest(name, EXPERIMENTS)}")
    config = compose("train", [f"experiment={name}"])
    table = Table(box=None, show_header=False, pad_edge=False, title=EXPERIMENTS[name].title, title_justify="left")
    facts = described(name, config.trainer.max_epochs, config.data.batch_size, config.normalization.name)
    for heading, text in facts.items():
        table.add_row(heading, Text(text))
    Console(highlight=False, width=80).print(table)
    return 0


def _networks() -> Table:
    """Every network with its size; those that deviate from their paper have a star."""
    table = Table(box=None, pad_edge=False)
    table.add_column("  network", no_wrap=True)
    for heading in ("year", "params", "MACs", "input"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("what it is")
    for name, facts in NETWORKS.items():
        star = "*" if facts.modern else " "
        size = "×".join(map(str, facts.input[1:])) if facts.input[1] != facts.input[2] else f"{facts.input[1]}²"
        macs = short(golden()[name]["macs"])
        table.add_row(f"{star} {name}", str(facts.paper.year), short(facts.parameters), macs, size, Text(facts.title))
    return table


def _group(word: str) -> str:
    singular = {f"{group}s": group for group in GROUPS} | {group: group for group in GROUPS}
    if word not in singular:
        raise UserError(f"list {word}: no such group{nearest(word, GROUPS)} (groups: {', '.join(GROUPS)})")
    return singular[word]
