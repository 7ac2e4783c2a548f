"""What torch can do with a function beside calling it: torch.func, torch.compile, autocast, tensors without memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from differential import random_like
from proof.operators import OPERATORS, Case, Function, Operator, ours, quiet, some_samples, theirs
from proof.test_samples import prove

by_operator = pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.name)
by_algorithm = pytest.mark.parametrize(
    ("operator", "algorithm"),
    [
        pytest.param(operator, algorithm, id="-".join(word for word in (operator.name, algorithm) if word))
        for operator in OPERATORS
        for algorithm in (("auto", *operator.algorithms) if operator.algorithms else (None,))
        if algorithm != "vendor"  # which "auto" takes where it cannot measure
    ],
)
Transformed = Callable[[Function, list[Tensor]], Any]


def of_tensors(function: Function, case: Case) -> Function:
    """The first output as a function of the tensors that gradients are wanted for, the other arguments being fixed."""
    places = [place for place, _ in case.leaves()]

    def call(*tensors: Tensor) -> Tensor:
        full = case
        for place, tensor in zip(places, tensors, strict=True):
            full = full.replace(place, tensor)
        result = full.call(function)
        return result[0] if isinstance(result, tuple) else result

    return call


def differentiable_samples(operator: Operator, many: int = 3) -> list[Case]:
    return [case for case in some_samples(operator, torch.float64, many) if case.leaves()]


def compare(operator: Operator, algorithm: str | None, transform: Transformed) -> int:
    """Apply a transform to both, on a few samples; returns how many torch's own operator went through."""
    function = ours(operator, algorithm)
    compared = 0
    for case in differentiable_samples(operator):
        tensors = [tensor.detach() for _, tensor in case.leaves()]
        fixed = case.map(Tensor.detach)
        names = [place for place, _ in case.leaves()]
        try:
            expected = _transformed(transform, theirs(operator), case, tensors)
        except Exception as refused:  # batch_norm cannot move running statistics under vmap
            print(f"torch's {operator.name}{fixed} {names}: {refused!r:.90}")
            continue
        compared += 1
        found = _transformed(transform, function, case, tensors)
        torch.testing.assert_close(found, expected, msg=lambda words, case=case: f"{case}: {words}")
    return compared


def _transformed(transform: Transformed, function: Function, case: Case, tensors: list[Tensor]) -> Any:
    torch.manual_seed(0)
    fresh = case.map(lambda tensor: tensor.detach().clone().requires_grad_(tensor.requires_grad))
    return transform(of_tensors(function, fresh), tensors)


def gradients_of_many(function: Function, tensors: list[Tensor]) -> list[Tensor]:
    """vmap over grad, mapping each tensor alone and all together."""

    def loss(*given: Tensor) -> Tensor:
        return function(*given).pow(3).sum()

    everything = tuple(range(len(tensors)))
    many = [torch.stack([tensor, random_like(tensor, seed=7)]) for tensor in tensors]
    found = []
    for mapped in [(i,) for i in everything] + [everything]:
        arguments = [many[i] if i in mapped else tensor for i, tensor in enumerate(tensors)]
        in_dims = tuple(0 if i in mapped else None for i in everything)
        found.extend(torch.func.vmap(torch.func.grad(loss, everything), in_dims)(*arguments))
    return found


def jacobian(function: Function, tensors: list[Tensor]) -> Any:
    """vmap over the gradient alone: the output's derivatives by every tensor."""
    return torch.func.jacrev(function, tuple(range(len(tensors))))(*tensors)


def hessian(function: Function, tensors: list[Tensor]) -> Any:
    def loss(first: Tensor) -> Tensor:
        return function(first, *tensors[1:]).pow(3).sum()

    return torch.func.jacrev(torch.func.jacrev(loss))(tensors[0])


def tangent(function: Function, tensors: list[Tensor]) -> Any:
    return torch.func.jvp(function, tuple(tensors), tuple(random_like(tensor) for tensor in tensors))


