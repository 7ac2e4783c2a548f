"""Every sample of torch's own operator tests: values, gradients and second derivatives, no worse than torch's.

The numbers to meet are those of torch in float64. An error may be as large as `torch.testing.assert_close` allows for
the dtype (less for float64), or, where torch itself is farther off than that, twice as large as torch's largest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product

import pytest
import torch
from torch import Tensor

from differential import random
from proof.operators import (
    OPERATORS,
    Case,
    Function,
    Operator,
    ours,
    quiet,
    refused_alike,
    samples,
    some_samples,
    theirs,
    without_elements,
)

# rtol and atol. Those of the smaller dtypes are from the table in the documentation of torch.testing.assert_close; its
# 1e-7 for float64 would not see an operator that computes in float32 on the way.
TOLERANCES = {
    torch.float64: (1e-10, 1e-10),
    torch.float32: (1.3e-6, 1e-5),
    torch.float16: (1e-3, 1e-5),
    torch.bfloat16: (1.6e-2, 1e-5),
}
TWICE_SIZE = 4096  # second derivatives are taken of at most so many numbers


def as_made(tensor: Tensor) -> Tensor:
    return tensor.clone()


def strided(tensor: Tensor) -> Tensor:
    """The same numbers, none beside the next in memory."""
    return torch.stack([tensor, tensor], -1)[..., 0]


def channels_last(tensor: Tensor) -> Tensor:
    return tensor.clone(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor.clone()


LAYOUTS = {"as made": as_made, "strided": strided, "channels last": channels_last}


@dataclass
class Found:
    """What one call computed, by name, until something was refused."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    refused: str = ""
    error: Exception | None = None


def evaluate(function: Function, case: Case, dtype: torch.dtype, *, twice: bool) -> Found:
    """Outputs, what the call left in its arguments, gradients and, if `twice`, second derivatives.

    Args:
        dtype: of the sample; the incoming gradient is rounded to it, whatever the case was converted to.
    """
    found = Found()
    stage = "the call"
    try:
        torch.manual_seed(0)
        outputs = _call(function, case, found)
        leaves = [tensor for _, tensor in case.leaves()]
        y = outputs[0]
        found.tensors["needs gradient"] = torch.tensor(y.requires_grad)
        if y.requires_grad:
            stage = "the gradient"
            incoming = random(*y.shape).to(dtype).to(y.dtype).requires_grad_(twice)
            first = _gradients(y, leaves, incoming, twice)
            _record(found, "gradient of", case, first)
            if twice:
                stage = "the second derivative"
                total = torch.stack([(g * random(*g.shape, seed=2)).sum() for g in first]).sum()
                if total.requires_grad:
                    second = _gradients(total, [*leaves, incoming], None, False)
                    _record(found, "second derivative by", case, second)
                    found.tensors["second derivative by the incoming gradient"] = second[-1]
    except Exception as error:
        found.refused, found.error = stage, error
    return found


def _call(function: Function, case: Case, found: Found) -> tuple[Tensor, ...]:
    result = case.map(_writable).call(function) if case.kwargs.get("inplace") else case.call(function)
    outputs = result if isinstance(result, tuple) else (result,)
    found.tensors |= {f"output {i}": output for i, output in enumerate(outputs)}
    found.tensors |= {f"{place} afterwards": tensor for place, tensor in case.tensors()}
    return outputs


def _writable(tensor: Tensor) -> Tensor:
    """Not a leaf, so that it may be written to in place."""
    return tensor.clone()


def _gradients(output: Tensor, by: list[Tensor], incoming: Tensor | None, graph: bool) -> tuple[Tensor, ...]:
    return torch.autograd.grad(output, by, incoming, create_graph=graph, allow_unused=True, materialize_grads=True)


def _record(found: Found, words: str, case: Case, tensors: tuple[Tensor, ...]) -> None:
    found.tensors |= {f"{words} {place}": tensor for (place, _), tensor in zip(case.leaves(), tensors, strict=False)}


def fault(
    case: Case, function: Function, reference: Function, dtype: torch.dtype, *, random_output: bool = False
) -> str | None:
    """What is wrong with `function` on this case, in words, or None."""
    exactly = dtype == torch.float64
    twice = exactly and sum(tensor.numel() for _, tensor in case.leaves()) <= TWICE_SIZE
    expected = evaluate(reference, _fresh(case), dtype, twice=twice)
    found = evaluate(function, _fresh(case), dtype, twice=twice)
    if expected.refused == "the call":
        assert expected.error is not None
        if refused_alike(found.error, expected.error) and found.refused == "the call":
            return None
        return f"torch refuses with {expected.error!r:.90}, ours: {found.error!r:.90}"
    missing = expected.tensors.keys() - found.tensors.keys()
    if missing:
        return f"{found.refused or sorted(missing)} failed: {found.error!r:.150}"
    true = expected if exactly or random_output else evaluate(reference, _fresh(case.map(exact)), dtype, twice=False)
    for name in expected.tensors:
        wrong = difference(found.tensors[name], expected.tensors[name], true.tensors.get(name))
        if wrong:
            return f"{name}: {wrong}"
    return None


