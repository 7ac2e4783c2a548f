"""The pages of ``--help``, built from the table of commands and the keys of their schemas. Needs no torch."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import Field
from typing import Any

from repronet.config.command import Command
from repronet.config.fields import MISSING, default_of, keys_of
from repronet.config.groups import called, choices
from repronet.config.schema import COMMANDS, keys_by_choice
from repronet.config.schema_commands import Train
from repronet.terminal import WIDTH

COLUMN = 24
OPTIONS = {
    # option: its text in the left column, and what it does
    "-m": ("-m, --multirun", "one run for every combination of comma-separated values"),
    "--config-dir": ("--config-dir DIR", "find your own files beside ours: DIR/experiment/mine.yaml"),
    "--config-name": ("--config-name NAME", "start from DIR/NAME.yaml instead of train.yaml"),
    "--plugin": ("--plugin NAME", "a module, or a .py file, with parts of your own; may be repeated"),
    "--cfg": ("--cfg job|hydra|all", "print the composed config, Hydra's own or both, and stop"),
    "--resolve": ("--resolve", "replace interpolations by their values"),
    "--package": ("--package PART", "print only this part, for example trainer"),
    "--info": (
        "--info [WHAT]",
        "print how it is composed: all, config, defaults, defaults-tree, plugins, searchpath",
    ),
    "--shell-completion": ("--shell-completion", "install=bash, zsh or fish: print the script for TAB completion"),
    "debug": ("debug=true", "show the traceback of an error"),
    "--help": ("-h, --help", "this page"),
}
_INTRODUCTION = """\
repronet - the classic convolutional networks, from layers whose gradients are
written out and proved"""
_EPILOGUE = """\
EXAMPLES
  repronet train
  repronet train model=lenet5 data=mnist optimizer.lr=0.05
  repronet eval run=runs/lenet5-mnist5k/2026-01-31_12-00-00-seed0-1a2b3c

EXIT CODES
  0 done; 1 failed; 2 bad input, said in one line; 130 interrupted;
  143 terminated (SIGTERM, SIGUSR1), and the line says how to go on"""


def overview() -> str:
    """The page of ``repronet --help``."""
    commands = [_row(f"repronet {row.words}", row.title, 30) for row in COMMANDS.values()]
    more = [_row("repronet COMMAND --help", "the page of a command", 30), "  repronet --version"]
    return "\n".join([_INTRODUCTION, "", "USAGE", *commands, *more, "", _EPILOGUE])


def command_page(words: Sequence[str]) -> str:
    """The page of ``repronet COMMAND --help``, for the longest command that ``words`` begin with."""
    alike = [row for row in COMMANDS.values() if row.words.split()[0] == words[0]]
    said = [row for row in alike if list(words[: len(row.words.split())]) == row.words.split()]
    chosen = max(said, key=lambda row: len(row.words), default=alike[0])
    others = [row for row in alike if row.words.startswith(f"{chosen.words} ") or not (said or row is chosen)]
    more = [_row(row.words, row.title, 30) for row in others]
    return "\n".join([*_page(chosen), *(["", "SEE ALSO", *more] if more else [])])


def _page(command: Command) -> Iterator[str]:
    spoken = f"repronet {command.words}"
    yield from (f"{spoken} - {command.title}", "", "USAGE")
    yield from (f"  {spoken} {line}" for line in command.usage)
    yield from ("", "DESCRIPTION", *_paragraphs(inspect.getdoc(command.keys) or ""))
    yield from ("", "KEYS", *key_lines(command), "", "OPTIONS")
    idle = {"-m": command.words != "train", "--config-dir": not command.finds_files}
    idle["--config-name"] = not command.trains
    yield from (_row(*row) for option, row in OPTIONS.items() if not idle.get(option))
    yield from ("", "EXAMPLES", *(line for example in command.examples for line in _example(f"repronet {example}")))


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ""
        if paragraph.startswith("  "):  # a list, whose lines are kept
            yield textwrap.indent(paragraph, "  ")
        else:
            yield textwrap.fill(" ".join(paragraph.split()), WIDTH - 2, initial_indent="  ", subsequent_indent="  ")


def key_lines(command: Command) -> Iterator[str]:
    """One row for each key and group of a command; for one that takes the keys of repronet train, its own keys only."""
    if derived(command):
        yield "  Those of repronet train (repronet train --help), and"
    for group, choice in () if derived(command) else command.groups.items():
        names = list(choices(group))
        short = " ".join(names) if len(names) < 20 else f"`repronet list {group}` lists all"
        yield _row(f"{group}={choice or 'NAME'}", short)
    yield from (_row(f"{item.name}={shown(item)}", described(item)) for item in own_keys(command))
    if command.words == "list":
        yield "  none; words are names of groups"
    elif command.groups and not derived(command):
        yield "  Keys of a group: repronet list GROUP, or docs/configuration.md"


def derived(command: Command) -> bool:
    """Whether a command takes the keys of repronet train and has some of its own."""
    return command.trains and command.keys is not Train


def own_keys(command: Command) -> list[Field[Any]]:
    """The keys of a command; for a derived one, those that it adds to train's."""
    known = {item.name for item in keys_of(Train)} if derived(command) else set()
    return [item for item in keys_of(command.keys) if item.name not in known]


def group_lines(group: str) -> Iterator[str]:
    """One row for each key of a group, below headings that list the choices with these keys."""
    for names, items in keys_by_choice(group).items():
        typed = ", ".join(choice for name in names for choice in called(group, name))
        yield from ("", textwrap.fill(f"keys of {typed}" if names else "keys", WIDTH))
        yield from (_row(f"{key}={shown(item)}", described(item), COLUMN + 10) for key, item in items)


def shown(item: Field[Any]) -> str:
    """The default of a key, or a placeholder for its value."""
    rule, default = item.metadata.get("rule"), default_of(item)
    if default is None or default == MISSING:
        return rule.shown if rule else "VALUE"
    return as_typed(default)


def as_typed(value: Any) -> str:
    """A value as it is typed on the command line."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        return f"[{','.join(map(as_typed, value))}]"
    return f"{value:g}" if isinstance(value, float) and value != int(value) else str(value)


def described(item: Field[Any]) -> str:
    """The description of a key, with its choices unless the other column shows them."""
    about, rule = item.metadata.get("about", ""), item.metadata.get("rule")
    if rule is None or not rule.choices or rule.shown in shown(item):
        return about
    return f"{about} ({', '.join(rule.choices)})"


def _row(left: str, right: str, column: int = COLUMN) -> str:
    """Two columns; the right one starts on a new line if the left one is too long."""
    indent = " " * column
    lines = textwrap.wrap(right, WIDTH - column, break_on_hyphens=False) or [""]
    if len(left) > column - 3:
        return "\n".join([f"  {left}", *(indent + line for line in lines)])
    return "\n".join([f"{f'  {left}':<{column}}{lines[0]}".rstrip(), *(indent + line for line in lines[1:])])


def _example(words: str) -> Iterator[str]:
    lines = textwrap.wrap(words, WIDTH - 4, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
    yield from (f"  {line}{' ' + chr(92) if line is not lines[-1] else ''}" for line in lines)
