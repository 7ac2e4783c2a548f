"""A network of ours as a list of steps in the notation of :mod:`repronet.papers.releases`.

The network is built and run once on torch's meta device, without memory for weights: a hook on every layer reads its
settings, a mode sees how layers are joined, and another how fresh weights were drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from repronet import layers, models
from repronet.analysis.receptive_field import tensors
from repronet.functional.windows import pair
from repronet.models.dropout import set_dropout
from repronet.models.lenet import EuclideanRBF, ScaledTanh, Subsampling
from repronet.models.residual import PaddedShortcut
from repronet.papers import NETWORKS
from repronet.papers.releases.notation import DOWN, RULES, UP, Sides, Value

aten = torch.ops.aten


@dataclass(frozen=True)
class Start:
    """How a parameter starts: the kind of distribution, its size, and the fans of the layer."""

    kind: str
    size: float
    fan_in: int
    fan_out: int

    def like(self, stated: object) -> object:
        """What a release states of it if that is so here, else in the same words what is."""
        rules = {f"{self.kind} {rule}": size(self.fan_in, self.fan_out) for rule, size in RULES.items()}
        rules[f"{self.kind} {self.size:g}"] = self.size
        fitting = [text for text, size in rules.items() if math.isclose(size, self.size, rel_tol=1e-6)]
        if self.kind == "constant":
            return self.size
        return stated if stated in fitting else fitting[0]


@dataclass(frozen=True)
class Step:
    """An operator at work.

    Attributes:
        inputs: the steps that feed it, -1 for the image.
        where: its path in our network.
    """

    kind: str
    settings: Mapping[str, Value | Start | None]
    inputs: tuple[int, ...]
    where: str = ""


def traced(name: str, dropout: float | None = None) -> list[Step]:
    """The steps of a network of :mod:`repronet.models` in training, each behind those that feed it.

    Args:
        dropout: the share that it is told to drop; None for its own.

    The order is that of a release: depth first from the scores, the longer branch of a sum first, auxiliary
    classifiers at the end.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        try:
            with torch.device("meta"):
                return _traced(name, dropout)
        except (NotImplementedError, RuntimeError):  # lenet5_1998's connection table needs numbers
            return _traced(name, dropout)


def _traced(name: str, dropout: float | None) -> list[Step]:
    with _Starts() as starts:
        network = models.create(name, layers="torch").train()  # so that auxiliary classifiers run
    if dropout is not None:
        set_dropout(network, dropout)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()  # a tenth of the time without numbers
    trace = _Trace(network, starts)
    return trace.in_order(trace.run(torch.zeros(2, *NETWORKS[name].input)))


class _Starts(TorchDispatchMode):
    """Sees how tensors are filled, and keeps the last of it by their memory, which ``.data`` shares."""

    def __init__(self) -> None:
        super().__init__()
        self._of: dict[int, tuple[str, float]] = {}

    def __enter__(self) -> _Starts:
        # On the meta device torch's own draws nothing, so that there would be nothing to see.
        self._truncated, nn.init.trunc_normal_ = nn.init.trunc_normal_, self._draw_truncated
        return super().__enter__()

    def __exit__(self, *failure: Any) -> None:
        nn.init.trunc_normal_ = self._truncated
        super().__exit__(*failure)

    def _draw_truncated(
        self, tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0
    ) -> Tensor:
        self._of[_memory(tensor)] = ("truncated normal" if math.isclose(b, 2 * std) else "normal", std)
        return tensor

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        operation = func.overloadpacket
        if func._schema.is_mutable and isinstance(args[0], Tensor):
            filled, value = _memory(args[0]), args[-1]
            kind, size = self._of.pop(filled, ("", math.nan))
            if operation is aten.normal_:
                self._of[filled] = ("normal", args[2])
            elif operation is aten.uniform_:
                self._of[filled] = ("uniform", args[2] if len(args) > 2 else 1.0)
            elif operation in (aten.zero_, aten.fill_):
                self._of[filled] = ("constant", 0.0 if operation is aten.zero_ else float(value))
            elif operation in (aten.mul_, aten.div_) and kind and not isinstance(value, Tensor):
                self._of[filled] = (kind, size * value if operation is aten.mul_ else size / value)
        return func(*args, **(kwargs or {}))

    def start(self, tensor: Tensor | None, weight: Tensor) -> Start | None:
        """Of a parameter of the layer with that weight; None if it was filled in another way."""
        found = None if tensor is None else self._of.get(_memory(tensor))
        return None if found is None else Start(*found, weight[0].numel(), weight[:, 0].numel())


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