def _fresh(case: Case) -> Case:
    """The same numbers in the same layout in new memory, so that one call does not see what another wrote."""

    def leaf(tensor: Tensor) -> Tensor:
        copy = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)
        return copy.copy_(tensor.detach()).requires_grad_(tensor.requires_grad)

    return case.map(leaf)


def exact(tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    return tensor.detach().double().requires_grad_(tensor.requires_grad)


def difference(found: Tensor, expected: Tensor, true: Tensor | None) -> str | None:
    """How `found` is worse than `expected`, both compared with `true`, or None."""
    if (found.dtype, found.shape) != (expected.dtype, expected.shape):
        return f"{found.dtype} {tuple(found.shape)} instead of {expected.dtype} {tuple(expected.shape)}"
    if not found.is_floating_point() or true is None:
        return None if torch.equal(found, expected) else "not equal"
    a, b, t = (tensor.detach().double() for tensor in (found, expected, true))
    rtol, atol = TOLERANCES[found.dtype]
    their_error = (b - t).abs().nan_to_num(0, 0, 0)
    allowed = torch.maximum(atol + rtol * t.abs(), 2 * their_error.amax() if their_error.numel() else their_error)
    bad = ~(((a - t).abs() <= allowed) | (a == b) | (a.isnan() & b.isnan()))
    if not bad.any():
        return None
    worst = (a - t).abs()[bad].max()
    return f"{int(bad.sum())} of {bad.numel()} numbers wrong, off by {worst:.2g}, torch by {their_error.max():.2g}"


def lay_out(case: Case, layout: Callable[[Tensor], Tensor]) -> Case:
    return case.map(lambda tensor: layout(tensor.detach()).requires_grad_(tensor.requires_grad))


def prove(operator: Operator, function: Function, reference: Function, dtype: torch.dtype, cases: list[Case]) -> None:
    """Require that `function` is no worse than `reference` on every case."""
    function, reference = quiet(function), quiet(reference)
    faults = [(case, fault(case, function, reference, dtype, random_output=operator.random)) for case in cases]
    wrong = [f"{case} {words}" for case, words in faults if words]
    print(f"{operator.name} {dtype}: {len(cases) - len(wrong)} of {len(cases)} samples")
    shown = "\n".join(wrong[:8])
    assert not wrong, f"{len(wrong)} of {len(cases)} samples fail:\n{shown}"


def laid_out(operator: Operator, dtype: torch.dtype, layout: str) -> list[Case]:
    """torch's samples in a memory layout; skips the test where its kernels do not take the dtype."""
    cases = samples(operator, dtype)
    if not cases:
        pytest.skip(f"torch's {operator.name} does not take {dtype}")
    if layout == "channels last":
        cases = [case for case in cases if any(tensor.dim() == 4 for _, tensor in case.tensors())]
    assert cases
    return [lay_out(case, LAYOUTS[layout]) for case in cases]


def configurations() -> Iterator:
    """Every operator with its algorithms, dtypes and layouts; those of little news are slow, or left out."""
    for operator in OPERATORS:
        for algorithm, dtype, layout in product(operator.algorithms or (None,), TOLERANCES, LAYOUTS):
            if layout == "channels last" and not operator.images:
                continue
            first = (dtype, layout) == (torch.float64, "as made")
            news = dtype == torch.float64 or (dtype, layout) == (torch.float32, "as made")
            by_default = algorithm != "vendor" and (first if operator.many else news)
            name = "-".join(word for word in (operator.name, algorithm, str(dtype)[6:], layout) if word)
            marks = () if by_default else pytest.mark.thorough if operator.many else pytest.mark.slow
            yield pytest.param(operator, algorithm, dtype, layout, id=name, marks=marks)


@pytest.mark.parametrize(("operator", "algorithm", "dtype", "layout"), list(configurations()))
def test_every_sample(operator, algorithm, dtype, layout):
    function = ours(operator, algorithm)
    prove(operator, function, theirs(operator), dtype, laid_out(operator, dtype, layout))


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.name)
def test_no_elements(operator):
    """Empty batches, images without rows, and so on: accepted and refused as by torch, with their gradients."""
    if operator.name == "multiclass_hinge":
        pytest.skip("torch answers the hinge of an empty batch with whatever stands in memory")
    cases = [empty for case in some_samples(operator, torch.float64, 5) for empty in without_elements(case)]
    prove(operator, ours(operator), theirs(operator), torch.float64, cases)
