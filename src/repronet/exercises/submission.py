"""A student's file: parsing it without running it, running it, and the verdicts on it. Does not need torch."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass, field
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from repronet.errors import UserError, first_line, nearest
from repronet.exercises.catalogue import exercises


@dataclass(frozen=True)
class Submission:
    """The exercises that a file defines."""

    file: Path
    names: tuple[str, ...]  #: its exercises, in the catalogue's order
    takes_tensors: bool  #: whether its functions get tensors (if it imports torch) or numpy arrays
    unwritten: frozenset[str]  #: exercises that still end with the template's ``raise NotImplementedError``
    misspelt: tuple[str, ...] = ()  #: "linar_forward: no such exercise; nearest: linear_forward"


@dataclass
class Verdict:
    """The verdict on one exercise."""

    exercise: str
    verdict: str  #: right, wrong, unwritten, or unchecked if the time was up or the process ended
    what: str = ""  #: what is wrong, in words
    where: list[int] | None = None  #: the index of the wrong element; None if the fault is not in a single number
    yours: float | None = None  #: the number that the student's function gives there
    #: the expected number there; None for a hand computation, whose answer is not given away
    right: float | None = None
    case: dict[str, Any] = field(default_factory=dict)  #: the arguments of the smallest case
    hint: str = ""
    without: list[str] = field(default_factory=list)  #: settings that the function does not take, so left unchecked


def read(file: Path, key: str) -> Submission:
    """Parse a student's file without running it.

    Args:
        key: the text before the file's name in an error message.

    Raises:
        UserError: for a file that does not exist, is not valid Python, or defines no exercise.
    """
    if file.suffix != ".py" or not file.is_file():
        raise UserError(f"{key}{file}: no such .py file; `repronet exercise start conv2d` writes one")
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise UserError(f"{key}{file}: {f'line {line} ' if line else ''}is no Python: {error.args[0]}") from error
    names = _defined(tree)
    found = tuple(name for name in exercises() if name in names)
    if not found:
        raise UserError(f"{key}{file}: defines none of the exercises; `repronet exercise list` has their names")
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    unwritten = frozenset(node.name for node in functions if ast.unparse(node.body[-1]) == "raise NotImplementedError")
    other = sorted(names - exercises().keys())
    near = {name: nearest(name, set(exercises()) - names, at_least=0.85) for name in other}
    misspelt = tuple(f"{name}: no such exercise{near[name]}" for name in other if near[name])
    return Submission(file, found, "torch" in _imported(tree), unwritten, misspelt)


def load(file: Path) -> ModuleType:
    """Run a student's file, with its folder on the import path.

    Raises:
        UserError: if its code fails.
    """
    sys.path.insert(0, str(file.parent.resolve()))
    spec = spec_from_file_location(f"repronet_exercises_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SystemExit as error:
        raise UserError(f"{file}: ends the program ({error}); leave that out") from error
    except Exception as error:
        raise UserError(f"{file}: {type(error).__name__}: {first_line(error)}") from error
    return module


def _defined(tree: ast.Module) -> set[str]:
    """The names defined at the top level of the file: functions, assigned names and names from ``from`` imports."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def _imported(tree: ast.Module) -> set[str]:
    """The packages that are imported anywhere in a file."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found
