"""``repronet list``: the choices of each config group, and its keys."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Column
from rich.text import Text

from repronet import zoo
from repronet.cli.help import group_lines
from repronet.cli.tables import PlainTable
from repronet.config import plugins
from repronet.config.compose import compose
from repronet.config.groups import GROUPS, choices, own_folder
from repronet.errors import UserError, nearest
from repronet.models import foreign
from repronet.papers import NETWORKS
from repronet.papers.experiments import EXPERIMENTS, described
from repronet.papers.tables import golden, short
from repronet.terminal import WIDTH


def run(config: DictConfig, console: Console, words: Sequence[str]) -> None:
    """Print the choices and keys of the given groups (``models`` works as well as ``model``), or all choices.

    ``experiment NAME`` prints the facts of that experiment, ``timm`` and ``torchvision`` the networks of that library,
    ``weights`` the weights that come with repronet.
    """
    if len(words) == 2 and _group(words[0]) == "experiment" and words[1].removesuffix("s") not in GROUPS:
        console.print(_experiment(words[1]))
        return
    if len(words) == 1 and words[0] in foreign.LIBRARIES:
        foreign.require_library(words[0], f"list {words[0]}")
        console.print("\n".join(foreign.names(words[0])), markup=False, highlight=False)
        return
    if words == ["weights"]:
        console.print(_zoo())
        console.print("\nuse one with weights=NAME; to train it again bit for bit, run")
        for name in zoo.names():
            console.print(f"  {zoo.command(zoo.record_of(name))}", highlight=False)
        return
    if len(words) == 2 and words[1] in choices(_group(words[0])):
        raise UserError(f"list {words[0]} {words[1]}: `repronet list {words[0]}` shows the choices and all their keys")
    groups = [_group(word) for word in words] or list(GROUPS)
    plugins.load_installed()
    for position, group in enumerate(groups):
        if position:
            console.print()
        console.print(f"{group}=", style="bold")
        console.print(_networks() if group == "model" else _titles(choices(group)))
        for line in group_lines(group) if words else ():
            console.print(line, style="bold" if line.startswith("keys") else "", markup=False, soft_wrap=True)
    if "model" in groups:
        console.print("\n* modern: differs from its paper on purpose; see docs/networks.md")
        console.print("also: timm/NAME and torchvision/NAME; `repronet list timm` lists them")
    for kind in () if words else ("loss", "augmentation_step", "callback"):
        own = plugins.named(kind)
        if own:
            console.print(f"\n{kind} (of plugins)", style="bold")
            console.print(_titles({name: _with_origin(part) for name, part in own.items()}))


def _with_origin(part: plugins.Part) -> str:
    """The title, and the module that registered the part if that is not ours."""
    return part.title if part.plugin.startswith("repronet.") else f"{part.title} ({part.plugin})"


def _titles(named: dict[str, str]) -> PlainTable:
    table = PlainTable(Column(no_wrap=True), "", show_header=False)
    for name, title in named.items():
        table.add_row(f"  {name}", Text(title))
    return table


def _zoo() -> PlainTable:
    """The weights that come with repronet, with figures from their records."""
    figures = (Column(heading, justify="right", no_wrap=True) for heading in ("error", "seed", "epochs", "kB"))
    table = PlainTable(Column("weights", no_wrap=True), *figures, "commit", "SHA-256")
    for name in zoo.names():
        record = zoo.record_of(name)
        error, kilobytes = f"{record['test_error']:.2%}", f"{record['weights']['bytes'] / 1000:.0f}"
        hashes = record["commit"][:9], record["weights"]["sha256"][:9]
        table.add_row(name, error, str(record["seed"]), str(record["epochs"]), kilobytes, *hashes)
    return table


def _experiment(name: str) -> PlainTable:
    known = choices("experiment")
    if name not in known:
        raise UserError(f"list experiment {name}: no such experiment{nearest(name, known)}")
    config, title = compose("train", [f"experiment={name}"]), known[name]
    table = PlainTable(show_header=False, title=title, width=WIDTH)
    batch = config.data.batch_size * config.trainer.accumulate_grad_batches
    if name in EXPERIMENTS:
        facts = described(name, config.trainer.max_epochs, batch, config.normalization.name)
    else:  # a user's own experiment, without a paper
        parts = {group: str(config[group].name) for group in ("model", "data", "optimizer", "schedule")}
        command = shlex.join(["repronet", "reproduce", name, "--config-dir", str(own_folder())])
        facts = {"command": command, **parts, "epochs": str(config.trainer.max_epochs)}
    for heading, text in facts.items():
        table.add_row(heading, Text(text))
    return table


def _networks() -> PlainTable:
    """Every network with its size; those that deviate from their paper have a star."""
    figures = (Column(heading, justify="right", no_wrap=True) for heading in ("year", "params", "MACs", "input"))
    table = PlainTable(Column("  network", no_wrap=True), *figures, "what it is")
    for name, facts in NETWORKS.items():
        star = "*" if facts.modern else " "
        size = "×".join(map(str, facts.input[1:])) if facts.input[1] != facts.input[2] else f"{facts.input[1]}²"
        macs = short(golden()[name]["macs"])
        table.add_row(f"{star} {name}", str(facts.paper.year), short(facts.parameters), macs, size, Text(facts.title))
    for name, part in plugins.named("model").items():
        table.add_row(f"  {name}", "", "", "", "", Text(_with_origin(part)))
    return table


def _group(word: str) -> str:
    singular = {f"{group}s": group for group in GROUPS} | {group: group for group in GROUPS}
    if word not in singular:
        known = [*GROUPS, "weights", *foreign.LIBRARIES]
        raise UserError(f"list {word}: no such group{nearest(word, known)} (groups: {', '.join(known)})")
    return singular[word]
