"""How the dataclasses of a config declare their keys: type, default, condition and what the key does, all in one place.

``metadata`` of a field holds ``rule`` (a :class:`~repronet.constraints.Constraint` or None) and ``about``, the words
that the help pages and the reference page print.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any

from omegaconf import MISSING

from repronet.constraints import Constraint


def required(rule: Constraint, about: str = "") -> Any:
    """A key without a default, which must satisfy ``rule``."""
    return field(default=MISSING, metadata={"rule": rule, "about": about})


def optional(rule: Constraint | None, about: str, default: Any = None) -> Any:
    """A key with a default; any value but None must satisfy ``rule``."""
    metadata = {"rule": rule, "about": about}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def flag(about: str, default: bool = False) -> Any:
    """A key that is true or false."""
    return field(default=default, metadata={"rule": None, "about": about})


def tag(name: str) -> Any:
    """The field that names the choice."""
    return field(default=name)
