"""The notation for a network's release: chains of operators with their settings.

A chain is a sequence of operators, each fed by the one before it. Where a network branches, an operator holds chains
that all start from the same maps. An operator has only the settings that its file states; those left open are not
compared. Windows, strides and paddings are in pixels, one integer or (height, width).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

Sides = int | tuple[int, int]
Value = Sides | float | bool | str
UP, DOWN = "up", "down"

# Rules for the spread of initial weights, functions of the fan-in and fan-out of a weight tensor.
RULES: dict[str, Callable[[int, int], float]] = {
    "√(1/fan-in)": lambda fan_in, fan_out: math.sqrt(1 / fan_in),
    "√(2/fan-in)": lambda fan_in, fan_out: math.sqrt(2 / fan_in),
    "√(2/fan-out)": lambda fan_in, fan_out: math.sqrt(2 / fan_out),
    "√(3/fan-in)": lambda fan_in, fan_out: math.sqrt(3 / fan_in),
    "2.4/fan-in": lambda fan_in, fan_out: 2.4 / fan_in,
}


@dataclass(frozen=True)
class Operator:
    """One operator of a release."""

    kind: str  #: the kind of operator
    settings: Mapping[str, Value] = field(default_factory=dict)  #: the settings that the file states, by name
    branches: tuple[Chain, ...] = ()  #: chains whose outputs it joins; an empty chain is the identity


Chain = tuple[Operator, ...]


def chain(*parts: Operator | Chain) -> Chain:
    """Join operators and chains into one chain."""
    return tuple(operator for part in parts for operator in ((part,) if isinstance(part, Operator) else part))


def _stated(kind: str, **settings: Value | None) -> Operator:
    stated = {name.replace("_", " "): value for name, value in settings.items() if value is not None}
    return Operator(kind, {name: _square(value) for name, value in stated.items()})


def _square(value: Value) -> Value:
    """A single number for a pair of equal sides."""
    return value[0] if isinstance(value, tuple) and value[0] == value[1] else value


def normal(spread: float | str) -> str:
    """Initial weights from a normal distribution with this standard deviation, a number or a key of :data:`RULES`."""
    return f"normal {spread}"


def truncated(deviation: float) -> str:
    """Initial weights from a normal distribution, redrawn or clipped beyond two standard deviations."""
    return f"truncated normal {deviation}"


def uniform(bound: str) -> str:
    """Initial weights from a uniform distribution between minus and plus this bound, a key of :data:`RULES`."""
    return f"uniform {bound}"


def _weighted(kind: str, bias: bool | float, start: str | None, **settings: Value | None) -> Operator:
    starts = None if isinstance(bias, bool) else float(bias)
    return _stated(kind, **settings, bias=bias is not False, weights_start=start, bias_starts=starts)


def conv(
    maps: int,
    window: Sides,
    stride: int = 1,
    padding: Sides = 0,
    *,
    groups: int = 1,
    bias: bool | float = False,
    start: str | None = None,
    rounds: str = DOWN,
    table: int | None = None,
) -> Operator:
    """A convolution.

    Args:
        bias: False for none, True for one, a number for one with that initial value.
        start: the initialisation of the weights; None if the file does not say.
        rounds: the direction in which the size of its maps is rounded.
        table: number of connections between maps, if not all are connected.
    """
    settings = {"stride": stride, "padding": padding, "groups": groups, "rounds": rounds, "table": table}
    return _weighted("convolution", bias, start, maps=maps, window=window, **settings)


def local(maps: int, window: Sides, padding: Sides, *, bias: bool | float = True, start: str | None = None) -> Operator:
    """A locally connected layer with stride 1: separate weights at every position."""
    return _weighted("locally connected", bias, start, maps=maps, window=window, stride=1, padding=padding)


def linear(outputs: int, *, bias: bool | float = True, start: str | None = None) -> Operator:
    """A fully connected layer, or a 1×1 convolution of maps of one pixel."""
    return _weighted("linear", bias, start, outputs=outputs)


def max_pool(window: Sides, stride: int, padding: Sides = 0, *, rounds: str = DOWN) -> Operator:
    """The maximum over windows."""
    return _stated("max pool", window=window, stride=stride, padding=padding, rounds=rounds)


def avg_pool(
    window: Sides, stride: int, padding: Sides = 0, *, rounds: str = DOWN, counts_padding: bool | None = None
) -> Operator:
    """The mean over windows; `counts_padding` says whether padded pixels count in it."""
    settings = {"padding": padding, "rounds": rounds, "counts_padding": counts_padding}
    return _stated("average pool", window=window, stride=stride, **settings)


def mean() -> Operator:
    """The mean of every map, whether the file has a window as large as the map or global pooling."""
    return _stated("average pool", window="whole map")


def subsampling(window: int) -> Operator:
    """LeNet-5's subsampling: the sum over windows that do not overlap, times a coefficient, plus a bias."""
    return _stated("subsampling", window=window)


