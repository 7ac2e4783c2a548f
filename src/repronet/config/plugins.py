"""Users' Python modules that add networks, data and other parts to the tables that configs choose from.

A plugin is named on the command line (``--plugin my_module``, ``--plugin file.py``) or is the entry point of an
installed package in the group ``repronet.plugins``. It is imported for no other reason: a config or a checkpoint
has only names of parts and plugins, which never load anything. Parts are registered by the decorators of
:mod:`repronet.config.register`. Needs no torch.
"""

from __future__ import annotations

import inspect
import shlex
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from repronet.errors import Fault, UserError, first_line, nearest

ENTRY_POINTS = "repronet.plugins"
OURS = ("repronet.classical.choices",)  # come with repronet, and are loaded without being named by --plugin


@dataclass(frozen=True)
class Part:
    """A part that a plugin has registered."""

    kind: str  # model, data or optimizer, which are config groups; loss, augmentation_step or callback
    name: str
    build: Any  # the registered class or function
    title: str  # the first line of its docstring
    plugin: str  # the name that loads it again: of a module, or of a file
    config: Mapping[str, Any]  # the values of the choice, name first; empty if the kind is no group
    keys: tuple[str, ...] = ()  # the keys of ``config`` that are arguments of ``build``


PARTS: dict[tuple[str, str], Part] = {}
_LOADED: dict[str, ModuleType] = {}  # by the name that is recorded
_given: dict[str, str] = {}  # the values of --plugin by recorded name; paths are from the working folder
_loading: list[str] = []  # the plugin whose code is running


def load(name: str) -> None:
    """Import a plugin: a module by its name, or a file by its path."""
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


def class_named(words: str) -> Any:
    """The user's class of that name: ``my_package.MyLayer``, ``my_layers.py:MyLayer``.

    Modules are looked for in the working folder first, as by ``python -m``.
    """
    place, _, name = words.rpartition(":" if ":" in words else ".")
    recorded = Path(place).name if place.endswith(".py") else place
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        load(place)
    except UserError as error:
        raise UserError(str(error).replace("--plugin ", "", 1)) from error
    found = getattr(_LOADED[recorded], name, None)
    if not callable(found):
        raise UserError(f"{words}: {place} has no class {name}{nearest(name, vars(_LOADED[recorded]))}")
    return found


def load_installed() -> bool:
    """Import the plugins of installed packages; called for an unknown name and for a list of all names.

    Returns:
        Whether any of them had not been imported before.
    """
    from importlib.metadata import entry_points  # here, as it is seldom needed and slow

    modules = (*OURS, *(point.module for point in entry_points(group=ENTRY_POINTS)))
    found = [module for module in modules if module not in _LOADED]
    for module in found:
        load(module)
    return bool(found)


def enter(
    kind: str, name: str, build: Any, taken: bool, config: Mapping[str, Any] | None = None, keys: tuple[str, ...] = ()
) -> None:
    """Register a part of the plugin that is being loaded, for configs to choose; see :class:`Part`.

    Args:
        taken: whether the name is one of repronet's own.
    """
    plugin = _loading[-1] if _loading else str(build.__module__)
    there = PARTS.get((kind, name))
    if there is not None and _stem(there.plugin) != _stem(plugin):
        raise UserError(f"register.{kind}: {name} is registered by {there.plugin}; choose another name")
    if taken and there is None:
        raise UserError(f"register.{kind}: {name} is a name of repronet's; choose another one")
    title = (inspect.getdoc(build) or name).splitlines()[0]
    PARTS[kind, name] = Part(kind, name, build, title, plugin, config or {}, keys)


def _stem(plugin: str) -> str:
    """The name without ``.py``: the same for ``--plugin my_parts.py`` and ``import my_parts``."""
    return plugin.removesuffix(".py")


def named(kind: str) -> dict[str, Part]:
    """The registered parts of a kind."""
    return {part.name: part for part in PARTS.values() if part.kind == kind}


def choices() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Group, name and values of every part that is a choice of a config group."""
    return ((part.kind, part.name, dict(part.config)) for part in PARTS.values() if part.config)


def options(data: Mapping[str, Any]) -> dict[str, Any]:
    """The values of ``data`` that are arguments of a registered part; empty for repronet's own datasets."""
    part = PARTS.get(("data", str(data["name"])))
    return {key: data[key] for key in part.keys} if part else {}


