"""How Sphinx builds the documentation: ``sphinx-build -W docs build/docs``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import repronet

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

project = "repronet"
author = "The repronet authors"
version = release = repronet.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "repronet"
exclude_patterns = ["network_pages.py"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
suppress_warnings = ["myst.strikethrough"]


def setup(app: Any) -> None:
    """Have the networks' pages written before Sphinx looks for sources."""
    from network_pages import write

    app.connect("builder-inited", lambda app: write(HERE / "networks"))
