"""Writes a page for every network while the documentation is built: what was published, what was proved, its shapes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from repronet.analysis.verification import Check, verify
from repronet.figures.diagram import boxes
from repronet.papers import NETWORKS
from repronet.papers.records import Facts, Paper
from repronet.papers.tables import golden, short

ROOT = Path(__file__).resolve().parents[1]


def write(folder: Path) -> None:
    """``folder/NAME.md`` and ``folder/NAME.svg`` of every network, and ``folder/index.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    papers: dict[Paper, list[str]] = {}
    for name, facts in NETWORKS.items():
        papers.setdefault(facts.paper, []).append(name)
        boxes(golden()[name]["shapes"]).savefig(folder / f"{name}.svg")
        (folder / f"{name}.md").write_text("\n".join(_page(name, facts)) + "\n", encoding="utf-8")
    (folder / "index.md").write_text("\n".join(_index(papers)) + "\n", encoding="utf-8")


def _index(papers: dict[Paper, list[str]]) -> Iterator[str]:
    yield "# Networks"
    yield ""
    yield "Each is held against its paper by `repronet verify`; each page shows the outcome. Sizes at a glance stand in"
    yield "[one table](../networks.md)."
    for paper, names in papers.items():
        yield ""
        yield f"## {paper.title}"
        yield ""
        yield f"{paper.authors}, {paper.venue}"
        yield ""
        yield "```{toctree}"
        yield ":maxdepth: 1"
        yield ""
        yield from names
        yield "```"


def _page(name: str, facts: Facts) -> Iterator[str]:
    paper, record = facts.paper, golden()[name]
    yield f"# {name}"
    yield ""
    yield f"{facts.title[0].upper()}{facts.title[1:]}."
    yield ""
    preprint = f", [arXiv:{paper.arxiv}](https://arxiv.org/abs/{paper.arxiv})" if paper.arxiv else ""
    yield f"{paper.authors}, *{paper.title}*, {paper.venue} ({paper.year}){preprint}."
    yield ""
    yield f"{record['parameters']:,} parameters, {short(record['macs'])} multiplications for one picture of"
    yield f"{'×'.join(map(str, facts.input))}, {facts.classes:,} classes."
    if facts.deviations:
        yield ""
        yield f"{'Modern: it' if facts.modern else 'It'} differs from the paper in: {'; '.join(facts.deviations)}."
    yield ""
    yield f"![What leaves each part of {name}]({name}.svg)"
    yield ""
    yield "## Published"
    yield ""
    yield from _published(facts)
    yield ""
    yield "## Proved"
    yield ""
    yield from _proved(verify(name))
    yield ""
    yield "## Run it"
    yield ""
    yield from _commands(name)


def _published(facts: Facts) -> Iterator[str]:
    if facts.errors:
        yield "| error | of | protocol | where |"
        yield "|---|---|---|---|"
        for error in facts.errors:
            note = f", {error.note}" if error.note else ""
            memory = "" if error.verified else ", quoted from memory"
            yield f"| {error.percent:g} % | {error.of} | {error.protocol}{note} | {error.where}{memory} |"
    else:
        yield "No error of this network is recorded here."
    if facts.recipe:
        memory = "" if facts.recipe.verified else ", quoted from memory"
        yield ""
        yield f"Trained with: {facts.recipe.text} ({facts.recipe.where}{memory})."


def _proved(checks: list[Check]) -> Iterator[str]:
    yield "| | found | expected | |"
    yield "|---|---|---|---|"
    for check in checks:
        yield f"| {check.what} | {check.found} | {check.expected} | {'ok' if check.passed else '**differs**'} |"


def _commands(name: str) -> Iterator[str]:
    data = "" if "mnist" in _usual_data(name) else f" data={_usual_data(name)}"
    yield "```sh"
    yield f"repronet summary model={name}"
    yield f"repronet verify model={name}"
    yield f"repronet train model={name}{data}"
    for experiment in _experiments(name):
        yield f"repronet train experiment={experiment}"
    yield "```"


def _usual_data(name: str) -> str:
    facts = NETWORKS[name]
    if facts.input[1] >= 64:
        return "imagenet data.root=…"
    return "cifar10" if facts.input[0] == 3 else "mnist5k"


def _experiments(name: str) -> Iterator[str]:
    for path in sorted((ROOT / "configs" / "experiment").glob("*.yaml")):
        defaults = yaml.safe_load(path.read_text(encoding="utf-8")).get("defaults", [])
        if {"override /model": name} in defaults:
            yield path.stem