def chosen(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Kind and name of every part in a run's config that may come from a plugin."""
    groups = {group: values for group, values in config.items() if isinstance(values, Mapping)}
    found = [(kind, groups.get(kind, {}).get("name")) for kind in ("model", "data", "optimizer")]
    found.append(("loss", groups.get("model", {}).get("loss")))
    lists = (("callback", config.get("callbacks")), ("augmentation_step", groups.get("augmentation", {}).get("steps")))
    for kind, values in lists:
        given = values if isinstance(values, list) else []
        found += [(kind, value.get("op") if isinstance(value, Mapping) else value) for value in given]
    return [(kind, str(name)) for kind, name in found]


def declared(config: Mapping[str, Any]) -> list[str]:
    """The plugins that a config names; anything but a list of names is left to the check of its types."""
    values = config.get("plugins")
    return [name for name in values if isinstance(name, str)] if isinstance(values, list) else []


def needed(config: Mapping[str, Any]) -> list[str]:
    """The plugins of a run with that config: those it names, those given, and those that have its parts."""
    used = [PARTS[part].plugin for part in chosen(config) if part in PARTS]
    return list(dict.fromkeys([*declared(config), *_given, *used]))


def give(names: list[str]) -> None:
    """Load the plugins that ``--plugin`` names, and record them in the configs of the runs that follow."""
    for name in names:
        load(name)
    _given.clear()
    _given.update({Path(name).name if name.endswith(".py") else name: name for name in names})


def given(config: Mapping[str, Any]) -> list[str]:
    """The values of ``--plugin`` for a run of that config: names and paths that another process can load."""
    return [_given.get(name, name) for name in map(str, config.get("plugins") or ())]


def asked_for() -> tuple[str, ...]:
    """The values of ``--plugin`` to pass to another process: files by their absolute paths."""
    return tuple(str(Path(name).expanduser().resolve()) if name.endswith(".py") else name for name in _given.values())


def words(config: Mapping[str, Any]) -> str:
    """The text ``" --plugin my_parts.py"`` to append to a command for a run of that config, or an empty one."""
    return "".join(f" --plugin {shlex.quote(name)}" for name in given(config) if name not in OURS)


def require(config: Mapping[str, Any], run: str | None = None) -> None:
    """Refuse a config that needs a plugin which is not loaded.

    Nothing is imported because a config names it, except plugins that come with repronet.

    Args:
        run: the folder of the run whose config it is.
    """
    for name in set(OURS) & set(declared(config)):
        load(name)
    loaded = {_stem(name) for name in (*_LOADED, *(part.plugin for part in PARTS.values()))}
    for name in declared(config):
        if _stem(name) not in loaded:
            whose = f"run {run}" if run else "this config"
            said = "was trained with" if run else "needs"
            raise UserError(f"{whose} {said} --plugin {name}; give it again (in Python: import {_stem(name)} first)")


def require_for(run: Path) -> None:
    """:func:`require` for the config in a run folder; a folder without a readable config is ignored.

    Raises:
        UserError: when a plugin is missing.
    """
    try:
        config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return
    if isinstance(config, dict):
        require(config, str(run))


@contextmanager
def naming_parts(hint: str = "") -> Iterator[None]:
    """Turn an error in a plugin's code into one that names the part and the line.

    Args:
        hint: text to append to the message.
    """
    try:
        yield
    except (UserError, Fault):
        raise
    except Exception as error:
        place = place_in(error)
        if place is None:
            raise
        raise Fault(f"{place}: {type(error).__name__}: {first_line(error)}{hint}") from error


def place_in(error: Exception) -> str | None:
    """The part and the last line of plugin code that an exception passed through; None if it passed through none."""
    parts = [(getattr(sys.modules.get(p.build.__module__), "__file__", None), p) for p in PARTS.values()]
    files = {file for file, _ in parts}
    frames = [(f.f_code, line) for f, line in traceback.walk_tb(error.__traceback__) if f.f_code.co_filename in files]
    if not frames:
        return None
    code, line = frames[-1]
    owner = (code.co_filename, code.co_qualname.partition(".")[0])
    names = [
        f"{part.kind.replace('_', ' ')} {part.name}, " for file, part in parts if (file, part.build.__name__) == owner
    ]
    return f"{names[0] if names else ''}{Path(code.co_filename).name}:{line}"
