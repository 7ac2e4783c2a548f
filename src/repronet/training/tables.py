"""Rows of the tables that configs and hyperparameters name: optimizers, schedules, fine-tuning plans."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from repronet.errors import UserError, nearest


def row_of(table: Mapping[str, Callable[..., Any]], what: str, name: Any, values: Mapping[str, Any]) -> Any:
    """What the row ``name`` makes of ``values``, lists as tuples.

    Raises:
        UserError: for a name that the table does not have, or values that the row does not take.
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
