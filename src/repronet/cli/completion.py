"""``--shell-completion``: the script that a shell evaluates once, and the suggestions at every TAB.

Hydra's completion knows no commands and composes the config at every TAB, which takes most of a second. Here the
suggestions come from the tables of groups and keys, so neither Hydra nor torch is imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import Field
from typing import Any

from repronet.cli.help import OPTIONS
from repronet.config.command import Command
from repronet.config.fields import keys_of
from repronet.config.groups import CONFIGS, GROUPS
from repronet.config.schema import COMMANDS, keys_in
from repronet.errors import UserError
from repronet.models import MODELS

FLAGS = ("--shell-completion", "-sc")
# Bash splits a word at every "=" and expects only the part after it.
_BASH = r"""
_repronet() {
    local word="${COMP_LINE:0:COMP_POINT}"
    word="${word##* }"
    COMPREPLY=($(COMP_LINE="${COMP_LINE:0:COMP_POINT}" repronet -sc query=bash 2>/dev/null))
    if [[ "$word" == *=* && "$COMP_WORDBREAKS" == *=* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*=}"}"}")
    fi
}
complete -o nospace -o default -F _repronet repronet
"""
_ZSH = r"""
_repronet() {
    local -a found
    found=(${(f)"$(COMP_LINE="$BUFFER[1,CURSOR]" repronet -sc query=zsh 2>/dev/null)"})
    if (( $#found )); then compadd -S '' -- $found; else _files; fi
}
compdef _repronet repronet
"""
_FISH = r"""
complete -c repronet -e
complete -c repronet -a '(COMP_LINE=(commandline -cp) repronet -sc query=fish 2>/dev/null)'
"""
_INSTALL = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
_UNINSTALL = {
    "bash": "complete -r repronet; unset -f _repronet",
    "zsh": "compdef -d repronet; unfunction _repronet",
    "fish": "complete -c repronet -e",
}


def answer(words: Sequence[str]) -> str:
    """The text to print for a command line with ``--shell-completion``."""
    at = next(number for number, word in enumerate(words) if word in FLAGS)
    asked = words[at + 1] if at + 1 < len(words) else ""
    what, _, shell = asked.partition("=")
    if shell not in _INSTALL or what not in ("install", "uninstall", "query"):
        right = "install=bash, install=zsh or install=fish; uninstall= removes it"
        raise UserError(f"--shell-completion {asked}: must be {right}")
    if what == "query":
        return "\n".join(sorted(set(suggested(os.environ.get("COMP_LINE", "")))))
    return (_INSTALL if what == "install" else _UNINSTALL)[shell].strip()


def suggested(line: str) -> Iterator[str]:
    """The completions of the last word of ``line``, which begins with the name of the program."""
    *before, word = line.split(" ")
    return (found for found in _words(before[1:], word) if found.startswith(word))


def _words(spoken: Sequence[str], word: str) -> Iterator[str]:
    plain = [each for each in spoken if each and "=" not in each and not each.startswith("-")]
    command = next((row for row in COMMANDS.values() if row.words.split() == plain[: len(row.words.split())]), None)
    if command is None:
        lines = [row.words.split() for row in COMMANDS.values()]
        yield from (line[len(plain)] for line in lines if line[: len(plain)] == plain and len(line) > len(plain))
    elif word.startswith("-"):
        yield from (
            part.strip(",") for option in OPTIONS.values() for part in option[0].split() if part.startswith("-")
        )
    else:
        yield from _overrides(command, word)


def _overrides(command: Command, word: str) -> Iterator[str]:
    sign = word[: len(word) - len(word.lstrip("+~"))]
    key, equals, _ = word.lstrip("+~").partition("=")
    if equals:
        yield from (f"{sign}{key}={value}" for value in _values(command, key))
        return
    own = {item.name: item for item in keys_of(command.keys)}
    yield from (f"{sign}{name}=" for name in own)
    for group in command.groups:
        yield f"{sign}{group}="
        if "." in key:
            yield from (f"{sign}{path}=" for path, _ in keys_in(group))
        elif keys_in(group):
            yield f"{sign}{group}."


def _values(command: Command, key: str) -> Iterator[str]:
    if key in GROUPS and key in command.groups:
        yield from (MODELS if key == "model" else [])
        folder = CONFIGS / key
        if folder.is_dir():
            yield from (file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml"))
        return
    items: list[tuple[str, Field[Any]]] = [(item.name, item) for item in keys_of(command.keys)]
    for group in command.groups:
        items += keys_in(group)
    for path, item in items:
        if path == key:
            rule = item.metadata.get("rule")
            yield from rule.choices if rule else ()
            yield from ("true", "false") if item.type == "bool" else ()
