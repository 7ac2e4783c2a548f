"""How the dataclasses of a config declare their values."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from omegaconf import MISSING

from repronet.constraints import Constraint


def required(rule: Constraint) -> Any:
    """A field that must be given and must satisfy ``rule``."""
    return field(default=MISSING, metadata={"rule": rule})


def tag(name: str) -> Any:
    """The field that names the choice."""
    return field(default=name)
