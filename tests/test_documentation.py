"""The Python of README.md and of the guides runs as it stands."""

from __future__ import annotations

import re
import sys

import pytest

from conftest import REPOSITORY
from documentation import blocks, execute

GUIDES = REPOSITORY / "docs" / "how_to"


@pytest.mark.filterwarnings("default")  # Lightning's, about short epochs and few workers
@pytest.mark.parametrize("page", [REPOSITORY / "README.md", GUIDES / "python.md"], ids=lambda page: page.stem)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch, tables_as_they_were):
    """One block after the other in one session; those that need a download say so in a comment before them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    found = blocks(page, "python")
    assert found
    for block in found:
        if block.file:
            (tmp_path / block.file).write_text(block.text)
        elif not block.skipped:
            execute(block, page, names)


def test_every_callback_that_the_guide_names_is_there():
    rows = re.findall(r"^\| `(\w+)\(.*?\)` \| `([\w.]+)` \|", (GUIDES / "python.md").read_text(), re.MULTILINE)
    assert len(rows) == 9
    for name, module in rows:
        __import__(f"repronet.training.{module}")
        assert hasattr(sys.modules[f"repronet.training.{module}"], name)