def response_norm(size: int, alpha: float, beta: float, k: float, over: str = "maps") -> Operator:
    """a / (k + α/n Σ a²)^β over `size` neighbouring maps, or over size × size pixels of one map.

    Args:
        alpha: α in the software's convention: divided by n, the count of summed values.
        over: "maps" or "pixels".
    """
    return _stated("response norm", size=size, alpha=alpha, beta=beta, k=k, over=over)


def batch_norm(eps: float = 1e-5, decay: float | None = None, *, gain: bool = True) -> Operator:
    """Batch normalisation with a shift; Caffe's pair of BatchNorm and Scale is one such operator.

    Args:
        decay: the share of its old value that a running mean keeps per step; None if the file is only for evaluation.
        gain: whether a gain is learned besides the shift.
    """
    return _stated("batch norm", eps=eps, decay=decay, gain=gain)


def dropout(share: float) -> Operator:
    """Dropout; `share` is the probability of dropping a value."""
    return _stated("dropout", share=share)


def padded_shortcut(stride: int, zeros: str) -> Operator:
    """Every `stride`-th row and column, plus an equal number of maps of zeros; `zeros`: their position."""
    return _stated("padded shortcut", stride=stride, zeros=zeros)


def rbf(outputs: int) -> Operator:
    """Squared distances to fixed codes."""
    return _stated("radial basis functions", outputs=outputs)


def scaled_tanh(amplitude: float, slope: float) -> Operator:
    """amplitude · tanh(slope · a)."""
    return _stated("scaled tanh", amplitude=amplitude, slope=slope)


RELU, SIGMOID = Operator("relu"), Operator("sigmoid")


def add(*branches: Iterable[Operator]) -> Operator:
    """The sum of branches, the longest first; ``()`` is the identity."""
    return Operator("sum", branches=tuple(map(tuple, branches)))


def concat(*branches: Iterable[Operator]) -> Operator:
    """The concatenation of branches along the maps; one at the end of another's branch is merged into it."""
    return Operator("concatenation", branches=tuple(map(tuple, branches)))


def gate(*factors: Operator) -> Operator:
    """The maps times the output of a chain applied to them."""
    return Operator("product", branches=((), factors))


def head(*operators: Operator) -> Operator:
    """An auxiliary classifier: the chain ends in an output of its own, and the maps pass on unchanged."""
    return Operator("head", branches=(operators,))


def shown(value: object) -> str:
    """A value of a setting in words."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return "×".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Difference:
    """An intended difference between a release and our network."""

    what: str  #: the setting, or "operator" if only one of them has the operator or its kind differs
    #: theirs, ours: the two values. An operator is written as the command prints it, an absent one as "none".
    theirs: Value
    ours: Value
    why: str  #: the reason
    #: its place in our network, with the wildcards ``*`` and ``?``; for an operator that only they have, the
    #: operator of ours that it follows
    at: str = "*"

    def __str__(self) -> str:
        return f"{self.what}: theirs {shown(self.theirs)}, ours {shown(self.ours)}"


def differences(why: str, *found: tuple[str, Value, Value], at: str = "*") -> tuple[Difference, ...]:
    """Several differences with the same reason and place, each (what, theirs, ours)."""
    return tuple(Difference(what, theirs, ours, why, at) for what, theirs, ours in found)


@dataclass(frozen=True)
class Release:
    """The definition of a network as its authors, or others in their place, published it."""

    source: str  #: repository and path
    operators: Chain  #: the network, from the image to the scores, without softmax and loss
    differences: tuple[Difference, ...] = ()  #: our network's intended differences from it
    note: str = ""  #: a remark on the source, such as a copy, a reproduction or a variant
    dropout: float | None = None  #: the dropout set in our network for the comparison, if it has none by default
