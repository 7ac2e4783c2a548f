"""The fenced code blocks of a page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


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


def execute(block: Block, page: Path, names: dict[str, object]) -> None:
    """Run a Python block; an error shows the line of the page."""
    exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), names)
