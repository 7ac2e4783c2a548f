"""``docs/configuration.md`` with every command, key and choice, and the table of ``docs/guide/commands.md``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import Field
from typing import Any

import yaml

from repronet.cli.help import as_typed, derived, own_keys
from repronet.config import plugins
from repronet.config.fields import MISSING, default_of, expected
from repronet.config.groups import CONFIGS, GROUPS, called, choices
from repronet.config.schema import COMMANDS, keys_by_choice

_HEAD = """\
# Configuration

Written by `python scripts/regenerate.py docs` from the schemas in `repronet.config` and the files in `configs/`.
`repronet COMMAND --help` and `repronet list GROUP` show the same. Keys are set on the command line,
`optimizer.lr=0.05`, or in a file of your own, `--config-dir DIR` with `DIR/experiment/mine.yaml`."""


def with_commands(page: str) -> str:
    """The page with its table of commands written anew."""
    rows = (f"| `repronet {command.words}` | {_cell(command.title)} |" for command in COMMANDS.values())
    table = "\n".join(["| command | what it does |", "|---|---|", *rows])
    return re.sub(r"(<!-- commands: .*? -->\n).*?(<!-- end -->)", rf"\g<1>{table}\n\g<2>", page, flags=re.DOTALL)


def configuration_page() -> str:
    """The text of the page; the pipelines of repronet.classical, which are loaded when asked for, are on it."""
    for name in plugins.OURS:
        plugins.load(name)
    return "\n".join([_HEAD, "", "## Commands", *_commands(), "", "## Groups", *_groups()]) + "\n"


def _commands() -> Iterator[str]:
    for command in COMMANDS.values():
        items = [(item.name, item) for item in own_keys(command)]
        yield from ("", f"### repronet {command.words}", "", f"{command.title[0].upper()}{command.title[1:]}.")
        if derived(command):
            yield from ("", "Takes the groups and keys of `repronet train`.")
        elif command.groups:
            chosen = (f"`{group}={choice or 'null'}`" for group, choice in command.groups.items())
            yield from ("", f"Groups: {', '.join(chosen)}.")
        if items:
            yield from ("", *_table(items))


def _groups() -> Iterator[str]:
    for group in GROUPS:
        yield from ("", f"### {group}", "")
        if group == "experiment":
            yield f"{len(choices(group))} files; `repronet list experiment` lists them and says what each reproduces."
        elif group == "model":
            pipelines = [name for name, part in plugins.named(group).items() if part.plugin in plugins.OURS]
            networks = len(choices(group)) - len(pipelines)
            listed = ", ".join(f"`{name}`" for name in sorted(pipelines))
            yield f"{networks} networks, see [The networks](networks/index.md), and the pipelines {listed}."
        else:
            yield from _choices(group)
        for names, items in keys_by_choice(group).items():
            typed = ", ".join(f"`{choice}`" for name in names for choice in called(group, name))
            yield from ("", *([f"Keys of {typed}:", ""] if names else []), *_table(items))


def _choices(group: str) -> Iterator[str]:
    yield from ("| choice | what it is | values |", "|---|---|---|")
    for name, title in choices(group).items():
        values = yaml.safe_load((CONFIGS / group / f"{name}.yaml").read_text(encoding="utf-8")) or {}
        values = {key: value for key, value in values.items() if key not in ("name", "defaults")}
        shown = ", ".join(f"`{key}={_value(value)}`" for key, value in values.items())
        yield f"| `{name}` | {_cell(title)} | {_cell('' if group == 'logger' else shown)} |"


def _table(items: Iterable[tuple[str, Field[Any]]]) -> Iterator[str]:
    yield from ("| key | default | must be | what it does |", "|---|---|---|---|")
    for key, item in items:
        default = default_of(item)
        shown = "" if default == MISSING else f"`{as_typed(default)}`"
        yield f"| `{key}` | {shown} | {_cell(expected(item))} | {_cell(item.metadata['about'])} |"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_value(part)}" for key, part in value.items()) + "}"
    return f"[{', '.join(map(_value, value))}]" if isinstance(value, list) else as_typed(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
