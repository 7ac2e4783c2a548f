"""Register our layers with tools that look layers up by their exact class, such as captum's LRP and thop's counters.

Such a tool knows only torch.nn's classes: it ignores a subclass or refuses it.
"""

import sys
from typing import Any

from torch import nn

# Module and name of each table: a dict with classes as keys, or a list of classes.
_TABLES = (
    ("captum._utils.sample_gradient", "SUPPORTED_MODULES"),
    ("captum.attr._core.deep_lift", "SUPPORTED_NON_LINEAR"),
    ("captum.attr._core.lrp", "SUPPORTED_LAYERS_WITH_RULES"),
    ("captum.attr._core.lrp", "SUPPORTED_NON_LINEAR_LAYERS"),
    ("thop.profile", "register_hooks"),
)


def enter(ours: type[nn.Module]) -> None:
    """Add our class, as torch.nn's of the same name, to the tables of all tools that are already imported."""
    theirs = getattr(nn, ours.__name__, None)
    for module, name in _TABLES:
        table: Any = getattr(sys.modules.get(module), name, ())
        if theirs in table and ours not in table:
            if isinstance(table, dict):
                table[ours] = table[theirs]
            else:
                table.append(ours)
