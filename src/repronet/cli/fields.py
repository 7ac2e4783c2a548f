"""How the dataclasses of a config declare their values."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from omegaconf import MISSING

from repronet.rules import Rule


def value(rule: Rule) -> Any:
    """A field that must be given and must satisfy ``rule``."""
    return field(default=MISSING, metadata={"rule": rule})


def fixed(name: str) -> Any:
    """The field that names the choice."""
    return field(default=name)
