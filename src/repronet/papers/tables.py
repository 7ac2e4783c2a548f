"""Tables generated from the published facts."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from repronet.papers import NETWORKS
from repronet.papers.records import Facts, Paper

GOLDEN = "golden.json"


@cache
def golden() -> dict[str, dict[str, Any]]:
    """The committed exact sizes, shapes and logits, by network; ``scripts/regenerate.py golden`` rewrites them."""
    return json.loads((files("repronet.papers") / GOLDEN).read_text(encoding="utf-8"))


def short(number: int) -> str:
    """Three digits and a unit: 61.7 k, 25.6 M, 4.09 G."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:#.3g}".rstrip(".") + f" {unit}"
    return str(number)


_INTRODUCTION = """\
# The networks

Written by `python scripts/regenerate.py docs` from `repronet.papers`; `repronet verify` proves the sizes.
MACs are the multiplications of convolutions and fully connected layers for one image of the given size.
"Modern" networks deviate from their paper knowingly, "faithful" ones do not. Errors of different protocols cannot be
compared. Where a figure was read stands on the page of the network; of what is marked †, something is unconfirmed.
"""


def networks_page() -> str:
    """The text of ``docs/networks.md``: every network, its size, and what was published about it."""
    papers: dict[Paper, list[str]] = {}
    for name, facts in NETWORKS.items():
        papers.setdefault(facts.paper, []).append(_row(name, facts))
    page = _INTRODUCTION
    for paper, rows in papers.items():
        page += f"\n## {paper.title}\n\n{paper.authors}, {where(paper)}\n\n"
        page += "| network | what | parameters | MACs | input | published |\n|---|---|---|---|---|---|\n"
        page += "\n".join(rows) + "\n"
    return page


def where(paper: Paper) -> str:
    """Venue and preprint, and the year if the venue does not contain it."""
    preprint = f"arXiv:{paper.arxiv}" if paper.arxiv else ""
    venue = "" if paper.venue == "arXiv" else paper.venue
    year = "" if str(paper.year) in venue else str(paper.year)
    return ", ".join(part for part in (venue, preprint, year) if part)


def _row(name: str, facts: Facts) -> str:
    heads = f" ({facts.with_heads:,} with heads)" if facts.with_heads else ""
    deviations = f" (modern: {'; '.join(facts.deviations_with('paper'))})" if facts.modern else ""
    notes = f" ({'; '.join(facts.notes)})" if facts.notes else ""
    errors = (
        f"{error.of} {error.percent:g} % ({', '.join(filter(None, (error.protocol, error.kind)))};"
        f" {error.citation.where}){error.dagger}"
        for error in facts.errors
    )
    cells = (
        f"`{name}`",
        f"{facts.title}{deviations}{notes}",
        f"{facts.parameters:,}{heads}",
        short(golden()[name]["macs"]),
        "×".join(map(str, facts.input)),
        "; ".join(errors) or "-",
    )
    return f"| {' | '.join(cells)} |"
