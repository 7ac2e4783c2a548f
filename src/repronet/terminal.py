"""How wide a terminal is taken to be, and long messages as lines of it. Needs no torch."""

from __future__ import annotations

import re
from textwrap import fill

WIDTH = 80  # columns
NOTE = "note: "  # begins what is odd about a run
_COMMAND = re.compile(r":\s+(?=(?:repronet|tensorboard|npm|pip) )")


def wrapped(message: str) -> str:
    """A message as lines of :data:`WIDTH` columns, as far as its words allow it.

    A command behind a colon is there to be copied: it gets a line of its own and stays whole.
    """
    if len(message) <= WIDTH or "\n" in message:
        return message
    if command := _COMMAND.search(message):
        return f"{wrapped(message[: command.start() + 1])}\n  {message[command.end() :]}"
    indent = " " * (len(NOTE) if message.startswith(NOTE) else len(message) - len(message.lstrip()) + 2)
    return fill(message, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
