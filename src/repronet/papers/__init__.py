"""Published facts about each network, as data: sizes, errors with their protocol, recipes, deviations.

The facts are in the CSV files of this folder, see :mod:`repronet.papers.sheets`. Nothing here imports torch.
``repronet list models``, ``repronet verify``, the tables of the README and the tests read them.
"""

from __future__ import annotations

from typing import Any

from repronet.papers.records import Error, Facts, Paper, Printed, Recipe, Shape, Statistic
from repronet.papers.sheets import citation, number, rows, texts


def _networks() -> dict[str, Facts]:
    papers = {
        row["key"]: Paper(row["authors"], row["title"], row["venue"], int(row["year"]), row["arxiv"] or None)
        for row in rows("papers")
    }
    recipes = {row["key"]: Recipe(row["text"], citation(row)) for row in rows("recipes")}
    sheet = rows("networks")
    errors: dict[str, list[Error]] = {row["name"]: [] for row in sheet}
    for row in rows("errors"):
        errors[row["network"]].append(_error(row))
    return {
        row["name"]: Facts(
            papers[row["paper"]],
            row["title"],
            int(row["parameters"]),
            _shape(row["input"]),
            int(row["classes"]),
            row["source"],
            row["modern"] == "yes",
            deviations=texts(row["deviations"]),
            of_response_norm=texts(row["of_response_norm"]),
            notes=texts(row["notes"]),
            printed=_printed(row["printed"]) if row["printed"] else None,
            macs=int(row["macs"]) if row["macs"].isdecimal() else _printed(row["macs"]) if row["macs"] else None,
            with_heads=number(row["with_heads"]),
            stages=tuple((stage, _shape(shape)) for stage, shape in _pairs(row["stages"])),
            receptive_field=next(((stage, int(side)) for stage, side in _pairs(row["receptive_field"])), None),
            connections=tuple((layer if layer != "all" else "", int(n)) for layer, n in _pairs(row["connections"])),
            errors=tuple(errors[row["name"]]),
            recipe=recipes[row["recipe"]] if row["recipe"] else None,
        )
        for row in sheet
    }


def _error(row: dict[str, Any]) -> Error:
    mean, deviation = (float(row[name]) if row[name] else None for name in ("mean", "deviation"))
    statistic = Statistic(row["statistic"], int(row["runs"]), mean, deviation)
    unconfirmed = "".join(texts(row["unconfirmed"]))
    percent, images = float(row["percent"]), number(row["images"])
    return Error(percent, row["of"], row["protocol"], citation(row), statistic, images, row["note"], unconfirmed)


def _printed(cell: str) -> Printed:
    """``3.8 G``, ``3.8 G, its digits cut off`` or ``10.2 M, without batch norm``."""
    text = cell.partition(", ")[0]
    return Printed(text, truncated="its digits cut off" in cell, without_batch_norm="without batch norm" in cell)


def _pairs(cell: str) -> list[tuple[str, str]]:
    """``c1 6×28×28, s2 6×14×14``: names of modules, each with its value."""
    return [(pair.split()[0], pair.split()[1]) for pair in cell.split(", ") if pair]


def _shape(cell: str) -> Shape:
    channels, height, width = map(int, cell.split("×"))
    return channels, height, width


NETWORKS = _networks()


def published(network: str, percent: float) -> Error:
    """The published error of ``network`` that is ``percent``.

    Raises:
        KeyError: if there is no such published error.
    """
    for error in NETWORKS[network].errors:
        if error.percent == percent:
            return error
    raise KeyError(f"{network}: no published error of {percent} %")


__all__ = ["NETWORKS", "Facts", "published"]