class _Trace(TorchFunctionMode):
    """Sees what layers make of each other's outputs."""

    def __init__(self, network: nn.Module, starts: _Starts):
        super().__init__()
        self.steps: list[Step] = []
        self._network = network
        self._starts = starts
        self._from: dict[int, int] = {}  # tensor to step
        self._kept: list[Tensor] = []  # so that no other takes its id
        self._depth: list[int] = []
        self._inside = 0

    def run(self, images: Tensor) -> list[int]:
        """The steps that the outputs come from, that of the scores first."""
        for path, module in self._network.named_modules():
            read = _reader(module)
            if read is not None and "parametrizations" not in path:
                module.register_forward_pre_hook(self._enter)
                module.register_forward_hook(lambda module, inputs, out, p=path, r=read: self._leave(p, r, inputs, out))
        self._from[id(images)] = -1
        with self:
            outputs = self._network(images)
        return [self._from[id(tensor)] for tensor in tensors([outputs])]

    def _enter(self, module: nn.Module, inputs: tuple) -> None:
        self._inside += 1

    def _leave(self, path: str, read: Reader, inputs: tuple, output: Tensor) -> None:
        if self._inside == 1:  # else it is a part of a layer
            found = read(self._network.get_submodule(path), inputs[0], output, self._starts.start)
            self._note(output, path, found, [inputs[0]])
        self._inside -= 1

    def _note(self, output: Tensor, where: str, found: Found | None, sources: list[Tensor]) -> None:
        """`found` is None for what passes the maps on as they are."""
        inputs = tuple(self._from[id(source)] for source in sources)
        self._kept.append(output)
        if found is None:
            self._from[id(output)] = inputs[0]
            return
        self._from[id(output)] = len(self.steps)
        self._depth.append(1 + max((self._depth[i] for i in inputs if i >= 0), default=0))
        self.steps.append(Step(*found, inputs, where))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if self._inside:
            return result
        sources = [tensor for tensor in tensors([args, kwargs or {}]) if id(tensor) in self._from]
        for tensor in tensors([result]) if sources else ():
            name = str(func.__name__).strip("_")
            joined = _JOINS.get(name, name) if len(sources) > 1 else name
            self._note(tensor, "", None if name in _PASSING else (joined, {}), sources)
        return result

    def in_order(self, outputs: list[int]) -> list[Step]:
        """The steps that feed the outputs, as :func:`traced` says."""
        order: dict[int, int] = {-1: -1}
        self._visit(outputs[0], order)
        attached = {output: self._visit(output, dict(order)) for output in outputs[1:]}
        for output in sorted(attached, key=attached.__getitem__):
            self._visit(output, order)
        found = [index for index in order if index >= 0]
        return [
            Step(self.steps[i].kind, self.steps[i].settings, tuple(order[j] for j in self._fed(i)), self.steps[i].where)
            for i in found
        ]

    def _fed(self, step: int) -> list[int]:
        """The inputs of a step; those of a sum or product, in which the order means nothing, by their depth."""
        kind, inputs = self.steps[step].kind, list(self.steps[step].inputs)
        if kind in ("sum", "product"):
            inputs.sort(key=lambda i: self._depth[i] if i >= 0 else 0, reverse=kind == "sum")
        return inputs

    def _visit(self, output: int, order: dict[int, int]) -> int:
        """Number what feeds `output`, and it; the highest number that was there before and is met."""
        before, met, stack = len(order) - 1, -1, [(output, False)]
        while stack:
            step, fed = stack.pop()
            if step in order:
                met = max(met, order[step] if order[step] < before else -1)
            elif fed:
                order[step] = len(order) - 1
            else:
                stack.append((step, True))
                stack += [(i, False) for i in reversed(self._fed(step))]
        return met


Found = tuple[str, dict[str, Value | Start | None]]
Starting = Callable[[Tensor | None, Tensor], Start | None]
Reader = Callable[[Any, Tensor, Tensor, Starting], Found | None]

_PASSING = ("flatten", "view", "reshape", "squeeze")
_JOINS = {"cat": "concatenation", "add": "sum", "iadd": "sum", "mul": "product", "imul": "product"}


def _sides(value: Any) -> Sides:
    height, width = pair(value, "size")
    return height if height == width else (height, width)


def _geometry(module: Any, maps: Tensor, rounds: str) -> dict[str, Value]:
    """Window, stride and padding; which way the size rounds where that makes a difference for these maps."""
    window, stride, padding = (pair(getattr(module, n), n) for n in ("kernel_size", "stride", "padding"))
    sizes = zip(maps.shape[2:], window, stride, padding, strict=True)
    matters = any((size + 2 * around - side) % step for size, side, step, around in sizes)
    found: dict[str, Value] = {"window": _sides(window), "stride": _sides(stride), "padding": _sides(padding)}
    return {**found, "rounds": rounds} if matters else found


def _weighted(module: Any, start: Starting) -> dict[str, Value | Start | None]:
    weight, bias = module.weight, module.bias
    return {
        "bias": bias is not None,
        "weights start": start(weight, weight),
        "bias starts": None if bias is None else start(bias, weight),
    }


