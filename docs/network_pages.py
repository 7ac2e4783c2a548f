"""Writes the pages of networks while the documentation is built: what was published, what is proved, its shapes.

They come from `repronet.papers`, `repronet.analysis.verification` and ``configs/experiment``, and are written anew when
any source has changed.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from matplotlib import rc_context
from network_diagram import boxes
from network_parts import Parts, parts
from network_tree import anchor, tree

from repronet.analysis.verification import Check, verify
from repronet.config.compose import compose
from repronet.papers import NETWORKS
from repronet.papers.experiments import EXPERIMENTS, described
from repronet.papers.records import Error, Facts, Paper
from repronet.papers.releases import RELEASES
from repronet.papers.tables import golden, short

ROOT = Path(__file__).resolve().parents[1]
SOURCES = (
    *(f"src/repronet/{room}/*.py" for room in ("analysis", "figures", "models", "papers")),
    *("src/repronet/papers/golden.json", "src/repronet/papers/*.csv", "configs/experiment/*.yaml", "docs/network_*.py"),
)


def write(folder: Path) -> None:
    """``index.md``, a page for every paper, and page, diagram and tree of every network, if they are out of date."""
    folder.mkdir(parents=True, exist_ok=True)
    newest = max(path.stat().st_mtime for pattern in SOURCES for path in ROOT.glob(pattern))
    papers: dict[Paper, list[str]] = {}
    for name, facts in NETWORKS.items():
        papers.setdefault(facts.paper, []).append(name)
        page = folder / f"{name}.md"
        if not page.exists() or page.stat().st_mtime < newest:
            found = parts(name)
            (folder / f"{name}.svg").write_text(_picture(name, found), encoding="utf-8")
            (folder / f"{name}.tree.html").write_text(tree(name, found.shapes), encoding="utf-8")
            page.write_text(_text(_page(name, facts)), encoding="utf-8")
    for paper, names in papers.items():
        (folder / f"{_slug(paper)}.md").write_text(_text(_paper(paper, names)), encoding="utf-8")
    (folder / "index.md").write_text(_text(_index(papers)), encoding="utf-8")


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def _slug(paper: Paper) -> str:
    """``he_2015``."""
    surname = paper.authors.partition(",")[0].rpartition(" ")[2]
    return f"{surname}_{paper.arxiv or paper.year}".lower().replace(".", "_")


def _index(papers: dict[Paper, list[str]]) -> Iterator[str]:
    yield "# Networks"
    yield ""
    yield "A plain name is the network of its paper. If a popular library uses that name for a different network, we"
    yield "have that one too, under a name of its own. Every page shows what was published and what is checked."
    yield ""
    yield "| year | paper | networks |"
    yield "|---|---|---|"
    for paper, names in papers.items():
        links = ", ".join(f"[{name}]({name}.md)" for name in names)
        yield f"| {paper.year} | [{paper.title}]({_slug(paper)}.md) | {links} |"
    yield ""
    yield from _contents(map(_slug, papers))


def _contents(pages: Iterable[str]) -> Iterator[str]:
    yield "```{toctree}"
    yield ":hidden:"
    yield ""
    yield from pages
    yield "```"


def _paper(paper: Paper, names: list[str]) -> Iterator[str]:
    yield f"# {paper.title}"
    yield ""
    yield _cited(paper)
    yield ""
    yield "| network | what | parameters | multiplications | image | published |"
    yield "|---|---|---|---|---|---|"
    for name in names:
        facts = NETWORKS[name]
        error = _error(facts.errors[0]) if facts.errors else "-"
        size = "×".join(map(str, facts.input))
        numbers = f"{short(facts.parameters)} | {short(golden()[name]['macs'])} | {size}"
        yield f"| [{name}]({name}.md) | {facts.title} | {numbers} | {error} |"
    yield ""
    yield from _contents(names)


def _cited(paper: Paper) -> str:
    preprint = f", [arXiv:{paper.arxiv}](https://arxiv.org/abs/{paper.arxiv})" if paper.arxiv else ""
    venue = "" if paper.venue == "arXiv" else f", {paper.venue}"
    year = "" if str(paper.year) in venue else f", {paper.year}"
    return f"{paper.authors}, *{paper.title}*{venue}{preprint}{year}."


def _error(error: Error) -> str:
    protocol = "" if error.protocol == "test images" else f", {error.protocol}"
    return f"{error.percent:g} % of {error.of}{protocol}{f', {error.kind}' if error.kind else ''}"


def _picture(name: str, found: Parts) -> str:
    """The diagram as SVG for the middle of a page: each box is a link to its module below."""
    picture = io.StringIO()
    links = [f"#{anchor(path)}" if path else None for path in found.paths]
    with rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):  # the same picture, the same file
        boxes(found.boxes, links).savefig(picture, format="svg", metadata={"Date": None})
    text = picture.getvalue()
    return f'<div class="diagram">{text[text.index("<svg") :]}</div>\n'


def _page(name: str, facts: Facts) -> Iterator[str]:
    yield f"# {name}"
    yield ""
    yield f"{facts.title[0].upper()}{facts.title[1:]}."
    yield ""
    yield _cited(facts.paper)
    yield ""
    record = golden()[name]
    yield f"{record['parameters']:,} parameters, {short(record['macs'])} multiplications for one image of"
    yield f"{'×'.join(map(str, facts.input))}, {facts.classes:,} classes."
    deviations = facts.deviations_with("paper")
    if deviations:
        yield ""
        yield f"It differs from the paper{' on purpose' if facts.modern else ''}: {'; '.join(deviations)}."
    if facts.notes:
        yield ""
        yield f"Note: {'; '.join(facts.notes)}."
    yield ""
    yield "Each box is the output of a part: as high as its maps, and wider the more maps it has. Click a box to go to"
    yield "its module below; open a module to see what is inside."
    yield ""
    yield from _raw(f"{name}.svg")
    yield ""
    yield from _raw(f"{name}.tree.html")
    yield ""
    yield "## Published"
    yield ""
    yield from _published(facts)
    yield ""
    yield "## Checked"
    yield ""
    yield from _proved(name, verify(name))
    yield ""
    yield from _released(name)
    yield "## Reproduction"
    yield ""
    yield from _reproduction(name)
    yield ""
    yield "## Use it"
    yield ""
    yield from _commands(name)


def _raw(file: str) -> Iterator[str]:
    yield "```{raw} html"
    yield f":file: {file}"
    yield "```"


def _published(facts: Facts) -> Iterator[str]:
    if facts.errors:
        yield "| error | of | protocol | statistic | source |"
        yield "|---|---|---|---|---|"
        for error in facts.errors:
            unconfirmed = f"; † {error.unconfirmed}" if error.unconfirmed else ""
            kind = error.kind or str(error.statistic)
            percent = f"{error.percent:g}\u00a0%"
            yield f"| {percent} | {error.of} | {error.protocol} | {kind} | {error.citation}{unconfirmed} |"
    else:
        yield "No published error of this network is recorded."
    if facts.recipe:
        yield ""
        yield f"Trained with: {facts.recipe.text} ({facts.recipe.citation})."


def _proved(name: str, checks: list[Check]) -> Iterator[str]:
    passed = sum(check.passed for check in checks)
    yield f"`repronet verify model={name}`, run when this page was built: {passed} of {len(checks)} checks pass."
    yield ""
    yield "| | found | expected | |"
    yield "|---|---|---|---|"
    for check in checks:
        yield f"| {check.what} | {check.found} | {check.expected} | {'ok' if check.passed else '**differs**'} |"


def _released(name: str) -> Iterator[str]:
    release = RELEASES.get(name)
    if release is None:
        return
    note = f" ({release.note})" if release.note else ""
    yield f"`repronet verify model={name} source=release` compares it operator by operator with"
    yield f"{release.source}{note}. Intended differences:" if release.differences else f"{release.source}{note}."
    yield ""
    for named in release.differences:
        yield f"- {named}: {named.why}"
    yield ""


def _reproduction(name: str) -> Iterator[str]:
    mine = [key for key, run in EXPERIMENTS.items() if run.network == name]
    if not mine:
        yield "There is no experiment for this network in `configs/experiment` yet."
    for key in mine:
        yield from _experiment(key)


def _experiment(name: str) -> Iterator[str]:
    config = compose("train", [f"experiment={name}"])
    batch = config.data.batch_size * config.trainer.accumulate_grad_batches
    facts = described(name, config.trainer.max_epochs, batch, config.normalization.name)
    yield f"**{EXPERIMENTS[name].title}**"
    yield ""
    yield "```sh"
    yield facts.pop("command")
    yield "```"
    yield ""
    for heading, text in facts.items():
        yield f"- {heading}: {text}"
    yield ""


def _commands(name: str) -> Iterator[str]:
    data = _usual_data(NETWORKS[name])
    yield "```sh"
    yield f"repronet summary model={name}"
    yield f"repronet train model={name}{data}"
    yield "```"
    yield ""
    yield "```python"
    yield "from repronet import models"
    yield ""
    yield f'net = models.create("{name}", layers="custom")  # or layers="torch"'
    yield "```"


def _usual_data(facts: Facts) -> str:
    if facts.input[1] >= 64:
        return " data=image_folder data.root=photos"
    return " data=cifar10" if facts.input[0] == 3 else ""
