"""Check a user's own layer against itself, since there is no naive forward and no vendor's layer to compare with.

First derivatives are compared with central differences of the forward, second ones with central differences of the
first, both in float64, element by element. Another memory layout, a second run, narrower dtypes, torch.func and
torch.compile must give the numbers of plain use. A batch of one or none may be refused, else gradients must be finite.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from repronet.analysis.gradients import LIMITS, STEP, central_differences, mixture_of, relative_error
from repronet.errors import UserError, first_line

SHAPES = ((2, 4, 6, 6), (3, 4), (2, 4, 6), (2, 3, 32, 32), (2, 1, 28, 28))  # tried if none is given
SIZES = (4, 4, 3, 3)  # values for arguments without a default: channels in and out, a kernel
ELEMENTS = 60  # elements of a tensor that are checked; of a larger tensor, that many drawn at random
NARROW = {torch.float32: 1e-4, torch.bfloat16: 0.1}  # dtypes, with the relative error that each is allowed
SECOND = 1e-5  # the limit for central differences of a gradient, which is itself rounded


@dataclass(frozen=True)
class Finding:
    """A row of the table."""

    label: str
    error: float | None  # the largest relative error; None if it was not computed
    limit: float  # the largest error allowed; an error above it, or NaN, is wrong
    words: str = ""  # which element is wrong and by how much, or why there is no figure
    wrong: bool = False  # if there is no figure, whether that is a fault

    @property
    def passed(self) -> bool:
        return not self.wrong if self.error is None else self.error <= self.limit


Function = Callable[..., Tensor]


class OwnLayer:
    """The layer as a function of its input and its parameters, in float64.

    Args:
        layer: in the mode in which it is to be checked; it is not changed.
        input: (N, …), float64.
    """

    def __init__(self, layer: nn.Module, input: Tensor):
        self.layer = copy.deepcopy(layer).double()
        self.names = ["input", *(name for name, _ in self.layer.named_parameters())]
        self.tensors = [input, *(parameter.detach() for parameter in self.layer.parameters())]

    def function(self, dtype: torch.dtype = torch.float64, seed: int = 0) -> Function:
        """The function (input, parameters) → output. Every call starts with the layer's buffers and the same seed."""
        layer, names = self.layer, self.names[1:]
        buffers = {
            name: buffer.to(dtype) if buffer.is_floating_point() else buffer for name, buffer in layer.named_buffers()
        }

        def call(input: Tensor, *parameters: Tensor) -> Tensor:
            torch.manual_seed(seed)
            given = {**dict(zip(names, parameters, strict=True)), **{k: b.clone() for k, b in buffers.items()}}
            return torch.func.functional_call(layer, given, (input,))

        return call