def dual_tangent(function: Function, tensors: list[Tensor]) -> Any:
    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(tensor, random_like(tensor)) for tensor in tensors]
        return tuple(forward_ad.unpack_dual(function(*duals)))


def forward_jacobian(function: Function, tensors: list[Tensor]) -> Any:
    return torch.func.jacfwd(function, tuple(range(len(tensors))))(*tensors)


def forward_hessian(function: Function, tensors: list[Tensor]) -> Any:
    def loss(first: Tensor) -> Tensor:
        return function(first, *tensors[1:]).pow(3).sum()

    return torch.func.hessian(loss)(tensors[0])


def compiled(function: Function, tensors: list[Tensor]) -> list[Tensor]:
    """Output and gradients of the whole function traced as one graph."""
    torch.compiler.reset()
    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    y = torch.compile(function, backend="aot_eager", fullgraph=True)(*leaves)
    return [y.detach(), *torch.autograd.grad(y, leaves, random_like(y), allow_unused=True, materialize_grads=True)]


@by_algorithm
@pytest.mark.parametrize("transform", [gradients_of_many, jacobian, hessian])
def test_reverse_mode(operator, algorithm, transform):
    compared = compare(operator, algorithm, transform)
    if not compared:
        pytest.skip(f"torch's own {operator.name} does not go through this transform")


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:FutureWarning")  # by torch's own jvp
@by_algorithm
@pytest.mark.parametrize("transform", [tangent, dual_tangent, forward_jacobian, forward_hessian])
def test_forward_mode(operator, algorithm, transform):
    if not compare(operator, algorithm, transform):
        pytest.skip(f"torch's own {operator.name} does not go through this transform")


@pytest.mark.slow
@by_algorithm
def test_compiled(operator, algorithm):
    assert compare(operator, algorithm, compiled)


@pytest.mark.slow
@by_algorithm
def test_gradients_of_many_compiled(operator, algorithm):
    """torch.compile maps no autograd.Function, and must then leave the transform as it is."""

    def compiled_gradients(function: Function, tensors: list[Tensor]) -> Any:
        torch.compiler.reset()
        return gradients_of_many(torch.compile(function, backend="aot_eager"), tensors[:1])

    compare(operator, algorithm, compiled_gradients)


@by_operator
def test_autocast(operator):
    """The dtypes of output and gradients, and the numbers: no worse than torch's under autocast."""

    def cast(function: Function) -> Function:
        def call(*args: Any, **kwargs: Any) -> Any:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return function(*args, **kwargs)

        return call

    function = ours(operator, "own" if "own" in operator.algorithms else None)
    cases = some_samples(operator, torch.float32, 20)
    prove(operator, cast(function), cast(theirs(operator)), torch.float32, cases)


@by_operator
def test_without_memory(operator):
    """On the device "meta" shapes and dtypes come out, and nothing is computed."""
    function, reference = quiet(ours(operator)), quiet(theirs(operator))
    for case in some_samples(operator, torch.float32, 10):
        meta = case.map(lambda tensor: tensor.detach().to("meta").requires_grad_(tensor.requires_grad))
        try:
            expected = _outline(reference, meta)
        except Exception as refused:
            print(f"torch's {operator.name}{case}: {refused!r:.90}")
            continue
        assert _outline(function, meta) == expected, case


def _outline(function: Function, case: Case) -> list[tuple[str, torch.dtype, torch.Size]]:
    result = case.call(function)
    outputs = result if isinstance(result, tuple) else (result,)
    leaves = [tensor for _, tensor in case.leaves()]
    gradients = (
        torch.autograd.grad(outputs[0], leaves, torch.ones_like(outputs[0]), allow_unused=True) if leaves else ()
    )
    return [(tensor.device.type, tensor.dtype, tensor.shape) for tensor in (*outputs, *gradients) if tensor is not None]
