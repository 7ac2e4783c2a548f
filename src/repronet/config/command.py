"""What is to say of a command: its words, title, groups and examples, and a class of its keys.

The class's docstring is the DESCRIPTION of ``repronet COMMAND --help``, its fields are the keys outside the groups. The
table of all commands is :data:`repronet.config.schema.COMMANDS`. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

Keys = TypeVar("Keys", bound=type)


@dataclass(frozen=True)
class Command:
    """A command of the command line.

    Attributes:
        words: what is typed, ``finetune compare`` for instance.
        keys: the class of its keys.
        title: what it does, in a line.
        usage: what may follow the words, a line each.
        examples: command lines, without ``repronet``.
        groups: the config groups that it takes, with the choice where none is made.
        takes_names: whether words without an equals sign are allowed: experiments, folders.
    """

    words: str
    keys: type
    title: str
    usage: tuple[str, ...]
    examples: tuple[str, ...]
    groups: Mapping[str, str | None]
    takes_names: bool

    @property
    def trains(self) -> bool:
        """Whether it takes the words of ``repronet train``."""
        return "experiment" in self.groups

    @property
    def example(self) -> str:
        """A word such as it takes."""
        return next((word for line in self.examples for word in line.split() if "=" in word), "debug=true")


ENTERED: dict[str, Command] = {}  # by the name of the command's config, in the order of the help page


def command(
    name: str,
    words: str,
    title: str,
    usage: tuple[str, ...],
    examples: tuple[str, ...],
    groups: Mapping[str, str | None] | None = None,
    takes_names: bool = False,
) -> Callable[[Keys], Keys]:
    """Enter the decorated class into :data:`ENTERED`; the arguments are those of :class:`Command`."""

    def enter(keys: Keys) -> Keys:
        ENTERED[name] = Command(words, keys, title, usage, examples, groups or {}, takes_names)
        return keys

    return enter
