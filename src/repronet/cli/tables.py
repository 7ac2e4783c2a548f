"""Tables for a terminal, without lines and without trailing spaces."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions
from rich.segment import Segment
from rich.table import Column, Table


class PlainTable(Table):
    """A table without trailing spaces, so that its rows can be copied and compared.

    Args:
        headers: column headings, or columns.
        title: a line above the table.
        show_header: whether headings are printed.
        width: width in terminal columns; None: as wide as needed.
    """

    def __init__(
        self,
        *headers: str | Column,
        title: str | None = None,
        show_header: bool = True,
        width: int | None = None,
    ):
        super().__init__(*headers, title=title, show_header=show_header, width=width, box=None, pad_edge=False)
        self.title_justify = "left"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        rendered = super().__rich_console__(console, options)
        for line in Segment.split_lines(part for part in rendered if isinstance(part, Segment)):
            while line and not line[-1].text.strip():
                line.pop()
            yield from line[:-1]
            if line:
                text, style, control = line[-1]
                yield Segment(text.rstrip(), style, control)
            yield Segment.line()
