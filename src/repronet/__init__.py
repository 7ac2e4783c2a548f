"""repronet: the classic convolutional networks, rebuilt from layers whose gradients are written out and proved.

    import repronet

    result = repronet.train("model=lenet5", "data=mnist5k")
    repronet.load(result.run_dir).predict("digit.png")
    datamodule = repronet.data("cifar10")

Heavy dependencies are imported only when they are needed.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import repronet.data as _data

if TYPE_CHECKING:
    from repronet.api import Result, load, train
    from repronet.config import register
    from repronet.data.module import ImageDataModule
    from repronet.training.module import ImageClassifier

__version__ = "0.2.0"

__all__ = ["ImageClassifier", "ImageDataModule", "Result", "load", "register", "train"]

_PLACES = {
    "ImageClassifier": "repronet.training.module",
    "ImageDataModule": "repronet.data.module",
    "Result": "repronet.api",
    "load": "repronet.api",
    "register": "repronet.config.register",
    "train": "repronet.api",
}


_PACKAGES = ("data", "functional", "layers", "models", "papers", "weights")  # available without an import of their own


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"repronet.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module 'repronet' has no attribute {name!r}")
    module = import_module(_PLACES[name])
    return module if name == "register" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*_PLACES, *_PACKAGES, "__version__"])


class _DataPackage(ModuleType):
    """The package repronet.data, which is also a function: ``repronet.data("cifar10")``."""

    def __call__(self, name: str, *overrides: str) -> ImageDataModule:
        return import_module("repronet.api").data(name, *overrides)


sys.modules[_data.__name__].__class__ = _DataPackage
