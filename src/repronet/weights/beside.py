"""Stand-ins for the other objects that training programs save beside the tensors: settings, dates, figures.

No network needs these objects, so they are not built: while a file is read, a stand-in replaces each of their types,
and nothing from the file is called or imported.
"""

from __future__ import annotations

import builtins
import datetime
import decimal
import fractions
import uuid
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import omegaconf.base
import omegaconf.nodes
import torch


class Unbuilt:
    """A placeholder for a value of another type; accepts any arguments and keeps none."""

    def __new__(cls, *_: Any) -> Unbuilt:
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        pass


def _mapping(factory: Any = None, content: Any = ()) -> dict[Any, Any]:
    """Build a defaultdict as a dict, since it may hold the weights."""
    return dict(content)


def _classes(*modules: ModuleType) -> list[str]:
    """The names of the classes defined in ``modules``, as pickles write them."""
    found = ((module.__name__, value) for module in modules for value in vars(module).values())
    own = [cls for name, cls in found if isinstance(cls, type) and cls.__module__.startswith(name)]
    return [f"{cls.__module__}.{cls.__qualname__}" for cls in own]


_PATHS = ("Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath")
_NAMES = (
    *_classes(builtins, datetime, decimal, fractions, uuid, torch.optim, torch.optim.lr_scheduler),
    *_classes(np, np.dtypes, omegaconf.base, omegaconf.nodes),
    *(f"{module}.{path}" for module in ("pathlib", "pathlib._local") for path in _PATHS),  # the latter of Python 3.13
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *(f"numpy.{core}.numeric._frombuffer" for core in ("core", "_core")),
    *("argparse.Namespace", "types.SimpleNamespace", "functools.partial", "zoneinfo.ZoneInfo._unpickle"),
    *("omegaconf.dictconfig.DictConfig", "omegaconf.listconfig.ListConfig", "typing.Any", "typing.Union"),
)

# For torch.serialization.safe_globals: the stand-in for a type, and the type's name in a file.
STAND_INS: list[Callable | tuple[Callable, str]] = [
    (_mapping, "collections.defaultdict"),
    *((type(name.rpartition(".")[2], (Unbuilt,), {}), name) for name in dict.fromkeys(_NAMES)),
]
