"""A network of ours as a list of steps in the notation of :mod:`repronet.papers.releases`.

The network is built and run once on torch's meta device, without memory for weights: a hook on every layer reads its
settings, one torch mode records how layers are joined, and another how weights are initialised.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from repronet import models
from repronet.analysis.layer_settings import Described, Reader, Start, reader
from repronet.analysis.receptive_field import tensors
from repronet.models.dropout import set_dropout
from repronet.papers import NETWORKS
from repronet.papers.releases.notation import Value

aten = torch.ops.aten
_PASSING = ("flatten", "view", "reshape", "squeeze")
_JOINS = {"cat": "concatenation", "add": "sum", "iadd": "sum", "mul": "product", "imul": "product"}


@dataclass(frozen=True)
class Step:
    """One use of an operator."""

    kind: str
    settings: Mapping[str, Value | Start | None]
    inputs: tuple[int, ...]  # the steps that feed it, -1 for the image
    where: str = ""  # its path in our network


def traced(name: str, dropout: float | None = None) -> list[Step]:
    """The steps of a network of :mod:`repronet.models` in training, each after those that feed it.

    Args:
        dropout: the dropout probability; None for the network's own.

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
            module.eval()  # takes a tenth of the time on the meta device
    trace = _Trace(network, starts)
    return trace.in_order(trace.run(torch.zeros(2, *NETWORKS[name].input)))


class _Starts(TorchDispatchMode):
    """Records how each tensor was last filled, keyed by its memory, which ``.data`` shares."""

    def __init__(self) -> None:
        super().__init__()
        self._of: dict[int, tuple[str, float]] = {}

    def __enter__(self) -> _Starts:
        # On the meta device torch's own function draws nothing, so there would be nothing to record.
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
        """How a parameter of the layer with that weight was initialised; None if in an unknown way."""
        found = None if tensor is None else self._of.get(_memory(tensor))
        return None if found is None else Start(*found, weight[0].numel(), weight[:, 0].numel())


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


class _Trace(TorchFunctionMode):
    """Records the layers that run and the operations on their outputs."""

    def __init__(self, network: nn.Module, starts: _Starts):
        super().__init__()
        self.steps: list[Step] = []
        self._network = network
        self._starts = starts
        self._from: dict[int, int] = {}  # tensor to step
        self._kept: list[Tensor] = []  # keeps tensors alive, so that ids are not reused
        self._depth: list[int] = []
        self._inside = 0

    def run(self, images: Tensor) -> list[int]:
        """Run the network; returns the steps that give its outputs, that of the scores first."""
        for path, module in self._network.named_modules():
            read = reader(module)
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
        if self._inside == 1:  # otherwise it is a part of a layer
            found = read(self._network.get_submodule(path), inputs[0], output, self._starts.start)
            self._note(output, path, found, [inputs[0]])
        self._inside -= 1

    def _note(self, output: Tensor, where: str, found: Described | None, sources: list[Tensor]) -> None:
        """Record the step that gave ``output``; `found` is None if it passes the maps on unchanged."""
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
        """The steps that feed the outputs, in the order that :func:`traced` describes."""
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
        """The inputs of a step; those of a sum or product, whose order has no meaning, sorted by their depth."""
        kind, inputs = self.steps[step].kind, list(self.steps[step].inputs)
        if kind in ("sum", "product"):
            inputs.sort(key=lambda i: self._depth[i] if i >= 0 else 0, reverse=kind == "sum")
        return inputs

    def _visit(self, output: int, order: dict[int, int]) -> int:
        """Number `output` and the steps that feed it; returns the highest number met that was given before, or −1."""
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
