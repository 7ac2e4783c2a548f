"""How Sphinx builds the documentation: ``sphinx-build -W docs build/docs``.

The notebooks appear with their stored outputs. ``REPRONET_DOCS_EXECUTE=1`` runs those whose cells have changed, which
takes several minutes; a failing cell then fails the build.
"""

from __future__ import annotations

import os
import pkgutil
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.logging import getLogger

import repronet

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

project = "repronet"
author = "The repronet authors"
version = release = repronet.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "mathml"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "cache" if os.environ.get("REPRONET_DOCS_EXECUTE") else "off"
nb_execution_cache_path = str(HERE.parent / "build" / "notebooks")
nb_execution_timeout = 900
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True
html_math_renderer = "mathml"
html_theme = "furo"
html_title = "repronet"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_copyright = False
exclude_patterns = ["networks.md"]  # for readers of the checkout; here every paper has a page with its part
default_role = "literal"
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True}
python_maximum_signature_line_length = 90
python_use_unqualified_type_names = True
napoleon_google_docstring = True
add_module_names = False

NOTEBOOKS = """\
# Notebooks

Each runs from top to bottom in half a minute to three minutes on two CPU cores. Install what they need with
`pip install ".[notebooks]" jupyterlab`, then start `jupyter lab notebooks`.

```{{toctree}}
{pages}
```
"""
DOCUMENTED = ("functional", "layers", "models", "visualization", "gan")
SECTIONS = ("Args:", "Attributes:", "Returns:", "Raises:", "Yields:", "Example:", "Examples:")


def setup(app: Sphinx) -> None:
    """Write the generated pages and pictures before Sphinx looks for sources."""
    from network_pages import write

    app.connect("builder-inited", lambda app: write(HERE / "networks"))
    app.connect("builder-inited", lambda app: _copy_notebooks(HERE / "notebooks"))
    app.connect("builder-inited", lambda app: _look_for_missing())
    kept: dict[str, list[str]] = {}

    def keep(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
        lines[:] = _as_written(lines)
        kept[name] = list(lines)

    def restore(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
        if what in ("attribute", "property"):
            lines[:] = kept[name]  # napoleon takes "length: that of one window" for a type and its description

    app.connect("autodoc-process-docstring", keep, priority=400)
    app.connect("autodoc-process-docstring", restore, priority=600)


def _copy_notebooks(folder: Path) -> None:
    """Sphinx reads only what lies below docs/."""
    folder.mkdir(exist_ok=True)
    notebooks = sorted((HERE.parent / "notebooks").glob("*.ipynb"))
    for notebook in notebooks:  # whose links are right in the repository
        text = notebook.read_text(encoding="utf-8").replace("](../docs/", "](../")
        if not (copy := folder / notebook.name).exists() or copy.read_text(encoding="utf-8") != text:
            copy.write_text(text, encoding="utf-8")
    pages = "\n".join(notebook.stem for notebook in notebooks)
    (folder / "index.md").write_text(NOTEBOOKS.format(pages=pages), encoding="utf-8")


def _as_written(lines: list[str]) -> list[str]:
    """Formulas, paragraphs that stand further in, line for line; |x| and (*, features) elsewhere mean no markup."""
    shown: list[str] = []
    is_formula = False
    for before, line in zip(["", *lines], lines, strict=False):
        inside = line.startswith("    ")
        last = next((text for text in reversed(shown) if text), "")
        is_paragraph = last and not last.startswith((" ", "-")) and last not in SECTIONS
        if inside and not before and not is_formula and is_paragraph:
            shown += [] if last.endswith("::") else [".. code-block:: none", ""]
            is_formula = True
        if line and not inside:
            is_formula = False
        shown.append(line if is_formula else re.sub(r"(`[^`]*`)|([|*])", _escaped, line))
    return shown


def _escaped(found: re.Match[str]) -> str:
    return found[1] or f"\\{found[2]}"


def _look_for_missing() -> None:
    """Warn about public modules that are missing from the pages of the API."""
    pages = "".join(path.read_text(encoding="utf-8") for path in (HERE / "api").glob("*.md"))
    named = {line.split()[-1] for line in pages.splitlines() if line.startswith(".. automodule::")}
    for module in sorted(set(_modules()) - named):
        getLogger(__name__).warning(f"{module} is on no page in docs/api")


def _modules() -> Iterator[str]:
    for package in DOCUMENTED:
        root = import_module(f"repronet.{package}")
        yield from (found.name for found in pkgutil.walk_packages(root.__path__, f"{root.__name__}."))
