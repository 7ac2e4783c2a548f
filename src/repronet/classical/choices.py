"""The names of the pipelines and their config keys. Does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from repronet.config import register
from repronet.config.fields import defaults_of, optional
from repronet.constraints import COUNT, RATES

if TYPE_CHECKING:
    from repronet.classical.fitting import Pipeline

COSTS = [0.01, 0.1, 1.0, 10.0]


@dataclass
class Keys:
    """The config keys of every pipeline."""

    costs: list[float] = optional(RATES, "values of the SVM's C; validation chooses among them", COSTS)
    size: int = optional(COUNT, "height and width that images are resized to", 32)


@dataclass
class HogKeys(Keys):
    cell: int = optional(COUNT, "pixels of a cell's side", 4)
    orientations: int = optional(COUNT, "orientation bins of the histogram", 9)


@dataclass
class SiftKeys(Keys):
    stride: int = optional(COUNT, "pixels between two descriptors", 2)
    bin: int = optional(COUNT, "pixels of a side of the 4×4 cells of a descriptor", 3)


@dataclass
class WordKeys(SiftKeys):
    words: int = optional(COUNT, "visual words in the vocabulary", 400)
    levels: int = optional(COUNT, "levels of the pyramid; 3: 1×1, 2×2 and 4×4 cells", 3)


@dataclass
class FisherKeys(SiftKeys):
    gaussians: int = optional(COUNT, "Gaussians of the mixture", 64)
    components: int = optional(COUNT, "principal components of a descriptor that are kept", 64)


def _enter(name: str, kind: str, keys: type, title: str) -> None:
    """Register the class ``kind`` of :mod:`repronet.classical.pipelines`, imported only when it is built."""

    def build(num_classes: int, in_channels: int, layers: ModuleType, **values: Any) -> Pipeline:
        pipelines = import_module("repronet.classical.pipelines")
        return getattr(pipelines, kind)(num_classes, in_channels, layers, **{**defaults_of(keys), **values})

    build.__doc__ = title
    register.model(name, keys=keys)(build)


_enter("pixels_svm", "PixelsSvm", Keys, "Pixels with a linear SVM")
_enter("hog_svm", "HogSvm", HogKeys, "2005: histograms of oriented gradients with a linear SVM")
_enter("bovw_spm_svm", "BovwSpmSvm", WordKeys, "2006: visual words in a spatial pyramid, χ² kernel map, linear SVM")
_enter("fisher_svm", "FisherSvm", FisherKeys, "2010: Fisher vectors of dense SIFT with a linear SVM")
