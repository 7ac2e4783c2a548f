"""Ours against torch's: values, every gradient, second derivatives and refusals, with one call each."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from repronet import algorithms, native

Operator = Callable[..., Any]
NATIVE = [] if native.missing() else ["native"]  # the algorithm that needs a C compiler
ALGORITHMS = [name for name in algorithms.ALGORITHMS if name != "native" or NATIVE]


def random(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    """Normally distributed numbers, the same on every call."""
    generator = torch.Generator().manual_seed(seed + sum(n * 31**i for i, n in enumerate(shape)))
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def random_like(tensor: Tensor, seed: int = 1) -> Tensor:
    return random(*tensor.shape, dtype=tensor.dtype, seed=seed)


def _outputs(operator: Operator, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    result = operator(*inputs)
    return result if isinstance(result, tuple) else (result,)


def _fresh(tensor: Tensor) -> Tensor:
    """The same numbers in the same memory layout, as a new leaf."""
    return tensor.detach().requires_grad_(tensor.is_floating_point())


def derivatives(operator: Operator, inputs: tuple[Tensor, ...], *, second: bool) -> list[Tensor]:
    """Outputs, then first derivatives, then second derivatives by inputs and by the incoming gradient."""
    leaves = [_fresh(tensor) for tensor in inputs]
    outputs = _outputs(operator, leaves)
    y = outputs[0]
    by = [leaf for leaf in leaves if leaf.requires_grad]
    incoming = random_like(y).requires_grad_()
    first = torch.autograd.grad(y, by, incoming, create_graph=second)
    found = [*outputs, *first]
    if second:
        total = torch.stack([(gradient * random_like(gradient, seed=2)).sum() for gradient in first]).sum()
        twice = torch.autograd.grad(total, [*by, incoming], allow_unused=True, materialize_grads=True)
        found.extend(twice)
    return [tensor.detach() for tensor in found]


def assert_same(
    ours: Operator,
    reference: Operator,
    *inputs: Tensor,
    second: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
) -> None:
    """Require the same values, dtypes, gradients and second derivatives from both, for every floating-point input."""
    found = derivatives(ours, inputs, second=second)
    expected = derivatives(reference, inputs, second=second)
    for ours_, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours_, theirs, rtol=rtol, atol=atol, equal_nan=True)


def assert_proved(operator: Operator, *inputs: Tensor) -> None:
    """Check first and second derivatives against finite differences."""
    leaves = tuple(_fresh(tensor) for tensor in inputs)
    assert torch.autograd.gradcheck(operator, leaves)
    assert torch.autograd.gradgradcheck(operator, leaves)


def assert_rejected_alike(ours: Operator, reference: Operator, *args: Any, **kwargs: Any) -> None:
    """Require that both refuse, ours so that an `except` written for torch's catches it, and in one line."""
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        reference(*args, **kwargs)
    with pytest.raises(theirs.type) as found:
        ours(*args, **kwargs)
    assert "\n" not in str(found.value)


def assert_transforms(ours: Operator, reference: Operator, *inputs: Tensor) -> None:
    """Require that vmap and grad from torch.func go through ours as through the reference, for every input."""
    many = tuple(torch.stack([tensor, random_like(tensor, seed=7)]) for tensor in inputs)

    def loss(operator: Operator) -> Operator:
        return lambda *tensors: _outputs(operator, list(tensors))[0].pow(3).sum()

    for position, batched in enumerate(many):
        arguments = [*inputs[:position], batched, *inputs[position + 1 :]]
        in_dims = tuple(0 if i == position else None for i in range(len(inputs)))
        for by in range(len(inputs)):
            found = torch.func.vmap(torch.func.grad(loss(ours), by), in_dims)(*arguments)
            expected = torch.func.vmap(torch.func.grad(loss(reference), by), in_dims)(*arguments)
            torch.testing.assert_close(found, expected)
