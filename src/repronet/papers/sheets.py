"""The tables of this folder, CSV files with a row for each fact.

papers.csv       where networks were published
recipes.csv      how papers trained
networks.csv     a network a row, the fields of :class:`~repronet.papers.records.Facts`; its errors are in errors.csv
errors.csv       a published error a row, in the order in which its network's are listed
experiments.csv  a file of ``configs/experiment/`` a row
claims.csv       a claim of one network against another a row
phrases.csv      what several rows say alike: a cell may have the key in place of the text

The text of LeCun et al. 1998 was read in two copies of its passages and tables, which agree, and table 1 of Lin et al.
2014 in what others quote of it: both are "secondary". An earlier version of the DenseNet paper says that DenseNet-161
was trained in small batches because of its memory.
"""

from __future__ import annotations

import csv
from importlib.resources import files
from typing import Any

from repronet.papers.records import Citation

SEPARATOR = " | "  # between several texts in a cell


def rows(name: str) -> list[dict[str, Any]]:
    """The rows of ``name``.csv by the names of their columns; every cell is a text."""
    text = (files("repronet.papers") / f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


_PHRASES = {row["key"]: row["text"] for row in rows("phrases")}


def texts(cell: str) -> tuple[str, ...]:
    """The texts of a cell, none of an empty one."""
    return tuple(_PHRASES.get(text, text) for text in cell.split(SEPARATOR)) if cell else ()


def citation(row: dict[str, Any]) -> Citation:
    """Where the fact of a row was read."""
    return Citation(row["document"], row["where"], row["kind"])


def number(cell: str) -> int | None:
    """A whole number; None of an empty cell."""
    return int(cell) if cell else None
