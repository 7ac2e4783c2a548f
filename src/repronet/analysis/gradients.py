"""The error of a gradient, measured in four ways, all in float64.

(a) autograd: against torch.autograd's gradient of a naive forward, written with plain operations;
(b) numeric: against (f(x + h) − f(x − h))/2h for every single element;
(c) vendor: against the gradient of torch's own operator;
(d) second: the derivatives of the gradient, against those of the naive forward's gradient.

Every figure is a relative error: the largest deviation, divided by the largest element of the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

Operator = Callable[..., Tensor]

STEP = 1e-6  # h: small compared with 1, large compared with float64's rounding
SMALL = 1e-4  # a gradient below this share of the largest one may be rounding alone
LIMITS = {"autograd": 1e-10, "numeric": 1e-6, "vendor": 1e-10, "second": 1e-9}


@dataclass(frozen=True)
class Case:
    """One way to use a layer."""

    layer: str  # its name in `repronet.functional`
    label: str  # what is special about this case
    # ours, naive, vendor: the same function of the tensors; vendor is None where torch has no such operator
    ours: Operator
    naive: Operator
    vendor: Operator | None
    inputs: dict[str, Tensor]  # the tensors by name, float64; the gradient of each is checked


class Numbers:
    """Draws the inputs of cases, the same for the same seed."""

    def __init__(self, seed: int):
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, dtype=torch.float64, generator=self.generator)

    def distinct(self, *shape: int) -> Tensor:
        """Numbers of which no two are close, so that a small step changes no maximum."""
        count = torch.Size(shape).numel()
        return torch.randperm(count, generator=self.generator).double().reshape(shape) / count - 0.5

    def away_from_zero(self, *shape: int) -> Tensor:
        """Normal numbers moved away from 0, so that a small step does not cross a kink there."""
        numbers = self.normal(*shape)
        return numbers + 0.1 * numbers.sign()

    def positive(self, *shape: int) -> Tensor:
        return self.normal(*shape).abs() + 0.1


@dataclass(frozen=True)
class Errors:
    """Relative errors of one gradient, or the largest of several; None if there is nothing to compare with."""

    autograd: float | None
    numeric: float | None
    vendor: float | None
    second: float | None

    @property
    def passed(self) -> bool:
        found = ((getattr(self, name), limit) for name, limit in LIMITS.items())
        return all(error is None or error <= limit for error, limit in found)  # a NaN is not ≤ anything


def worst(errors: list[Errors]) -> Errors:
    """The largest error of each kind; NaN counts as larger than everything."""
    kinds = {item.name: [getattr(error, item.name) for error in errors] for item in fields(Errors)}
    compared = {name: [error for error in found if error is not None] for name, found in kinds.items()}
    return Errors(**{name: max(found, key=lambda e: (e != e, e), default=None) for name, found in compared.items()})


def check(case: Case) -> dict[str, Errors]:
    """The errors of the gradient with respect to each input of a case, by the input's name."""
    tensors = list(case.inputs.values())
    output, first, second = _derivatives(case.ours, tensors)
    naive_output, naive_first, naive_second = _derivatives(case.naive, tensors)
    # Some of torch's operators have no second derivative.
    vendor_first = None if case.vendor is None else _derivatives(case.vendor, tensors, second=False)[1]
    # If the forward is wrong, every gradient is meaningless.
    wrong = relative_error(output, naive_output)
    found = {}
    for number, (name, tensor) in enumerate(case.inputs.items()):
        numeric = central_differences(case.ours, mixture_of(output, 1), tensors, number, range(tensor.numel()))
        found[name] = Errors(
            autograd=max(relative_error(first[number], naive_first[number]), wrong),
            numeric=relative_error(first[number], numeric.view(tensor.shape)),
            vendor=None if vendor_first is None else relative_error(first[number], vendor_first[number]),
            second=relative_error(second[number], naive_second[number]),
        )
    return found


def relative_error(found: Tensor, expected: Tensor, least: float = 0.0) -> float:
    """The largest deviation over the largest element of `expected`, or over `least` if larger (1 if both are 0)."""
    if found.shape != expected.shape:
        return float("nan")
    if expected.numel() == 0:
        return 0.0
    scale = max(expected.abs().max().item(), least) or 1.0
    return (found - expected).abs().max().item() / scale


def mixture_of(like: Tensor, seed: int) -> Tensor:
    """Random numbers with the shape of `like`, the same on every call."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(like.shape, dtype=torch.float64, generator=generator)


def _derivatives(
    operator: Operator, tensors: list[Tensor], second: bool = True
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """The output y, the gradients of Σ v·y for random v, and if `second` the gradients of a random mixture of these."""
    leaves = [tensor.detach().clone().requires_grad_() for tensor in tensors]
    output = operator(*leaves)
    first = torch.autograd.grad(output, leaves, mixture_of(output, 1), create_graph=second)
    if not second:
        return output.detach(), list(first), []
    mixture = torch.stack([(gradient * mixture_of(gradient, 2)).sum() for gradient in first]).sum()
    if not mixture.requires_grad:  # the gradients are constants: a linear function of one tensor
        twice = [torch.zeros_like(leaf) for leaf in leaves]
    else:
        twice = list(torch.autograd.grad(mixture, leaves, allow_unused=True, materialize_grads=True))
    return output.detach(), [gradient.detach() for gradient in first], twice


def central_differences(
    function: Operator, weights: Tensor, tensors: Sequence[Tensor], number: int, places: Iterable[int]
) -> Tensor:
    """(f(x + h) − f(x − h))/2h, f = Σ weights·y, for the elements ``places`` of one input: float64 (len(places),)."""
    values = [tensor.detach().clone() for tensor in tensors]
    moved, found = values[number].view(-1), []
    with torch.no_grad():
        for place in places:
            before = moved[place].item()
            moved[place] = before + STEP
            above = function(*values)
            moved[place] = before - STEP
            below = function(*values)
            moved[place] = before
            # Subtract element by element first: a difference of two sums would lose digits.
            found.append(((above - below) * weights).sum().item() / (2 * STEP))
    return torch.tensor(found, dtype=torch.float64)


def check_network(ours: nn.Module, vendor: nn.Module, images: Tensor) -> dict[str, float]:
    """Relative errors of the logits and of every parameter's gradient, with our layers against the vendor's.

    Both networks must have the same weights; each runs in its current mode. A shift between two batch norms has a
    gradient of zero up to rounding, so an error is divided by at least ``SMALL`` times the largest gradient.
    """
    (logits, found), (expected_logits, expected) = _backward(ours, images), _backward(vendor, images)
    largest = max((float(gradient.abs().max()) for gradient in expected.values()), default=0.0)
    errors = {"logits": relative_error(logits, expected_logits)}
    return errors | {name: relative_error(found[name], own, SMALL * largest) for name, own in expected.items()}


def _backward(network: nn.Module, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The logits, and the parameter gradients of a random mixture of them."""
    named = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
    logits = network(images)
    gradients = torch.autograd.grad(logits, list(named.values()), mixture_of(logits, 1), materialize_grads=True)
    return logits.detach(), dict(zip(named, gradients, strict=True))