def build(make: Callable[..., Any], args: Sequence[Any] | dict[str, Any] | None) -> nn.Module:
    """Make the layer with the given arguments, or with the values of ``SIZES`` for arguments without a default.

    Raises:
        UserError: for a class that is not a layer, or arguments that it does not take.
    """
    name = getattr(make, "__name__", str(make))
    if args is None:
        wanted = [p for p in inspect.signature(make).parameters.values() if p.default is p.empty]
        positional = [p for p in wanted if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        args = list(SIZES[: len(positional)])
    try:
        made = make(**args) if isinstance(args, dict) else make(*args)
    except Exception as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(f"{name}: cannot be made with args={args}: {reason}; give its arguments, args=[3,8]") from error
    if not isinstance(made, nn.Module):
        raise UserError(f"{name}: makes a {type(made).__name__}; gradcheck takes a torch.nn.Module")
    return made


def fitting(layer: nn.Module, shape: Sequence[int] | None, seed: int) -> OwnLayer:
    """The layer with an input that it accepts: of the given shape, or of the first shape in ``SHAPES`` that works.

    Raises:
        UserError: if none works, with the layer's own error.
    """
    reasons = []
    for size in [tuple(shape)] if shape else SHAPES:
        generator = torch.Generator().manual_seed(seed)
        own = OwnLayer(layer, torch.randn(size, dtype=torch.float64, generator=generator))
        try:
            output = own.function()(*own.tensors)
        except Exception as error:
            reasons.append(f"{type(error).__name__}: {first_line(error)}")
            continue
        if not isinstance(output, Tensor) or not output.is_floating_point():
            raise UserError(
                f"{type(layer).__name__}: gives a {type(output).__name__}; gradcheck takes one float tensor"
            )
        return own
    tried = list(shape) if shape else "; ".join(str(list(size)) for size in SHAPES)
    raise UserError(f"{type(layer).__name__}: takes no input {tried} ({reasons[0]}); give one, shape=[2,3,8,8]")


def prove(own: OwnLayer, seed: int) -> Iterator[Finding]:
    """Yield the finding of every check of the layer."""
    function = own.function()
    output, *first = gradients(function, own.tensors)
    weights = mixture_of(output, 1)
    for number, (name, gradient) in enumerate(zip(own.names, first, strict=True)):
        yield _compared(f"∂{name}", gradient, function, weights, own.tensors, number, LIMITS["numeric"], seed)
    yield from _second(own, seed)
    yield from _uses(own)


def gradients(function: Function, tensors: Sequence[Tensor]) -> list[Tensor]:
    """The output y, and the gradients of Σ v·y for random v with respect to every tensor; zero for an unused one."""
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]  # no copy, which would change the layout
    output = function(*leaves)
    mixture = mixture_of(output, 1).to(output.dtype)
    return [output, *_by(output, leaves, mixture)]


def _by(output: Tensor, leaves: Sequence[Tensor], mixture: Tensor | None, create_graph: bool = False) -> list[Tensor]:
    if not output.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    given: dict[str, Any] = {"create_graph": create_graph, "allow_unused": True, "materialize_grads": True}
    return list(torch.autograd.grad(output, leaves, mixture, **given))


def _second(own: OwnLayer, seed: int) -> Iterator[Finding]:
    function = own.function()

    def mixture(*tensors: Tensor, create_graph: bool = False) -> Tensor:
        with torch.enable_grad():
            if create_graph:  # first derivatives that can be differentiated with respect to ``tensors``
                output = function(*tensors)
                first = _by(output, tensors, mixture_of(output, 1), create_graph=True)
            else:
                first = gradients(function, tensors)[1:]
            return torch.stack([(gradient * mixture_of(gradient, 2)).sum() for gradient in first]).sum()

    leaves = [tensor.detach().requires_grad_() for tensor in own.tensors]
    try:
        twice = _by(mixture(*leaves, create_graph=True), leaves, None)
    except RuntimeError as error:
        yield Finding("second derivatives", None, SECOND, f"none: {first_line(error)}")
        return
    for number, (name, gradient) in enumerate(zip(own.names, twice, strict=True)):
        yield _compared(f"∂²/∂{name}", gradient, mixture, torch.ones(()), own.tensors, number, SECOND, seed)


def _compared(
    label: str,
    found: Tensor,
    function: Function,
    weights: Tensor,
    tensors: list[Tensor],
    number: int,
    limit: float,
    seed: int,
) -> Finding:
    """Compare a gradient of Σ weights·y with central differences, element by element; name the worst element."""
    places = _places(tensors[number], seed)
    if not places:
        return Finding(label, 0.0, limit)
    some, right = found.flatten()[places], central_differences(function, weights, tensors, number, places)
    error = relative_error(some, right)
    worst = int((some - right).abs().nan_to_num(nan=torch.inf).argmax())
    index = [int(i) for i in torch.unravel_index(torch.tensor(places[worst]), tensors[number].shape)]
    words = f"at {index}: {some[worst].item():.6g}, differences give {right[worst].item():.6g}"
    return Finding(label, error, limit, "" if error <= limit else words)


def _places(tensor: Tensor, seed: int) -> list[int]:
    if tensor.numel() <= ELEMENTS:
        return list(range(tensor.numel()))
    drawn = torch.randperm(tensor.numel(), generator=torch.Generator().manual_seed(seed))
    return sorted(drawn[:ELEMENTS].tolist())


