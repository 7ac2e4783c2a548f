"""Densely connected networks, from the authors' program.

Without augmentation on CIFAR, it has dropout 0.2 after every convolution but the first (README.md), otherwise none.
"""

from __future__ import annotations

from collections.abc import Sequence

from repronet.papers.releases.notation import (
    RELU,
    Chain,
    Release,
    avg_pool,
    chain,
    concat,
    conv,
    dropout,
    linear,
    max_pool,
    mean,
)
from repronet.papers.releases.resnet import CLASSIFIER, HE, NORM

_SOURCE = "liuzhuang13/DenseNet models/densenet.lua, models/DenseConnectLayer.lua"
_BEFORE = "liuzhuang13/DenseNet densenet.lua of August 2016"


def _blocks(depths: Sequence[int], channels: int, growth: int, *, bc: bool, dropped: Chain = ()) -> Chain:
    """Dense blocks with transitions between them, which halve the number of maps if there are bottlenecks (``bc``)."""
    layer = chain(NORM, RELU, conv(growth, 3, 1, 1, start=HE), dropped)
    if bc:
        layer = chain(NORM, RELU, conv(4 * growth, 1, start=HE), dropped, layer)
    parts: list[Chain] = []
    for index, depth in enumerate(depths):
        if index:
            parts.append(chain(NORM, RELU, conv(channels, 1, start=HE), dropped, avg_pool(2, 2)))
        parts.append(chain(concat((), layer)) * depth)
        channels = (channels + depth * growth) // (2 if bc else 1)
    return chain(*parts, NORM, RELU, mean())


def _cifar(depth: int, growth: int, *, bc: bool) -> Release:
    channels, each = 2 * growth if bc else 16, (depth - 4) // (6 if bc else 3)
    dense = _blocks((each, each, each), channels, growth, bc=bc, dropped=(dropout(0.2),))
    classes = linear(10, bias=0.0, start=CLASSIFIER)
    operators = chain(conv(channels, 3, 1, 1, start=HE), dense, classes)
    return Release(_SOURCE if bc else _BEFORE, operators, dropout=0.2)


def _imagenet(growth: int, *depths: int) -> Release:
    stem = chain(conv(2 * growth, 7, 2, 3, start=HE), NORM, RELU, max_pool(3, 2, 1))
    classes = linear(1000, bias=0.0, start=CLASSIFIER)
    operators = chain(stem, _blocks(depths, 2 * growth, growth, bc=True), classes)
    return Release(_SOURCE, operators, note="shicai/DenseNet-Caffe, its weights' conversion, has the same operators")


RELEASES = {
    "densenet121": _imagenet(32, 6, 12, 24, 16),
    "densenet169": _imagenet(32, 6, 12, 32, 32),
    "densenet201": _imagenet(32, 6, 12, 48, 32),
    "densenet161": _imagenet(48, 6, 12, 36, 24),
    "densenet40_12": _cifar(40, 12, bc=False),
    "densenet100_12": _cifar(100, 12, bc=False),
    "densenet_bc_100_12": _cifar(100, 12, bc=True),
    "densenet_bc_250_24": _cifar(250, 24, bc=True),
    "densenet_bc_190_40": _cifar(190, 40, bc=True),
}
