"""What the terminal shows can be copied: no spaces behind a row, and no line over 80 columns that need not be."""

from __future__ import annotations

import io
import logging

import pytest
from rich.console import Console

from repronet.cli.tables import PlainTable
from repronet.session.console import speaking_to


def printed(table: PlainTable) -> list[str]:
    screen = io.StringIO()
    Console(file=screen, width=80).print(table)
    return screen.getvalue().splitlines()


def test_rows_end_where_their_text_ends():
    table = PlainTable("name", "what it is", title="all of them")
    table.add_row("a", "short")
    table.add_row("much longer", "")
    table.add_row("", "a text that is as long as it can be, " * 3)
    lines = printed(table)
    assert lines[:4] == ["all of them", "name         what it is", "a            short", "much longer"]
    assert len(lines) == 6
    assert lines == [line.rstrip() for line in lines]


@pytest.mark.parametrize(
    "words", [("list",), ("list", "models"), ("list", "experiment", "lenet5_mnist"), ("schedule",)]
)
def test_no_command_prints_spaces_behind_a_line(repronet, words):
    outcome = repronet(*words)
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert lines == [line.rstrip() for line in lines]


def test_notes_are_wrapped_and_what_is_to_be_copied_is_not():
    screen = io.StringIO()
    command = "repronet train resume=/a/folder/with/a/rather/long/name and/words/that/nobody/wants/to/have/broken"
    with speaking_to(Console(file=screen, width=200, highlight=False)):
        logging.getLogger("repronet.test").info("note: few words " + "and some more of them " * 8)
        logging.getLogger("repronet.test").info(f"it goes on with:  {command}")
    first, second, third, fourth, whole = screen.getvalue().splitlines()
    assert max(map(len, (first, second, third))) <= 80
    assert second[:7] == "      " + second.strip()[0]
    assert (fourth, whole) == ("it goes on with:", f"  {command}")
