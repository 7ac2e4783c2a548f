"""The cost of a network, layer by layer: parameters, neurons, connections, multiplications, memory, receptive field.

An image with a shape but no memory (on torch's meta device) passes through a copy of the network on the same device.
Multiplications and receptive fields are read from the operations that torch runs meanwhile, so they are right for any
torch network, including those that call functions instead of layers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from repronet.analysis.layer_record import Block, Row, record
from repronet.analysis.receptive_field import tensors
from repronet.errors import UserError
from repronet.layers import convert

OPTIMIZER_COPIES = {"sgd": 0, "momentum": 1, "adam": 2}
"""Numbers that an optimizer remembers for each parameter: nothing, the velocity, or both moments."""
_SUMMED = ("parameters", "neurons", "connections", "macs", "activation_bytes")  # added up when rows are folded into one


@dataclass(frozen=True)
class Summary:
    """The rows of a network and their totals; sizes in bytes are for `batch` images, all else for one."""

    rows: tuple[Row, ...]  # the layers in the order in which they compute
    blocks: tuple[Block, ...]  # every run of a module that contains layers
    input_size: tuple[int, ...]  # (C, H, W)
    batch: int
    parameters: int  # of the network, each counted once; equals the sum over the rows
    # parameter_bytes, gradient_bytes: of all parameters, and of the gradients of those that are trained
    parameter_bytes: int
    gradient_bytes: int
    optimizer_bytes: int  # of the optimizer's state for the trained parameters
    input_bytes: int  # of the images
    # computes `kept_bytes` on demand, since that is slow and rarely needed
    measure_kept: Callable[[], int | None] = field(repr=False, compare=False)

    @cached_property
    def kept_bytes(self) -> int | None:
        """Bytes that one forward pass in training mode keeps for the backward pass.

        The storages that autograd saves, each counted once, without parameters and buffers. So an in-place ReLU adds
        nothing to its input's storage, a pool adds its indices, a concatenation its copy. Counted for torch's CPU
        operators; `algorithm="auto"` may choose one of ours that keeps less. None if the network can evaluate images
        of this size but cannot train on them. Measured when first asked for.
        """
        with torch.random.fork_rng(devices=[]):
            return self.measure_kept()

    @property
    def neurons(self) -> int:
        """Units that have connections: the outputs of convolutions and linear layers, not of pools or ReLUs."""
        return sum(row.neurons for row in self.rows if row.connections)

    @property
    def connections(self) -> int:
        return sum(row.connections for row in self.rows)

    @property
    def macs(self) -> int:
        return sum(row.macs for row in self.rows)

    @property
    def forward_bytes(self) -> int:
        """The images and every layer's output, if none is freed: the total on the lecture's VGG slide."""
        return self.input_bytes + sum(row.activation_bytes for row in self.rows)

    @property
    def training_bytes(self) -> int | None:
        """Kept activations, parameters, their gradients and the optimizer's copies; without scratch memory."""
        if self.kept_bytes is None:
            return None
        return self.kept_bytes + self.parameter_bytes + self.gradient_bytes + self.optimizer_bytes

    def folded(self, depth: int) -> tuple[Row, ...]:
        """The rows folded to paths of `depth` names: rows under one path are added up, with the last one's output."""
        blocks = {(block.name, block.end): block for block in self.blocks}
        folded: list[Row] = []
        for end, row in enumerate(self.rows, start=1):
            path = ".".join(row.name.split(".")[:depth])
            together = bool(folded) and folded[-1].name == path != row.name
            sums = row
            if together:
                first = folded.pop()
                sums = replace(row, **{name: getattr(first, name) + getattr(row, name) for name in _SUMMED})
            block = blocks.get((path, end))
            seen = {} if block is None else {"kind": block.kind, "output": block.output, "field": block.field}
            folded.append(replace(sums, name=path, **seen))
        return tuple(folded)


