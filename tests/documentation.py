"""The pages of the documentation, their fenced code blocks, and the commands in them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from conftest import REPOSITORY

DOCS = REPOSITORY / "docs"
GENERATED = ("networks", "notebooks", "api")
PAGES = [
    REPOSITORY / "README.md",
    *(page for page in sorted(DOCS.rglob("*.md")) if page.relative_to(DOCS).parts[0] not in GENERATED),
]


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the line that it begins in, and the file that it is, if any.

    A file is named by a comment in its first line, or in the words before the block: this is `FILE`:
    """

    language: str
    text: str
    line: int
    file: str | None
    skipped: bool  # <!-- not run … --> stands before it

    @property
    def commands(self) -> list[str]:
        """The lines of a shell block, each with those that continue it."""
        return self.text.replace("\\\n", " ").splitlines()


def blocks(page: Path, *languages: str) -> list[Block]:
    """The blocks of a page in those languages, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        before, content = text[: match.start()], match[2]
        file = re.match(r"# (\S+\.py)\n", content) or re.search(r"`(\S+\.(?:py|yaml))`:\s+$", before)
        skipped = re.search(r"<!-- not run[^>]*-->\s+$", before) is not None
        if match[1] in languages:
            found.append(Block(match[1], content, before.count("\n") + 2, file[1] if file else None, skipped))
    return found


def commands(page: Path, with_skipped: bool = True) -> list[list[str]]:
    """The words of each ``repronet`` command on a page, without the comments behind them."""
    found = []
    for block in blocks(page, "sh"):
        for line in block.commands if with_skipped or not block.skipped else ():
            words = shlex.split(line, comments=True)
            if words[:1] == ["repronet"]:
                found.append(words[1:])
    return found


def execute(block: Block, page: Path, names: dict[str, object]) -> None:
    """Run a Python block; an error shows the line of the page."""
    exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), names)
