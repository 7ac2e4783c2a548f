"""Entries of the tables that configs and hyperparameters refer to: optimizers, schedules, fine-tuning plans."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from repronet.errors import UserError, nearest


def row_of(table: Mapping[str, Callable[..., Any]], what: str, name: Any, values: Mapping[str, Any]) -> Any:
    """Call the entry ``name`` with ``values``, lists as tuples, and return its result.

    Raises:
        UserError: for a name that is not in the table, or values that the entry does not take.
    """
    if name not in table:
        raise UserError(f"{what}={name}: no such {what} (choices: {', '.join(table)})")
    settled = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    try:
        return table[name](**settled)
    except TypeError as error:
        reason, keys = str(error).partition(") ")[2] or str(error), inspect.signature(table[name]).parameters
        hints = [nearest(key, keys) for key in settled if key not in keys]
        raise UserError(f"{what}={name}: {reason}{hints[0] if hints else ''}") from error
