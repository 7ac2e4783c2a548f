"""Wrap long messages into lines of a terminal's width. Needs no torch."""

from __future__ import annotations

import re
from textwrap import fill

WIDTH = 80  # columns
NOTE = "note: "  # the beginning of messages about something unusual in a run
_COMMAND = re.compile(r":\s+(?=(?:repronet|tensorboard|npm|pip) )")


def wrapped(message: str) -> str:
    """Wrap a message into lines of :data:`WIDTH` columns, as far as its words allow.

    A command after a colon is meant to be copied, so it gets its own line and is not broken.
    """
    if len(message) <= WIDTH or "\n" in message:
        return message
    if command := _COMMAND.search(message):
        return f"{wrapped(message[: command.start() + 1])}\n  {message[command.end() :]}"
    indent = " " * (len(NOTE) if message.startswith(NOTE) else len(message) - len(message.lstrip()) + 2)
    return fill(message, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
