"""How the dataclasses of a config declare their keys: type, default, condition and what the key does, all in one place.

``metadata`` of a field holds ``rule`` (a :class:`~repronet.constraints.Constraint` or None) and ``about``, the words
that the help pages and the reference page print.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import Field, dataclass, field, fields
from typing import Any

from repronet.constraints import Constraint

MISSING: Any = "???"  # OmegaConf's mark of a value that must be given; written out, as its import takes a while


def required(rule: Constraint | None, about: str) -> Any:
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


@dataclass
class Choice:
    """A choice of a config group without keys, and the base of those with keys; its name selects the schema."""

    name: str = MISSING


def keys_of(schema: type) -> Iterator[Field[Any]]:
    """The fields that a user may set: all but ``name``, ``experiment`` and ``plugins``."""
    return (item for item in fields(schema) if item.name not in ("name", "experiment", "plugins"))


def default_of(item: Field[Any]) -> Any:
    """The default of a field, or :data:`MISSING`."""
    return item.default if item.default_factory is NO_DEFAULT else item.default_factory()


def defaults_of(schema: type) -> dict[str, Any]:
    """The keys of a schema with their defaults; :data:`MISSING` where a value must be given."""
    return {item.name: default_of(item) for item in fields(schema) if item.name != "name"}


def expected(item: Field[Any]) -> str:
    """A description of a field's valid values; empty if there is none."""
    rule = item.metadata.get("rule")
    return rule.expected if rule else {"bool": "true or false"}.get(str(item.type), "")


ONE_TARGET = re.compile(r"\b_(target|partial|args|recursive|convert)_\b")  # keys that Hydra would act upon
NO_TARGETS = "_target_ is not supported: a config chooses by name and imports nothing; add your own code with --plugin"


def flat(values: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The paths and values of nested mappings, with paths such as ``trainer.max_epochs``."""
    if isinstance(values, Mapping) and values:
        for key, value in values.items():
            yield from flat(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, values