def _uses(own: OwnLayer) -> Iterator[Finding]:
    """Check other uses of the layer: those that must not change the numbers, and those that it may refuse."""
    function, (input, *weights) = own.function(), own.tensors
    plain = gradients(function, own.tensors)
    yield _same("a second time", LIMITS["autograd"], plain, lambda: gradients(function, own.tensors))
    yield _batch("a batch of one", function, input[:1], weights)
    yield _batch("an empty batch", function, input[:0], weights)
    if torch.equal(plain[0], own.function(seed=1)(*own.tensors)):
        yield from _ways(own, plain)
    else:
        words = "not compared: it draws random numbers, others in another layout or dtype"
        yield Finding("layouts, dtypes, torch.func", None, 0.0, words)


def _ways(own: OwnLayer, plain: list[Tensor]) -> Iterator[Finding]:
    """Layouts, dtypes, torch.func and torch.compile."""
    function, exact, (input, *weights) = own.function(), LIMITS["autograd"], own.tensors
    backwards = tuple(reversed(range(input.dim())))
    apart = input.permute(backwards).contiguous().permute(backwards)  # neighbours in memory are now far apart
    yield _same("not contiguous", exact, plain, lambda: gradients(function, [apart, *weights]))
    if input.dim() == 4:
        innermost = input.contiguous(memory_format=torch.channels_last)
        yield _same("channels last", exact, plain, lambda: gradients(function, [innermost, *weights]))
    for dtype, limit in NARROW.items():
        narrow = [tensor.to(dtype) for tensor in own.tensors]
        found = partial(gradients, own.function(dtype), narrow)
        yield _same(str(dtype).removeprefix("torch."), limit, plain, found, refusable=True)
    tangents = tuple(mixture_of(tensor, 3) for tensor in own.tensors)
    moved = ([tensor + sign * STEP * t for tensor, t in zip(own.tensors, tangents, strict=True)] for sign in (1, -1))
    above, below = (function(*tensors) for tensors in moved)
    along = [(above - below) / (2 * STEP)]
    yield _same(
        "jvp",
        LIMITS["numeric"],
        along,
        lambda: [torch.func.jvp(function, tuple(own.tensors), tangents)[1]],
        refusable=True,
    )
    several = torch.stack([input, input.flip(0)])
    each = [torch.stack([function(one, *weights) for one in several])]
    yield _same(
        "vmap", exact, each, lambda: [torch.func.vmap(lambda x: function(x, *weights))(several)], refusable=True
    )
    torch.compiler.reset()
    compiled = torch.compile(function, backend="aot_eager")
    yield _same("compile", exact, plain, lambda: gradients(compiled, own.tensors), refusable=True)


def _same(
    label: str,
    limit: float,
    expected: Sequence[Tensor],
    compute: Callable[[], Sequence[Tensor]],
    refusable: bool = False,
) -> Finding:
    """Compare the numbers of another use with those of plain use.

    Args:
        refusable: whether an exception is only reported, not counted as a fault.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = compute()
    except Exception as error:
        return Finding(label, None, limit, f"{type(error).__name__}: {first_line(error)}", wrong=not refusable)
    errors = [relative_error(f.double(), e.double()) for f, e in zip(found, expected, strict=True)]
    return Finding(label, max(errors, key=lambda error: (error != error, error)), limit)


def _batch(label: str, function: Function, input: Tensor, weights: Sequence[Tensor]) -> Finding:
    """Whether a smaller batch works, with as many outputs as inputs and finite gradients; an exception is no fault."""
    try:
        output, *found = gradients(function, [input, *weights])
    except Exception as error:
        return Finding(label, None, 0.0, f"{type(error).__name__}: {first_line(error)}")
    if output.dim() and len(output) != len(input):
        return Finding(label, None, 0.0, f"gives {len(output)} answers to {len(input)} inputs", wrong=True)
    strange = not all(tensor.isfinite().all() for tensor in found)
    return Finding(label, None, 0.0, "a gradient is not finite" if strange else "goes through", wrong=strange)
