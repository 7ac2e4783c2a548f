"""A network as a tree to open, module by module; the boxes of its diagram lead into it."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby

import torch
from torch import nn

from repronet import layers, models

Shapes = dict[str, tuple[int, ...]]
"""What leaves each module, by its path, without the batch."""


def tree(name: str, shapes: Shapes) -> str:
    """Nested ``<details>`` of HTML: what each module is, what leaves it, and how many parameters it has."""
    return f'<div class="network">{"".join(_children(_unbuilt(name), "", shapes))}</div>'


def anchor(path: str) -> str:
    """The id of a module's line, for links from the diagram."""
    return f"module-{path.replace('.', '-')}"


def _unbuilt(name: str) -> nn.Module:
    """The network without memory for its weights, if it can be made so."""
    try:
        with torch.device("meta"):
            return models.create(name, layers="torch")
    except (NotImplementedError, RuntimeError):  # lenet5_1998 computes with its table of connections
        return models.create(name, layers="torch")


def _children(parent: nn.Module, above: str, shapes: Shapes) -> Iterator[str]:
    """A line for each child; children in a row that are alike are one line, as in a stage of 200 equal blocks."""
    paths = {name: f"{above}.{name}".lstrip(".") for name, _ in parent.named_children()}
    known = [(name, child) for name, child in parent.named_children() if paths[name] in shapes]
    for _, run in groupby(known, key=lambda item: _looks(item[1], shapes[paths[item[0]]])):
        alike = list(run)
        (first, child), (last, _) = alike[0], alike[-1]
        title = first if len(alike) == 1 else f"{first} to {last}, {len(alike)} alike"
        yield _line(child, title, paths[first], shapes)


def _looks(module: nn.Module, shape: tuple[int, ...]) -> str:
    return f"{module!r} {shape}"


def _line(module: nn.Module, title: str, path: str, shapes: Shapes) -> str:
    count = sum(parameter.numel() for parameter in module.parameters())
    size = "×".join(map(str, shapes[path]))
    size = f"{size}, {count:,} parameters" if count else size
    inside = "".join(_children(module, path, shapes))
    if not inside:
        return f'<p id="{anchor(path)}"><b>{escape(title)}</b> {_named(module)} <span>{size}</span></p>'
    summary = f'<b id="{anchor(path)}">{escape(title)}</b> {_named(module)} <span>{size}</span>'
    return f"<details><summary>{summary}</summary>{inside}</details>"


def _named(module: nn.Module) -> str:
    """Its class with its settings, as a link to the page of the layer or block."""
    kind = type(module)
    settings = f"({escape(module.extra_repr())})" if not list(module.children()) else ""
    ours = getattr(layers, kind.__name__, None)
    if ours is not None:
        return f'<a href="../api/layers.html#{ours.__module__}.{kind.__name__}">{kind.__name__}</a>{settings}'
    if kind.__module__.startswith("repronet.models") and not kind.__name__.startswith("_"):
        return f'<a href="../api/models.html#{kind.__module__}.{kind.__name__}">{kind.__name__}</a>{settings}'
    return f"{kind.__name__}{settings}"
