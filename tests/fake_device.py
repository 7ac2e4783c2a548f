"""A GPU without a GPU: torch's fake tensors on the device "cuda", and what in a computation would make the host wait.

Fake tensors have shapes, dtypes and devices and no numbers. An operation of tensors on two devices fails as on a real
one, and what reads a number, or copies between host and device, is noted with the line that asked for it. torch's
autograd engine wants the driver for such a device, so `backward` walks the recorded graph here, node by node.
"""

from __future__ import annotations

import traceback
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CUDA = torch.device("cuda", 0)

# What needs numbers, to give one to Python or to know how large its answer is.
READS = {"_local_scalar_dense", "is_nonzero", "equal", "item"}
COUNTS = {"nonzero", "masked_select", "bincount", "_unique2", "unique_dim", "repeat_interleave"}


class Watch(TorchDispatchMode):
    """Notes what would make the host wait for the device, and answers what a number is asked for.

    Attributes:
        waits: one line for each, with the line of code that asked.
        operations: how many there were on the device.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        places = (leaf.device if isinstance(leaf, Tensor) else leaf for leaf in tree_leaves((args, kwargs)))
        if not any(isinstance(place, torch.device) and place.type == "cuda" for place in places):
            return func(*args, **kwargs)
        self.operations += 1
        reason = _reason(name, args, kwargs)
        if reason:
            self.waits.append(f"{_asker()}: {name} {reason}")
        if name in READS:
            return self._answer(args[0]) if name == "_local_scalar_dense" else True
        return func(*args, **kwargs)

    def _answer(self, asked: Tensor) -> float | int | bool:
        """Sums, which have 64 bits, grow from one answer to the next; flags are down; every loss is 0."""
        self.operations += 1
        if asked.dtype == torch.bool:
            return False
        kind = float if asked.dtype.is_floating_point else int
        return kind(self.operations if asked.itemsize == 8 else 0)


def _reason(name: str, args: tuple, kwargs: dict) -> str | None:
    """Why the host waits; None if it does not."""
    masked = name == "index" and any(place is not None and place.dtype == torch.bool for place in args[1])
    if name in COUNTS or masked:
        raise AssertionError(f"{_asker()}: {name} has the host wait to know the size of its answer")
    return "reads a number" if name in READS else _copy(name, args, kwargs)


def _copy(name: str, args: tuple, kwargs: dict) -> str | None:
    if name == "_to_copy" and kwargs.get("device") is not None:
        source, target = args[0].device.type, torch.device(kwargs["device"]).type
    elif name == "copy_":
        source, target = args[1].device.type, args[0].device.type
    elif name in ("index", "index_put", "index_put_"):
        places = [place for place in args[1] if place is not None]
        source, target = ("cpu" if any(place.device.type == "cpu" for place in places) else "cuda"), "cuda"
    else:
        return None
    if source == target:
        return None
    return "copies from the host" if target == "cuda" else "copies to the host"


def _asker() -> str:
    """The innermost line outside torch and this file, or where all is torch's the innermost of torch's own Python."""
    frames = [frame for frame in traceback.extract_stack() if frame.filename != __file__]
    ours = [frame for frame in frames if "/torch/" not in frame.filename]
    frame = ours[-1] if ours else frames[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def _copied(tensor: Tensor, memo: dict) -> Tensor:
    """copy.deepcopy of a fake tensor; torch's own copies its mode too, and stumbles over those on the host."""
    made = tensor.detach().clone()
    if isinstance(tensor, torch.nn.Parameter):
        made = torch.nn.Parameter(made, tensor.requires_grad)
    memo[id(tensor)] = made
    return made


def _take_data(tensor: Tensor, other: Tensor) -> None:
    """What Module.to does with a fake weight, which cannot be swapped while its mode knows it."""
    tensor.data = other.data


@contextmanager
def fake_cuda() -> Iterator[Watch]:
    """Within it every new tensor is fake; what it gives notes what the host would wait for.

    New tensors are on the host, as ever, unless made with `device=CUDA` or within `torch.device(CUDA)`.
    """
    with ExitStack() as stack:
        stack.enter_context(FakeTensorMode())
        stack.enter_context(mock.patch.object(FakeTensor, "__deepcopy__", _copied))
        stack.enter_context(mock.patch.object(torch.autograd, "backward", backward))
        stack.enter_context(mock.patch.object(torch.autograd, "grad", grad))
        stack.enter_context(mock.patch.object(torch.cuda.amp.common, "amp_definitely_not_available", bool))
        stack.enter_context(mock.patch.object(torch.cuda, "is_bf16_supported", return_value=True))
        stack.enter_context(mock.patch.object(torch.utils, "swap_tensors", _take_data))
        yield stack.enter_context(Watch())


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """torch.autograd.backward in Python: gradients are added to the `grad` of leaves."""
    for leaf, gradient in _gradients(tensors, grad_tensors, create_graph)[0].values():
        leaf.grad = gradient if leaf.grad is None else leaf.grad + gradient


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """torch.autograd.grad in Python, by leaves or by what was computed on the way."""
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    leaves, inner = _gradients(outputs, grad_outputs, create_graph)
    found = []
    for tensor in inputs:
        if tensor.grad_fn is None:
            gradient = leaves.get(id(tensor), (tensor, None))[1]
        else:
            gradient = inner[tensor.grad_fn].get(tensor.output_nr)
        assert gradient is not None or allow_unused or materialize_grads, "a tensor was not used in the graph"
        found.append(torch.zeros_like(tensor) if gradient is None and materialize_grads else gradient)
    return tuple(found)


def _gradients(outputs: Any, grad_outputs: Any, create_graph: bool) -> tuple[dict[int, tuple[Tensor, Tensor]], Any]:
    """By leaf, the leaf and its gradient; and by node, the gradients of its outputs."""
    roots = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    given = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs or [None] * len(roots))
    due: dict[Any, dict[int, Tensor]] = defaultdict(dict)
    leaves: dict[int, tuple[Tensor, Tensor]] = {}

    def add(node: Any, place: int, gradient: Tensor) -> None:
        wanted = node._input_metadata[place]  # as the engine fits what a node returns to what it is the gradient of
        gradient = gradient.sum_to_size(wanted.shape).to(wanted.dtype)
        assert gradient.device == wanted.device, f"a gradient on {gradient.device} for a tensor on {wanted.device}"
        due[node][place] = due[node][place] + gradient if place in due[node] else gradient

    with torch.set_grad_enabled(create_graph):
        for root, gradient in zip(roots, given, strict=True):
            if root.grad_fn is not None:
                add(root.grad_fn, root.output_nr, torch.ones_like(root) if gradient is None else gradient)
        for node in _in_order([root.grad_fn for root in roots if root.grad_fn is not None]):
            if node not in due:
                continue
            if hasattr(node, "variable"):  # a leaf, which has one place
                leaves[id(node.variable)] = node.variable, due[node][0]
                continue
            places = [due[node].get(place) for place in range(len(node._input_metadata))]
            answers = node.apply(*places) if hasattr(node, "apply") else node(*places)
            answers = answers if isinstance(answers, tuple) else (answers,)
            for answer, (next_node, place) in zip(answers, node.next_functions, strict=False):
                if answer is not None and next_node is not None:
                    add(next_node, place, answer)
    return leaves, due


def _in_order(roots: list[Any]) -> list[Any]:
    """The nodes of the graph, each before those that its gradients go to."""
    seen, ordered = set(), []
    stack = [(root, False) for root in roots]
    while stack:
        node, done = stack.pop()
        if done:
            ordered.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((following, False) for following, _ in node.next_functions if following is not None)
    return ordered[::-1]
