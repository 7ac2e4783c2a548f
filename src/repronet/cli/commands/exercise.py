"""``repronet exercise``: the list of exercises, and a file to solve them in."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console
from rich.text import Text

from repronet.cli.failures import writing
from repronet.errors import UserError, nearest
from repronet.exercises.catalogue import OPTIONAL, TOPICS, exercises, template
from repronet.terminal import WIDTH


def run(config: DictConfig, console: Console, words: Sequence[str]) -> None:
    """Print the exercises, or write the template of some topics."""
    names = [word for word in words if "=" not in word]
    if names == ["list"]:
        _list(console)
    elif names[:1] == ["start"]:
        _start(names[1:], Path(config.out).expanduser(), console)
    else:
        said = " ".join(["exercise", *names])
        near = nearest(names[0], ("list", "start")) if names else ""
        raise UserError(f"{said}: must be `exercise list` or `exercise start TOPIC`{near}")


def _list(console: Console) -> None:
    for topic, of_topic in groupby(exercises().values(), key=lambda exercise: exercise.topic):
        console.print(Text(topic, "bold"))
        for exercise in of_topic:
            console.print(_indented(exercise.signature, 2), markup=False)
            console.print(Text(_indented(exercise.title, 6), "dim"))
        console.print()
    console.print(f"{' and '.join(OPTIONAL)} are optional: without them, they are not tested.", markup=False)
    console.print("Write the formulas into a file: repronet exercise start TOPIC", markup=False)


def _indented(text: str, columns: int) -> str:
    """Wrapped to 80 columns; continuation lines of a signature are indented."""
    indent = " " * columns
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=" " * 6)


def _start(topics: list[str], file: Path, console: Console) -> None:
    if not topics:
        raise UserError(f"exercise start: needs a topic or several: {', '.join(TOPICS)}")
    text = template(topics, str(file))
    if file.exists():
        raise UserError(f"out={file}: exists already; give another name, or add the missing functions to it")
    with writing("out", file):
        file.write_text(text, encoding="utf-8")
    console.print(f"{file} has the exercises; fill them in, then: repronet check {file}", markup=False)
