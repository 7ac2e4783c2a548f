"""Rules for the connections and receptive fields of layers that torch lacks, which their operations do not show."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.utils import parametrize

from repronet import layers
from repronet.analysis.receptive_field import Field
from repronet.functional.windows import pair
from repronet.models.lenet import ConnectionTable, EuclideanRBF, Subsampling


@dataclass(frozen=True)
class Count:
    """The counts of a layer for one image."""

    macs: int  # multiply-accumulates, without biases
    connections: int  # inputs of all units that have a weight or a coefficient, and their biases


def _table_convolution(module: Any, read: Count, neurons: int) -> Count:
    """A convolution with a connection table: its dense kernel is zero where there is no connection."""
    table = _table_of(module)
    assert table is not None
    macs = read.macs * table.target.numel() // math.prod(table.shape)
    return Count(macs, macs + read.connections - read.macs)


def _subsampling(module: Any, read: Count, neurons: int) -> Count:
    """A unit connects to its window's inputs and a bias (LeCun et al. 1998, section II.B); only their sum is scaled."""
    return Count(0, neurons * (math.prod(pair(module.window_sum.kernel_size, "kernel_size")) + 1))


def _locally_connected(module: Any, read: Count, neurons: int) -> Count:
    """Every connection has its own weight."""
    macs = module.weight.numel()
    return Count(macs, macs + (neurons if module.bias is not None else 0))


Counting = Callable[[Any, Count, int], Count]

_COUNTS: dict[type[nn.Module], Counting] = {
    Subsampling: _subsampling,
    # A unit compares every input with its code.
    EuclideanRBF: lambda module, read, neurons: Count(module.codes.numel(), module.codes.numel()),
    layers.LocallyConnected2d: _locally_connected,
}


def counting(module: nn.Module) -> Counting | None:
    """The rule, (module, count from the operations, neurons) → count, of a layer that its operations miscount."""
    if _table_of(module) is not None:
        return _table_convolution
    return next((rule for kind, rule in _COUNTS.items() if isinstance(module, kind)), None)


def _table_of(module: nn.Module) -> ConnectionTable | None:
    if not parametrize.is_parametrized(module, "weight"):
        return None
    steps = module.parametrizations["weight"]  # type: ignore[index]
    return next((step for step in steps if isinstance(step, ConnectionTable)), None)  # type: ignore[union-attr]


def _two_neighbourhoods(module: Any, before: Field) -> Field:
    """Two windows in a row: subtract the local mean from each pixel, then divide by the local deviation."""
    side, around = [module.size], [module.size // 2]
    return before.behind(side, [1], around, [1]).behind(side, [1], around, [1])


_FIELDS: dict[type[nn.Module], Callable[[Any, Field], Field]] = {
    layers.LocallyConnected2d: lambda module, before: before.behind(
        module.weight.shape[2:4], module.stride, module.padding, module.dilation
    ),
    layers.LocalContrastNorm: _two_neighbourhoods,
    layers.ResponseNormWithinMaps: lambda module, before: before.behind([module.size], [1], [module.size // 2], [1]),
    **dict.fromkeys(  # elementwise
        (layers.KrizhevskyResponseNorm, layers.FeaturePool, layers.Maxout, layers.ScaledTanh),
        lambda module, before: before,
    ),
}


def field_behind(module: nn.Module, before: Field) -> Field | None:
    """The field of the layer's units, if `before` is its input's; None if it can be read from the operations."""
    rule = next((rule for kind, rule in _FIELDS.items() if isinstance(module, kind)), None)
    return None if rule is None else rule(module, before)
