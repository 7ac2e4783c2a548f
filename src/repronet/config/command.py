"""The declaration of a command: its words, title, groups and examples, and a class of its keys.

The class's docstring is the DESCRIPTION of ``repronet COMMAND --help``, its fields are the keys outside the groups. The
table of all commands is :data:`repronet.config.schema.COMMANDS`. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

Keys = TypeVar("Keys", bound=type)


@dataclass
class Command:
    """A command of the command line. It decorates the class of its keys and thus enters :data:`ENTERED`."""

    words: str  # what is typed, ``finetune compare`` for instance
    title: str  # what it does, in a line
    usage: tuple[str, ...]  # what may follow the words, one line each
    examples: tuple[str, ...]  # command lines, without ``repronet``
    # the config groups that it takes, each with its default choice
    groups: Mapping[str, str | None] = field(default_factory=dict)
    # whether it is given the words themselves: for names of experiments or folders, which have no equals sign, or to
    # compose the configs of its runs
    takes_words: bool = False
    keys: type = field(init=False)  # the decorated class

    def __call__(self, keys: Keys) -> Keys:
        self.keys = dataclass(keys)
        ENTERED[self.words.replace(" ", "_").replace("-", "_")] = self
        return keys

    @property
    def trains(self) -> bool:
        """Whether it takes the words of ``repronet train``."""
        return "experiment" in self.groups

    @property
    def finds_files(self) -> bool:
        """Whether it also finds the user's own files, in the folder of ``--config-dir``."""
        return self.trains or self.words in ("reproduce", "reproduce status", "list")

    @property
    def example(self) -> str:
        """An example of a word that it takes."""
        return next((word for line in self.examples for word in line.split() if "=" in word), "debug=true")


ENTERED: dict[str, Command] = {}  # by the name of the command's config and file