def summarize(
    model: nn.Module,
    input_size: Sequence[int] = (3, 224, 224),
    batch: int = 1,
    optimizer: str = "momentum",
    dtype: torch.dtype = torch.float32,
) -> Summary:
    """Measure a network on images of `input_size`; the network itself is neither run nor changed.

    Layers and their figures are for evaluation mode, without dropout masks and auxiliary heads; a head that does not
    run has a row with only its parameters. The memory for training is that of training mode.

    Args:
        model: any network: ours, torchvision's, timm's, your own.
        input_size: (C, H, W), or all dimensions after the batch dimension.
        batch: the batch size; scales the memory of activations.
        optimizer: a key of `OPTIMIZER_COPIES`.
        dtype: of images, parameters and activations.

    Raises:
        UserError: for an unknown optimizer, a batch below one, or a size that the network cannot take.
    """
    if optimizer not in OPTIMIZER_COPIES:
        raise UserError(f"optimizer={optimizer}: must be one of {', '.join(OPTIMIZER_COPIES)}")
    if batch < 1:
        raise UserError(f"batch={batch}: must be at least 1")
    # Operations that need actual numbers fail on meta; then the CPU is tried, if the network's weights have numbers.
    devices = ("meta",) if any(parameter.is_meta for parameter in model.parameters()) else ("meta", "cpu")
    failures: list[Exception] = []
    with torch.random.fork_rng(devices=[]):
        for device in map(torch.device, devices):
            try:
                return _measure(model, tuple(input_size), batch, OPTIMIZER_COPIES[optimizer], dtype, device)
            except Exception as error:
                failures.append(error)
    size, why = ",".join(map(str, input_size)), str(failures[-1]).strip().partition("\n")[0]
    raise UserError(f"input={size}: {type(model).__name__} cannot take images of this size: {why}") from failures[-1]


def _measure(
    model: nn.Module, input_size: tuple[int, ...], batch: int, copies: int, dtype: torch.dtype, device: torch.device
) -> Summary:
    def images(count: int) -> Tensor:
        return torch.zeros(count, *input_size, dtype=dtype, device=device)

    def kept() -> int | None:
        # Extrapolate linearly from two and three images, so that memory that does not grow with the batch is not
        # multiplied. Not from one image, because batch norm refuses one value per channel.
        two, three = (_kept(_twin(model, device, dtype).train(), images(n)) for n in (2, 3))
        return None if two is None or three is None else two + (batch - 2) * (three - two)

    with device, torch.no_grad():
        # With torch's layers, which run one operation each; ours run several, and give the same figures.
        rows, blocks = record(convert(_twin(model, device, dtype), to="torch").eval(), images(1), batch)
    parameters = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return Summary(
        rows=tuple(rows),
        blocks=tuple(blocks),
        input_size=input_size,
        batch=batch,
        parameters=parameters,
        parameter_bytes=parameters * dtype.itemsize,
        gradient_bytes=trained * dtype.itemsize,
        optimizer_bytes=trained * dtype.itemsize * copies,
        input_bytes=batch * images(1).nbytes,
        measure_kept=kept,
    )


def _twin(model: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """Copy the network to a device: with new modules and buffers; on the same device parameters share their memory."""

    def moved(tensor: Tensor) -> Tensor:
        return tensor.detach().to(device, dtype if tensor.is_floating_point() else tensor.dtype)

    memo: dict[int, Tensor] = {id(buffer): moved(buffer).clone() for buffer in model.buffers()}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(moved(parameter), parameter.requires_grad)
    return copy.deepcopy(model, memo)  # takes parameters and buffers from the memo instead of copying them


def _kept(model: nn.Module, images: Tensor) -> int | None:
    """Bytes that a forward pass keeps for the backward pass, besides parameters and buffers."""
    own = {tensor.untyped_storage()._cdata for tensor in (*model.parameters(), *model.buffers())}
    kept = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage  # kept alive, so that its address is not reused
        return tensor

    try:
        with images.device, torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            outputs = list(tensors([model(images)]))
    except (RuntimeError, ValueError):
        return None
    del outputs
    return sum(storage.nbytes() for storage in kept.values())
