"""The notation in which a network's release is written down: operators in chains, and what they state of themselves.

A chain is a sequence of operators, each fed by the one before it. Where a network branches, an operator holds chains
that all start from the same maps. An operator states only what its file states; what the file leaves open is not
compared. Windows, strides and paddings are in pixels, one integer or (height, width).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

Sides = int | tuple[int, int]
Value = Sides | float | bool | str
UP, DOWN = "up", "down"

# How far fresh weights spread, where the file gives a rule: of the inputs and outputs that a weight tensor connects.
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

    kind: str  #: what it does
    settings: Mapping[str, Value] = field(default_factory=dict)  #: what the file states about it, by name
    branches: tuple[Chain, ...] = ()  #: chains whose outputs it joins; an empty one passes the maps on as they are


Chain = tuple[Operator, ...]


def chain(*parts: Operator | Chain) -> Chain:
    """Operators and chains, one behind the other."""
    return tuple(operator for part in parts for operator in ((part,) if isinstance(part, Operator) else part))


def _stated(kind: str, **settings: Value | None) -> Operator:
    stated = {name.replace("_", " "): value for name, value in settings.items() if value is not None}
    return Operator(kind, {name: _square(value) for name, value in stated.items()})


def _square(value: Value) -> Value:
    """One side for two that are equal."""
    return value[0] if isinstance(value, tuple) and value[0] == value[1] else value


def normal(spread: float | str) -> str:
    """Weights that start normal with that standard deviation, a number or a key of :data:`RULES`."""
    return f"normal {spread}"


def truncated(deviation: float) -> str:
    """Weights that start normal, drawn again or cut off at two deviations."""
    return f"truncated normal {deviation}"


def uniform(bound: str) -> str:
    """Weights that start uniform between plus and minus that bound, a key of :data:`RULES`."""
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
        bias: False for none, True for one, a number for one that starts there.
        start: of the weights; None where the file does not say.
        rounds: which way the size of its maps rounds.
        table: connections between maps, where not all are connected.
    """
    settings = {"stride": stride, "padding": padding, "groups": groups, "rounds": rounds, "table": table}
    return _weighted("convolution", bias, start, maps=maps, window=window, **settings)


def local(maps: int, window: Sides, padding: Sides, *, bias: bool | float = True, start: str | None = None) -> Operator:
    """A locally connected layer with stride 1: weights of their own at every place."""
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
    """The mean over windows; `counts_padding` is whether padded pixels count where there are some."""
    settings = {"padding": padding, "rounds": rounds, "counts_padding": counts_padding}
    return _stated("average pool", window=window, stride=stride, **settings)


def mean() -> Operator:
    """The mean of every map, however a file writes it: by a window as large as the map, or as global pooling."""
    return _stated("average pool", window="whole map")


def subsampling(window: int) -> Operator:
    """LeNet-5's: the sum over windows that do not overlap, times a coefficient, plus a bias."""
    return _stated("subsampling", window=window)


def response_norm(size: int, alpha: float, beta: float, k: float, over: str = "maps") -> Operator:
    """a / (k + α/n Σ a²)^β over `size` neighbouring maps, or over size × size pixels of one map.

    Args:
        alpha: as the software reads it: divided by the n numbers that are summed.
        over: "maps" or "pixels".
    """
    return _stated("response norm", size=size, alpha=alpha, beta=beta, k=k, over=over)


def batch_norm(eps: float = 1e-5, decay: float | None = None, *, gain: bool = True) -> Operator:
    """Batch normalisation with a shift; a Caffe pair of BatchNorm and Scale is one.

    Args:
        decay: what a running mean keeps of itself at a step; None where the file is for evaluation alone.
        gain: whether a gain is learned beside the shift.
    """
    return _stated("batch norm", eps=eps, decay=decay, gain=gain)


def dropout(share: float) -> Operator:
    """`share` is what is dropped."""
    return _stated("dropout", share=share)


def padded_shortcut(stride: int, zeros: str) -> Operator:
    """Every `stride`-th row and column, and as many maps of zeros again; `zeros`: where they stand."""
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
    """Branches side by side as maps. One at the end of another's branch is a part of that."""
    return Operator("concatenation", branches=tuple(map(tuple, branches)))


def gate(*factors: Operator) -> Operator:
    """The maps times what the chain makes of them."""
    return Operator("product", branches=((), factors))


def head(*operators: Operator) -> Operator:
    """An auxiliary classifier: the chain ends in an output of its own, the maps go on as they are."""
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
    """A difference between a release and our network that is meant."""

    what: str  #: the setting, or "operator" for one that only one of them has, or that is of another kind
    #: theirs, ours: its values. An operator is written as the command prints it, and "none".
    theirs: Value
    ours: Value
    why: str  #: the reason
    #: where it stands in our network, with ``*`` and ``?``; for an operator of theirs alone, behind which of
    #: ours
    at: str = "*"

    def __str__(self) -> str:
        return f"{self.what}: theirs {shown(self.theirs)}, ours {shown(self.ours)}"


def differences(why: str, *found: tuple[str, Value, Value], at: str = "*") -> tuple[Difference, ...]:
    """Several with the same reason and place, each (what, theirs, ours)."""
    return tuple(Difference(what, theirs, ours, why, at) for what, theirs, ours in found)


@dataclass(frozen=True)
class Release:
    """What the authors of a network, or those who stand for them here, published as its definition."""

    source: str  #: repository and path
    operators: Chain  #: the network, from the image to the scores, without softmax and loss
    differences: tuple[Difference, ...] = ()  #: of our network from it
    note: str = ""  #: what must be known of the source: a copy, a reproduction, a variant
    dropout: float | None = None  #: what our network is set to drop, where it drops nothing by default
