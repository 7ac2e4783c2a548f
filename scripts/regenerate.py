"""Regenerate the files derived from the code, the schemas and repronet.papers: golden records and pages.

python scripts/regenerate.py [golden] [docs]     all of them if none is named
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def golden() -> None:
    """Write ``src/repronet/papers/golden.json``: sizes, shapes and logits of every network, in a few minutes."""
    from rich.progress import track

    from repronet.analysis.golden import logits, sizes
    from repronet.papers import NETWORKS
    from repronet.papers.tables import GOLDEN

    records = {}
    for name in track(NETWORKS, "golden"):
        records[name] = {**sizes(name), "logits": logits(name)}
    lines = (f'"{name}": {json.dumps(record)}' for name, record in records.items())
    (ROOT / "src/repronet/papers" / GOLDEN).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def docs() -> None:
    """Write ``docs/networks.md``, ``docs/configuration.md`` and the table of commands in ``docs/guide/commands.md``."""
    sys.path.insert(0, str(ROOT / "docs"))
    from configuration_page import configuration_page, with_commands

    from repronet.papers.tables import networks_page

    (ROOT / "docs/networks.md").write_text(networks_page(), encoding="utf-8")
    (ROOT / "docs/configuration.md").write_text(configuration_page(), encoding="utf-8")
    commands = ROOT / "docs/guide/commands.md"
    commands.write_text(with_commands(commands.read_text(encoding="utf-8")), encoding="utf-8")


TARGETS = {"golden": golden, "docs": docs}


def main(words: list[str]) -> None:
    unknown = [word for word in words if word not in TARGETS]
    if unknown:
        sys.exit(f"regenerate: {unknown[0]}: there is {', '.join(TARGETS)}")
    for word in words or TARGETS:
        TARGETS[word]()


if __name__ == "__main__":
    main(sys.argv[1:])
