"""Python modules of the user's that add networks, data and other parts to the tables that configs choose from.

A plugin is named on the command line (``--plugin my_module``, ``--plugin file.py``) or is the entry point of an
installed package in the group ``repronet.plugins``. It is imported for no other reason: what a config or a checkpoint
holds is the name of a part or of a plugin, and never loads anything. Parts are entered by the decorators of
:mod:`repronet.config.register`. Needs no torch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import yaml

from repronet.errors import UserError, first_line

if TYPE_CHECKING:
    from omegaconf import DictConfig

ENTRY_POINTS = "repronet.plugins"
KINDS = ("model", "data", "optimizer", "loss", "augmentation_step", "callback")


@dataclass(frozen=True)
class Part:
    """What a plugin has registered.

    Attributes:
        kind: one of :data:`KINDS`; the first three are config groups.
        build: the registered class or function.
        title: the first line of its docstring.
        plugin: the name that brings it back: of a module, or of a file.
        config: the values of the choice, name first; empty where the kind is no group.
        keys: those of the values that are arguments of ``build``.
    """

    kind: str
    name: str
    build: Any
    title: str
    plugin: str
    config: Mapping[str, Any]
    keys: tuple[str, ...] = ()


PARTS: dict[tuple[str, str], Part] = {}
_LOADED: dict[str, ModuleType] = {}  # by the name that is recorded
_loading: list[str] = []  # the plugin whose code is running
_asked_for: list[str] = []


def load(name: str) -> None:
    """Import a plugin: a module by its name, or a file by its path.

    Raises:
        UserError: when there is none, or its code fails.
    """
    recorded = Path(name).name if name.endswith(".py") else name
    if recorded in _LOADED:
        return
    _loading.append(recorded)
    try:
        _LOADED[recorded] = _file(Path(name).expanduser()) if name.endswith(".py") else import_module(name)
    except UserError:
        raise
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0] and error.name != name:
            raise UserError(f"--plugin {name}: {first_line(error)}") from error
        wanted = f"{name}.py, its path" if Path(f"{name}.py").is_file() else "a module's name or the path of a .py file"
        raise UserError(f"--plugin {name}: no such module; give {wanted}") from error
    except Exception as error:
        reason = f"{type(error).__name__}: {first_line(error)} (debug=true shows where)"
        raise UserError(f"--plugin {name}: {reason}") from error
    finally:
        _loading.pop()


def _file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UserError(f"--plugin {path}: no such file; give a module's name or the path of a .py file")
    name = f"repronet_plugin_{path.stem}"
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)  # in sys.modules, as dataclasses and pickle look there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@cache
def load_installed() -> None:
    """Import the plugins of installed packages; asked for when a name is not known, and for a list of all names."""
    from importlib.metadata import entry_points  # here, as it is seldom needed and takes its time

    for point in entry_points(group=ENTRY_POINTS):
        load(point.module)


def plugin_of(build: Any) -> str:
    """The name that brings back what is being registered."""
    return _loading[-1] if _loading else str(build.__module__)


def enter(part: Part, taken: bool) -> None:
    """Add a part to what configs choose from.

    Args:
        taken: whether the name is one of repronet's own.

    Raises:
        UserError: for a name that there is.
    """
    there = PARTS.get((part.kind, part.name))
    if there is not None and _stem(there.plugin) != _stem(part.plugin):
        raise UserError(f"register.{part.kind}: {part.name} is registered by {there.plugin}; choose another name")
    if taken and there is None:
        raise UserError(f"register.{part.kind}: {part.name} is a name of repronet's; choose another one")
    PARTS[part.kind, part.name] = part


def _stem(plugin: str) -> str:
    """The same for ``--plugin my_parts.py`` and ``import my_parts``."""
    return plugin.removesuffix(".py")


def named(kind: str) -> dict[str, Part]:
    """The registered parts of a kind."""
    return {part.name: part for part in PARTS.values() if part.kind == kind}


def choices() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Group, name and values of every part that is a choice of a config group."""
    return ((part.kind, part.name, dict(part.config)) for part in PARTS.values() if part.config)


def options(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a group's values that are arguments of a registered part; none of a part of repronet's own."""
    part = PARTS.get((kind, str(values["name"])))
    return {key: values[key] for key in part.keys} if part else {}


def record(config: DictConfig) -> None:
    """Note in a config of a run which plugins it needs: those given, and those that have what it names."""
    chosen = [(group, config.get(group, {}).get("name")) for group in ("model", "data", "optimizer")]
    chosen += [("loss", config.model.get("loss")), *(("callback", name) for name in config.callbacks or ())]
    steps = config.augmentation.get("steps") or ()
    chosen += [("augmentation_step", step.get("op")) for step in steps if isinstance(step, Mapping)]
    if any(kind == "callback" and (kind, name) not in PARTS for kind, name in chosen):
        load_installed()
    used = [PARTS[key].plugin for key in chosen if key in PARTS]
    config.plugins = list(dict.fromkeys([*(config.plugins or ()), *_asked_for, *used]))


def give(names: list[str]) -> None:
    """Load what ``--plugin`` names, and record it in the configs of the runs that follow."""
    for name in names:
        load(name)
    _asked_for[:] = [Path(name).name if name.endswith(".py") else name for name in names]


def require(config: Mapping[str, Any], run: str | None = None) -> None:
    """Refuse a config that needs a plugin which is not loaded.

    Args:
        run: the folder of the run whose config it is.

    Raises:
        UserError: with the plugin's name; nothing is imported because a config names it.
    """
    loaded = {_stem(name) for name in (*_LOADED, *(part.plugin for part in PARTS.values()))}
    for name in config.get("plugins") or ():
        if _stem(name) not in loaded:
            whose = f"run {run}" if run else "this config"
            said = "was trained with" if run else "needs"
            raise UserError(f"{whose} {said} --plugin {name}; give it again")


def require_for(run: Path) -> None:
    """:func:`require` for the config in a run folder; a folder without a readable one is left to others.

    Raises:
        UserError: when a plugin is missing.
    """
    try:
        config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return
    if isinstance(config, dict) and isinstance(config.get("plugins"), list):
        require(config, str(run))
