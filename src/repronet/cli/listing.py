"""``repronet list``: what there is to choose from."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from repronet.cli.compose import nearest
from repronet.cli.groups import GROUPS, choices
from repronet.errors import UserError


def show(words: Sequence[str]) -> int:
    """Print the choices of each group named (``models`` serves as well as ``model``), or of all groups."""
    groups = [_group(word) for word in words] or list(GROUPS)
    console = Console(highlight=False)
    for position, group in enumerate(groups):
        if position:
            console.print()
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column()
        for name, title in choices(group).items():
            table.add_row(f"  {name}", Text(title))
        console.print(f"{group}=", style="bold")
        console.print(table)
    return 0


def _group(word: str) -> str:
    singular = {f"{group}s": group for group in GROUPS} | {group: group for group in GROUPS}
    if word not in singular:
        raise UserError(f"list {word}: no such group{nearest(word, GROUPS)} (groups: {', '.join(GROUPS)})")
    return singular[word]