def _convolution(module: Any, maps: Tensor, output: Tensor, start: Starting) -> Found:
    weighted = _weighted(module, start)
    if maps.shape[2:] == output.shape[2:] == (1, 1) and _sides(module.kernel_size) == 1:
        return "linear", {"outputs": module.out_channels, **weighted}
    table = math.prod(module.weight.shape[:2])
    if parametrize.is_parametrized(module, "weight"):
        table = len(module.parametrizations.weight.original)
    shape = {"maps": module.out_channels, **_geometry(module, maps, DOWN), "groups": module.groups, "table": table}
    return "convolution", {**shape, **weighted}


def _local(module: Any, maps: Tensor, output: Tensor, start: Starting) -> Found:
    shape = {"maps": output.shape[1], "window": _sides(tuple(module.weight.shape[2:4]))}
    rest = {"stride": _sides(module.stride), "padding": _sides(module.padding)}
    fan_in = module.weight[:, :, :, :, 0, 0]
    bias = start(module.bias, fan_in)
    weighted = {"bias": module.bias is not None, "weights start": start(module.weight, fan_in), "bias starts": bias}
    return "locally connected", {**shape, **rest, **weighted}


def _pool(kind: str) -> Reader:
    def read(module: Any, maps: Tensor, output: Tensor, start: Starting) -> Found:
        if kind == "average pool" and output.shape[2:] == (1, 1) and pair(module.kernel_size, "size") == maps.shape[2:]:
            return kind, {"window": "whole map"}
        found = _geometry(module, maps, UP if module.ceil_mode else DOWN)
        counts = getattr(module, "count_include_pad", None) if found["padding"] else None
        return kind, {**found, "counts padding": counts}

    return read


def _adaptive(module: Any, maps: Tensor, output: Tensor, start: Starting) -> Found | None:
    if maps.shape == output.shape:
        return None
    whole = output.shape[2:] == (1, 1)
    return "average pool", {"window": "whole map" if whole else f"{output.shape[2]}×{output.shape[3]} regions"}


def _response_norm(module: Any, maps: Tensor, output: Tensor, start: Starting) -> Found:
    summed = module.size if isinstance(module, layers.KrizhevskyResponseNorm) else 1  # whose α multiplies the sum
    constants = {"alpha": module.alpha * summed, "beta": module.beta, "k": module.k}
    over = "pixels" if isinstance(module, layers.ResponseNormWithinMaps) else "maps"
    return "response norm", {"size": module.size, **constants, "over": over}


def _batch_norm(module: Any, maps: Tensor, output: Tensor, start: Starting) -> Found:
    return "batch norm", {"eps": module.eps, "decay": 1 - module.momentum, "gain": module.weight is not None}


def _shortcut(module: Any, maps: Tensor, output: Tensor, start: Starting) -> Found:
    zeros = "behind" if module.before == 0 else "around"
    return "padded shortcut", {"stride": module.stride, "zeros": zeros}


def _scaled_tanh(module: Any, maps: Tensor, output: Tensor, start: Starting) -> Found:
    """Its constants by what it makes of a large number and of 1."""
    amplitude, at_one = module.forward(torch.tensor([1e6, 1.0], dtype=torch.float64, device="cpu")).tolist()
    return "scaled tanh", {"amplitude": amplitude, "slope": math.atanh(at_one / amplitude)}


def _says(kind: str, **attributes: str) -> Reader:
    """For layers that need only their attributes named."""
    return lambda module, maps, output, start: (kind, {name: getattr(module, at) for name, at in attributes.items()})


_READERS: dict[type[nn.Module], Reader] = {
    nn.Conv2d: _convolution,
    nn.Linear: lambda m, maps, out, start: ("linear", {"outputs": m.out_features, **_weighted(m, start)}),
    layers.LocallyConnected2d: _local,
    nn.MaxPool2d: _pool("max pool"),
    nn.AvgPool2d: _pool("average pool"),
    nn.AdaptiveAvgPool2d: _adaptive,
    nn.LocalResponseNorm: _response_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.ReLU: _says("relu"),
    nn.Sigmoid: _says("sigmoid"),
    nn.Dropout: lambda m, *rest: ("dropout", {"share": m.p}) if m.p else None,
    PaddedShortcut: _shortcut,
    Subsampling: lambda m, *rest: ("subsampling", {"window": _sides(m.window_sum.kernel_size)}),
    ScaledTanh: _scaled_tanh,
    EuclideanRBF: lambda m, *rest: ("radial basis functions", {"outputs": len(m.codes)}),
}


def _reader(module: nn.Module) -> Reader | None:
    """How to read a layer; None for what only holds layers."""
    for kind, read in _READERS.items():
        if isinstance(module, kind):
            return read
    holds = isinstance(module, nn.Identity) or any(True for _ in module.children())
    return None if holds else _says(type(module).__name__)
