"""The exercises: names, signatures and formulas, read from the files in ``templates/``. Does not need torch.

A template is the file that ``repronet exercise start`` gives a student. Its functions and names are the only list of
the exercises.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from repronet.errors import UserError, nearest

TEMPLATES = Path(__file__).with_name("templates")
TOPICS = (
    *("by_hand", "im2col", "conv2d", "max_pool2d", "avg_pool2d", "relu", "linear", "batch_norm"),
    "softmax_cross_entropy",
)
OPTIONAL = ("dilation", "groups")  # a function without one of these arguments is checked without it
HEADER = '''"""Exercises of repronet. Write what is missing, then: repronet check {file}

Your functions get float64 tensors if this file imports torch, and numpy arrays otherwise. They return new ones and
leave what they get unchanged.
"""

import torch
'''


@dataclass(frozen=True)
class Exercise:
    """One function to write, or one number to compute by hand."""

    name: str
    topic: str
    arguments: tuple[str, ...]  #: names of the function's arguments; empty for a number
    title: str  #: the first line of its docstring

    @property
    def signature(self) -> str:
        """The exercise as written in a file: ``name(arguments)``, or ``name = …`` for a number."""
        return f"{self.name}({', '.join(self.arguments)})" if self.arguments else f"{self.name} = …"


@cache
def exercises() -> dict[str, Exercise]:
    """All exercises by name, in the order of the topics."""
    return {found.name: found for topic in TOPICS for found in _read(topic)}


def _read(topic: str) -> Iterator[Exercise]:
    body = ast.parse(_text(topic)).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.FunctionDef):
            arguments = tuple(argument.arg for argument in node.args.args)
            yield Exercise(node.name, topic, arguments, (ast.get_docstring(node) or "").partition("\n")[0])
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            assert isinstance(after, ast.Expr)
            yield Exercise(node.targets[0].id, topic, (), str(ast.literal_eval(after.value)).partition("\n")[0])


def _text(topic: str) -> str:
    return (TEMPLATES / f"{topic}.py").read_text(encoding="utf-8")


def template(topics: list[str], file: str) -> str:
    """The text of a file with the exercises of some topics, to be completed.

    Raises:
        UserError: for an unknown topic.
    """
    for topic in topics:
        if topic not in TOPICS:
            raise UserError(f"exercise start {topic}: no such topic{nearest(topic, TOPICS)} ({', '.join(TOPICS)})")
    parts = [HEADER.format(file=file), *map(_text, topics)]
    return "\n\n".join(parts)
