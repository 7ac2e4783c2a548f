"""``repronet list``: what there is to choose from, and the keys of each group."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from repronet.cli.help import group_lines
from repronet.config import plugins
from repronet.config.compose import compose
from repronet.config.groups import GROUPS, choices
from repronet.errors import UserError, nearest
from repronet.papers import NETWORKS
from repronet.papers.experiments import EXPERIMENTS, described
from repronet.papers.tables import golden, short


def run(config: DictConfig, console: Console, words: Sequence[str]) -> None:
    """Print the choices and keys of each group named (``models`` serves as well as ``model``), or all choices.

    ``experiment NAME`` prints what must be known of that one.
    """
    if len(words) == 2 and _group(words[0]) == "experiment" and words[1].removesuffix("s") not in GROUPS:
        console.print(_experiment(words[1]))
        return
    groups = [_group(word) for word in words] or list(GROUPS)
    plugins.load_installed()
    for position, group in enumerate(groups):
        if position:
            console.print()
        console.print(f"{group}=", style="bold")
        console.print(_networks() if group == "model" else _titles(choices(group)))
        keys = list(group_lines(group)) if words else []
        if keys:
            console.print("\nkeys", style="bold")
            console.print("\n".join(keys), markup=False, soft_wrap=True)
    if "model" in groups:
        console.print("\n* modern: knowingly not as in its paper; docs/networks.md says how")
    for kind in () if words else ("loss", "augmentation_step", "callback"):
        own = plugins.named(kind)
        if own:
            console.print(f"\n{kind} (of plugins)", style="bold")
            console.print(_titles({name: f"{part.title} ({part.plugin})" for name, part in own.items()}))


def _titles(named: dict[str, str]) -> Table:
    table = Table(Column(no_wrap=True), "", box=None, show_header=False, pad_edge=False)
    for name, title in named.items():
        table.add_row(f"  {name}", Text(title))
    return table


def _experiment(name: str) -> Table:
    if name not in EXPERIMENTS:
        raise UserError(f"list experiment {name}: no such experiment{nearest(name, EXPERIMENTS)}")
    config = compose("train", [f"experiment={name}"])
    title = EXPERIMENTS[name].title
    table = Table(box=None, show_header=False, pad_edge=False, title=title, title_justify="left", width=80)
    batch = config.data.batch_size * config.trainer.accumulate_grad_batches
    facts = described(name, config.trainer.max_epochs, batch, config.normalization.name)
    for heading, text in facts.items():
        table.add_row(heading, Text(text))
    return table


def _networks() -> Table:
    """Every network with its size; those that deviate from their paper have a star."""
    figures = (Column(heading, justify="right", no_wrap=True) for heading in ("year", "params", "MACs", "input"))
    table = Table(Column("  network", no_wrap=True), *figures, "what it is", box=None, pad_edge=False)
    for name, facts in NETWORKS.items():
        star = "*" if facts.modern else " "
        size = "×".join(map(str, facts.input[1:])) if facts.input[1] != facts.input[2] else f"{facts.input[1]}²"
        macs = short(golden()[name]["macs"])
        table.add_row(f"{star} {name}", str(facts.paper.year), short(facts.parameters), macs, size, Text(facts.title))
    for name, part in plugins.named("model").items():
        table.add_row(f"  {name}", "", "", "", "", Text(f"{part.title} ({part.plugin})"))
    return table


def _group(word: str) -> str:
    singular = {f"{group}s": group for group in GROUPS} | {group: group for group in GROUPS}
    if word not in singular:
        raise UserError(f"list {word}: no such group{nearest(word, GROUPS)} (groups: {', '.join(GROUPS)})")
    return singular[word]
