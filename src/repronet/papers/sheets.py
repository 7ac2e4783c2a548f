"""The tables of this folder: CSV files with one row per fact.

papers.csv       the papers in which networks were published
recipes.csv      the training recipes of papers
networks.csv     one network per row, fields of :class:`~repronet.papers.records.Facts`; its errors are in errors.csv
errors.csv       one published error per row, in the order in which a network's errors are listed
experiments.csv  one file of ``configs/experiment/`` per row
claims.csv       one claim that compares networks per row
phrases.csv      texts that several rows share: a cell may have the key in place of the text

The text of LeCun et al. 1998 was read in two copies of its passages and tables, which agree, and table 1 of Lin et al.
2014 in quotations by others: both are "secondary". An earlier version of the DenseNet paper says that DenseNet-161
was trained in small batches because of its memory.
"""

from __future__ import annotations

import csv
from importlib.resources import files
from typing import Any

from repronet.papers.records import Citation

SEPARATOR = " | "  # between several texts in a cell


def rows(name: str) -> list[dict[str, Any]]:
    """The rows of ``name``.csv as dicts by column name; every cell is a string."""
    text = (files("repronet.papers") / f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


_PHRASES = {row["key"]: row["text"] for row in rows("phrases")}


def texts(cell: str) -> tuple[str, ...]:
    """The texts of a cell; none if it is empty."""
    return tuple(_PHRASES.get(text, text) for text in cell.split(SEPARATOR)) if cell else ()


def citation(row: dict[str, Any]) -> Citation:
    """The place where the fact of a row was read."""
    return Citation(row["document"], row["where"], row["kind"])


def number(cell: str) -> int | None:
    """A cell's integer; None if it is empty."""
    return int(cell) if cell else None
