"""The commands of the exercises, one class each; see :mod:`repronet.config.command`. Needs no torch."""

from __future__ import annotations

from repronet.config.command import Command
from repronet.config.fields import flag, optional
from repronet.constraints import COUNT, Constraint, one_of

PYTHON = Constraint(lambda x: x.endswith(".py") and len(x) > 3, "the name of a .py file", "FILE.py")


@Command(
    "exercise",
    "list exercises, or write a file for your solutions",
    usage=("list", "start TOPIC [TOPIC ...] [out=FILE.py]"),
    examples=("exercise list", "exercise start by_hand", "exercise start conv2d max_pool2d out=my_layers.py"),
    takes_words=True,
)
class Exercise:
    """Numbers to work out by hand, layers and their gradients to write as plain functions of tensors or numpy arrays.
    `list` prints their signatures by topic, `start` writes a file with the functions of some topics, each with its
    formula and without a body. `repronet check` says which of your solutions are right.
    """

    out: str = optional(PYTHON, "file that start writes; it must not exist yet", "my_layers.py")


@Command(
    "check",
    "check your solutions, or grade a folder of them",
    usage=("FILE.py [KEY=VALUE ...]", "DIR [KEY=VALUE ...]"),
    examples=("check my_layers.py", "check submissions format=json hints=false"),
    takes_words=True,
)
class CheckExercises:
    """Compares every exercise that the file defines with repronet's own on a few hundred small cases: windows that
    overlap, padding, ties, strides that leave a remainder, groups, dilation, an empty batch. If one is wrong, shows the
    smallest failing case, the first element that differs with both values, and a hint. The exit code is 1 if anything
    is wrong. Needs `pip install hypothesis`.

    In a folder, every .py file is checked. A file runs as your own program, in its own process with limits on time and
    memory. These do not protect against attacks: grade submissions of strangers in a container.
    """

    format: str = optional(one_of("table", "json"), "a summary, or all results", "table")
    hints: bool = flag("print hints", True)
    seconds: int = optional(COUNT, "time limit for one file; unchecked functions then count as wrong", 300)
    memory: int = optional(COUNT, "memory limit for one file in MiB, if the system supports limits", 2048)
