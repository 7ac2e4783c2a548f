"""Lazy loading of large modules that libraries import at their top and that most commands never use.

Lightning imports torchmetrics, whose ``__init__`` imports scipy.signal, matplotlib and torchvision; torchvision's
imports its models, whose operators import torch's compiler, and so does the first optimizer. That takes more than half
of the time before a first step. Here such a module is put into ``sys.modules`` with only its path and its name, so that
its submodules can be imported; its code runs when a name is looked up in it that :data:`ELSEWHERE` does not list.
Everything that a library offers is still there, only loaded later. Only the command line does this: see :func:`defer`.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Sequence
from functools import wraps
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

# Names that are available without running the module, each with the submodule that defines it.
ELSEWHERE: dict[str, dict[str, str]] = {
    "torchmetrics": {
        "Metric": "torchmetrics.utilities.checks",
        "MetricCollection": "torchmetrics.collections",
        "__version__": "torchmetrics.__about__",
    },
    "torchmetrics.classification": {
        "MulticlassConfusionMatrix": "torchmetrics.classification.confusion_matrix",
        "MultilabelConfusionMatrix": "torchmetrics.classification.confusion_matrix",
    },
    "torchmetrics.functional": {},
    "torchmetrics.functional.classification": {},
    "torchmetrics.utilities.plot": {},
    "torchvision.models": {},
    "torchvision.ops": {},
    "torchvision.datasets": {},
    "torch._dynamo": {},
}
WHOLE = ("torch._dynamo",)  # packages whose submodules do not work without the package's own code
_running = threading.RLock()  # a module runs once, whichever thread asks first


class _Deferred(ModuleType):
    """A module whose code has not run. Python calls ``__getattr__`` only for names that are not there yet."""

    def __getattr__(self, name: str) -> Any:
        module = self.__name__
        if name in ELSEWHERE[module]:
            return getattr(import_module(ELSEWHERE[module][name]), name)
        if module in STAND_INS and (found := STAND_INS[module](self, name)) is not None:
            return found
        if name.startswith("__"):  # inspect and pickle look these up in every module
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return getattr(run(self), name)


def run(module: ModuleType) -> ModuleType:
    """Run the code of the module, if it has not run yet, and return the module."""
    with _running:
        if isinstance(module, _Deferred):
            module.__class__ = ModuleType  # type: ignore[assignment]
            assert module.__spec__ is not None
            assert isinstance(module.__spec__.loader, _Deferring)
            loader = module.__spec__.loader.real
            module.__spec__.loader = module.__loader__ = loader
            loader.exec_module(module)
    return module


def _plotting(module: ModuleType, name: str) -> Any:
    """Stand-ins for torchmetrics' plots: types in annotations, and functions that a metric calls when it is plotted."""
    if name.startswith("plot_"):
        return lambda *given, **named: getattr(run(module), name)(*given, **named)
    return object if name.isupper() else None


def _compiling(module: ModuleType, name: str) -> Any:
    """Stand-ins for torch's compiler: ``disable``, by which an optimizer excludes its functions from compilation;
    ``graph_break``, which does nothing while nothing is compiled; ``assume_constant_result``, which marks a function;
    and the type of compiled modules, which Lightning looks for. Once something is compiled, the compiler's own serve.
    """
    if name == "graph_break":
        return lambda: None
    if name == "assume_constant_result":
        return _constant
    if name == "disable":
        return _left_alone(module)
    return _Compiled("OptimizedModule", (), {"home": module}) if name == "OptimizedModule" else None


def _constant(function: Callable[..., Any]) -> Callable[..., Any]:
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]  # the mark that the compiler looks for
    return function


def _left_alone(module: ModuleType) -> Callable[..., Any]:
    def disable(function: Callable[..., Any] | None = None, *given: Any, **named: Any) -> Callable[..., Any]:
        if function is None:  # disable(reason=…) returns a decorator
            return lambda later: disable(later, *given, **named)

        @wraps(function)
        def left_alone(*values: Any, **keys: Any) -> Any:
            compiles = not isinstance(module, _Deferred)
            return (module.disable(function, *given, **named) if compiles else function)(*values, **keys)

        return left_alone

    return disable


class _Compiled(type):
    """A stand-in for a type of a deferred module: nothing is an instance of it before that module has run."""

    home: ModuleType

    def __instancecheck__(cls, instance: Any) -> bool:
        return not isinstance(cls.home, _Deferred) and isinstance(instance, getattr(cls.home, cls.__name__))


STAND_INS: dict[str, Callable[[ModuleType, str], Any]] = {
    "torchmetrics": lambda module, name: logging.getLogger("torchmetrics") if name == "_logger" else None,
    "torchmetrics.utilities.plot": _plotting,
    "torch._dynamo": _compiling,
}


class _Deferring(Loader):
    def __init__(self, real: Loader):
        self.real = real

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__class__ = _Deferred


class _There(Loader):
    """A loader for a submodule that its package has imported in the meantime."""

    def __init__(self, module: ModuleType):
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        package = name.rpartition(".")[0]
        if package in WHOLE and isinstance(sys.modules[package], _Deferred):
            run(sys.modules[package])
            return ModuleSpec(name, _There(sys.modules[name])) if name in sys.modules else None
        if name not in ELSEWHERE:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Deferring(spec.loader)
        return spec


def defer() -> None:
    """Defer the modules of :data:`ELSEWHERE` that are imported from now on in this process."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
