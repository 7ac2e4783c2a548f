"""How far a gradient is from what it should be, asked in four ways, all in float64.

(a) autograd: torch.autograd's gradient of a naive forward, written with plain operations;
(b) numeric: (f(x + h) − f(x − h))/2h for every single element;
(c) vendor: the gradient of torch's own operator;
(d) second: the derivatives of the gradient, against those of the naive forward's gradient.

Every figure is a relative error: the largest deviation, divided by the largest element of what is compared with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

Operator = Callable[..., Tensor]

STEP = 1e-6  # h: small beside 1, large beside float64's rounding
LIMITS = {"autograd": 1e-10, "numeric": 1e-6, "vendor": 1e-10, "second": 1e-9}


@dataclass(frozen=True)
class Case:
    """One way to use a layer.

    Args:
        layer: its name in `repronet.functional`.
        label: what is particular about this way.
        ours, naive, vendor: the same function of the tensors; vendor is None where torch has no such operator.
        inputs: the tensors by name, float64; the gradient of each is checked.
    """

    layer: str
    label: str
    ours: Operator
    naive: Operator
    vendor: Operator | None
    inputs: dict[str, Tensor]


class Numbers:
    """Draws the inputs of cases, the same for the same seed."""

    def __init__(self, seed: int):
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, dtype=torch.float64, generator=self.generator)

    def distinct(self, *shape: int) -> Tensor:
        """No two numbers near each other, so that a small step changes no maximum."""
        count = torch.Size(shape).numel()
        return torch.randperm(count, generator=self.generator).double().reshape(shape) / count - 0.5

    def away_from_zero(self, *shape: int) -> Tensor:
        """So that a small step crosses no kink at 0."""
        numbers = self.normal(*shape)
        return numbers + 0.1 * numbers.sign()

    def positive(self, *shape: int) -> Tensor:
        return self.normal(*shape).abs() + 0.1


@dataclass(frozen=True)
class Errors:
    """Relative errors of one gradient, or the largest of several; None where there is nothing to compare with."""

    autograd: float | None
    numeric: float | None
    vendor: float | None
    second: float | None

    @property
    def passed(self) -> bool:
        found = ((getattr(self, name), limit) for name, limit in LIMITS.items())
        return all(error is None or error <= limit for error, limit in found)  # a NaN is not ≤ anything


def worst(errors: list[Errors]) -> Errors:
    """The largest error of each kind; NaN is larger than everything."""
    kinds = {item.name: [getattr(error, item.name) for error in errors] for item in fields(Errors)}
    compared = {name: [error for error in found if error is not None] for name, found in kinds.items()}
    return Errors(**{name: max(found, key=lambda e: (e != e, e), default=None) for name, found in compared.items()})


def check(case: Case) -> dict[str, Errors]:
    """The errors of the gradient for each input of a case, by the input's name."""
    tensors = list(case.inputs.values())
    output, first, second = _derivatives(case.ours, tensors)
    naive_output, naive_first, naive_second = _derivatives(case.naive, tensors)
    # Some of torch's operators have no second derivative, and none is asked of them.
    vendor_first = None if case.vendor is None else _derivatives(case.vendor, tensors, second=False)[1]
    # A forward that is wrong makes every gradient worthless.
    wrong = relative_error(output, naive_output)
    found = {}
    for number, name in enumerate(case.inputs):
        found[name] = Errors(
            autograd=max(relative_error(first[number], naive_first[number]), wrong),
            numeric=relative_error(first[number], _differences(case.ours, tensors, number)),
            vendor=None if vendor_first is None else relative_error(first[number], vendor_first[number]),
            second=relative_error(second[number], naive_second[number]),
        )
    return found


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Largest deviation over the largest element of `expected` (of 1 if that is all zeros)."""
    if found.shape != expected.shape:
        return float("nan")
    if expected.numel() == 0:
        return 0.0
    scale = expected.abs().max().item() or 1.0
    return (found - expected).abs().max().item() / scale


def _weights(like: Tensor, seed: int) -> Tensor:
    """Random numbers with the shape of `like`, the same on every call."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(like.shape, dtype=torch.float64, generator=generator)


def _derivatives(
    operator: Operator, tensors: list[Tensor], second: bool = True
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Output y; gradients of Σ v·y for random v; and, if asked for, the gradients of a random mixture of these."""
    leaves = [tensor.detach().clone().requires_grad_() for tensor in tensors]
    output = operator(*leaves)
    first = torch.autograd.grad(output, leaves, _weights(output, 1), create_graph=second)
    if not second:
        return output.detach(), list(first), []
    mixture = torch.stack([(gradient * _weights(gradient, 2)).sum() for gradient in first]).sum()
    if not mixture.requires_grad:  # the gradients are constants: a linear function of one tensor
        twice = [torch.zeros_like(leaf) for leaf in leaves]
    else:
        twice = list(torch.autograd.grad(mixture, leaves, allow_unused=True, materialize_grads=True))
    return output.detach(), [gradient.detach() for gradient in first], twice


def _differences(operator: Operator, tensors: list[Tensor], number: int) -> Tensor:
    """Central differences of Σ v·y by every element of one input."""
    values = [tensor.detach().clone() for tensor in tensors]
    moved = values[number].view(-1)
    gradient = torch.empty_like(moved)
    with torch.no_grad():
        weights = _weights(operator(*values), 1)
        for position in range(moved.numel()):
            before = moved[position].item()
            moved[position] = before + STEP
            above = operator(*values)
            moved[position] = before - STEP
            below = operator(*values)
            moved[position] = before
            # Subtracted element by element first: the two sums would hide the small difference.
            gradient[position] = ((above - below) * weights).sum() / (2 * STEP)
    return gradient.view(values[number].shape)


def check_network(ours: nn.Module, vendor: nn.Module, images: Tensor) -> dict[str, float]:
    """Relative errors of the logits and of every parameter's gradient, ours against the vendor's layers.

    Both networks must hold the same weights; both run in the mode that they are in.
    """
    (logits, found), (expected_logits, expected) = _backward(ours, images), _backward(vendor, images)
    errors = {"logits": relative_error(logits, expected_logits)}
    return errors | {name: relative_error(found[name], gradient) for name, gradient in expected.items()}


def _backward(network: nn.Module, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits and parameter gradients of a random mixture of the logits."""
    named = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
    logits = network(images)
    gradients = torch.autograd.grad(logits, list(named.values()), _weights(logits, 1), materialize_grads=True)
    return logits.detach(), dict(zip(named, gradients, strict=True))
