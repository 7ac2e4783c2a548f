"""One row per layer, recorded during a forward pass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils._python_dispatch import TorchDispatchMode

from repronet.analysis.layer_rules import Count, counting, field_behind
from repronet.analysis.receptive_field import Field, FieldTracker, tensors

aten = torch.ops.aten


@dataclass(frozen=True)
class Row:
    """One use of a layer. A layer that is used twice has two rows, the second without parameters."""

    name: str  # its path in the network
    kind: str  # its class
    # output shape for one image, (C, H, W) or (features,); empty if the layer does not run in evaluation
    output: tuple[int, ...]
    field: Field | None  # the receptive field of its units; None if it could not be followed
    parameters: int  # of this layer, except those counted in a row above
    neurons: int  # units of the output, C·H·W
    # inputs of all units with weights, and their biases: one for each multiplication, and one for each unit with a
    # bias; a pool has none
    connections: int
    macs: int  # multiply-accumulates of convolutions and linear layers for one image, without biases
    activation_bytes: int  # size of the output; 0 if it shares another output's memory, in place or as a view


@dataclass(frozen=True)
class Block:
    """One run of a module that contains layers: its output, its field and the number of rows when it ends."""

    name: str
    kind: str
    output: tuple[int, ...]
    field: Field | None
    end: int


@dataclass
class _Work:
    """A module while it computes: its counts so far, and its inputs."""

    module: nn.Module
    macs: int = 0
    connections: int = 0
    inputs: list[Tensor] = field(default_factory=list)


def record(model: nn.Module, image: Tensor, batch: int) -> tuple[list[Row], list[Block]]:
    """The rows and blocks of one evaluation of `image`, (1, C, H, W); leaves hooks on the network."""
    recorder = _Recorder(model, image, batch)
    for module in recorder.names:
        module.register_forward_pre_hook(recorder.begin)
        module.register_forward_hook(recorder.end)
    with recorder:
        model(image)
    return [*recorder.rows, *recorder.idle_rows()], recorder.blocks


class _Recorder(TorchDispatchMode):
    """Intercepts every operation and adds its multiplications to the layer that is running."""

    def __init__(self, model: nn.Module, image: Tensor, batch: int):
        super().__init__()
        named = [(name, module) for name, module in model.named_modules() if "parametrizations" not in name.split(".")]
        self.names = {module: name for name, module in named}
        self._layers = {module for module in self.names if _is_layer(module)}
        self.rows: list[Row] = []
        self.blocks: list[Block] = []
        self.fields = FieldTracker(image)
        self._batch = batch
        self._at_work: list[_Work] = []
        self._counted: set[int] = set()  # parameters that have a row
        self._storages = {image.untyped_storage()._cdata: image.untyped_storage()}  # of outputs that have a row
        self._ran: set[nn.Module] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {argument.name: argument.default_value for argument in func._schema.arguments}
        given.update(zip(given, args, strict=False))
        given.update(kwargs or {})
        self.fields.follow(func, given, result)
        if self._at_work:
            self._count(func.overloadpacket, given, result)
        return result

    def _count(self, operation: Any, given: Mapping[str, Any], result: Any) -> None:
        """Add the operation's multiplications to the module that is running."""
        maps = 1
        if operation is aten.convolution:
            side = given["input"] if given["transposed"] else result  # each of its units times one filter's weights
            macs, bias = side.numel() * math.prod(given["weight"].shape[1:]), given["bias"]
        elif operation in _PRODUCTS:
            left, right = (given[name] for name in _PRODUCTS[operation])
            macs, bias = left.numel() * right.shape[-1], given["self"] if operation is aten.addmm else None
            maps = sum(map(self.fields.follows, (left, right)))
        else:
            return
        # The outermost running layer, since modules inside a layer are part of it; else the innermost block.
        work = next((work for work in self._at_work if work.module in self._layers), self._at_work[-1])
        work.macs += macs
        if maps < 2:  # if two maps are multiplied, as in attention, no unit has weights
            work.connections += macs + (0 if bias is None else result.numel())

    def begin(self, module: nn.Module, inputs: tuple) -> None:
        self._ran.add(module)
        self._at_work.append(_Work(module, inputs=list(tensors(inputs))))

    def end(self, module: nn.Module, inputs: tuple, output: Any) -> None:
        work = self._at_work.pop()
        if any(outer.module in self._layers for outer in self._at_work):
            return
        units = [tensor for tensor in tensors([output]) if tensor.is_floating_point()]
        if not units:
            return
        # Our layers that torch lacks run several operations, from which their window cannot be read.
        before = self.fields.of(work.inputs[0]) if work.inputs else None
        behind = None if before is None else field_behind(module, before)
        for tensor in units if behind is not None else []:
            self.fields.put(tensor, behind)
        shape, seen = tuple(units[0].shape[1:]), self.fields.of(units[0])
        if module in self._layers or work.macs or self._own_parameters(module):
            self.rows.append(self._row(work, units, shape, seen))
        if module not in self._layers:
            self.blocks.append(Block(self.names[module], _kind(module), shape, seen, len(self.rows)))

    def _row(self, work: _Work, units: list[Tensor], shape: tuple[int, ...], seen: Field | None) -> Row:
        neurons = sum(tensor[0].numel() for tensor in units)
        rule, count = counting(work.module), Count(work.macs, work.connections)
        if rule is not None:
            count = rule(work.module, count, neurons)
        new = self._own_parameters(work.module)
        self._counted.update(map(id, new))
        return Row(
            name=self.names[work.module] or _kind(work.module),
            kind=_kind(work.module),
            output=shape,
            field=seen,
            parameters=sum(parameter.numel() for parameter in new),
            neurons=neurons,
            connections=count.connections,
            macs=count.macs,
            activation_bytes=self._batch * sum(self._new_bytes(tensor) for tensor in units),
        )

    def _own_parameters(self, module: nn.Module) -> list[nn.Parameter]:
        """The parameters that no row has counted yet: all inside a layer, but only the direct ones of a block."""
        found = module.parameters(recurse=module in self._layers)
        return [parameter for parameter in found if id(parameter) not in self._counted]

    def _new_bytes(self, tensor: Tensor) -> int:
        storage = tensor.untyped_storage()
        if storage._cdata in self._storages:
            return 0
        self._storages[storage._cdata] = storage
        return tensor.nbytes

    def idle_rows(self) -> list[Row]:
        """A row for the parameters of each part that did not run, such as a head used in training only."""
        rows: list[Row] = []
        for module, name in self.names.items():
            if module in self._ran or any(name.startswith(f"{row.name}.") for row in rows):
                continue
            new = [parameter for parameter in module.parameters() if id(parameter) not in self._counted]
            self._counted.update(map(id, new))
            if new:
                count = sum(parameter.numel() for parameter in new)
                rows.append(Row(name, _kind(module), (), None, count, 0, 0, 0, 0))
        return rows


def _kind(module: nn.Module) -> str:
    return parametrize.type_before_parametrizations(module).__name__


def _is_layer(module: nn.Module) -> bool:
    """Whether a module is a layer: one without children, with a rule, or a torch.nn layer with its own parameters."""
    if isinstance(module, (nn.Identity, nn.Sequential, nn.ModuleList, nn.ModuleDict)):
        return False
    parts = [name for name, _ in module.named_children() if name != "parametrizations"]
    if not parts or counting(module) is not None:
        return True
    bases = [base for base in type(module).__mro__ if base is not nn.Module]
    from_torch = any(base.__module__.startswith("torch.nn.modules.") for base in bases)
    return from_torch and next(module.parameters(recurse=False), None) is not None


_PRODUCTS = {
    aten.mm: ("self", "mat2"),
    aten.addmm: ("mat1", "mat2"),
    aten.bmm: ("self", "mat2"),
    aten.baddbmm: ("batch1", "batch2"),
}
