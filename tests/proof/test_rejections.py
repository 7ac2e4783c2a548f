"""What torch refuses is refused here, so that an `except` written for torch's catches it; what it accepts, is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from proof.operators import (
    DELIBERATE,
    OPERATORS,
    Case,
    Function,
    Operator,
    error_samples,
    ours,
    quiet,
    refused_alike,
    some_samples,
    theirs,
)
from proof.test_samples import difference, exact

by_operator = pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.name)
DTYPES = (torch.float16, torch.float32, torch.int64, torch.uint8, torch.bool, torch.complex128)
OTHERS = (-1, 0, 1.5, None, "text", (), (1, 2, 3), [1])


def attempt(function: Function, case: Case) -> Any:
    """The outputs, or the error."""
    try:
        torch.manual_seed(0)
        return case.map(lambda tensor: tensor.detach().clone()).call(function)
    except Exception as error:
        return error


def fault(operator: Operator, case: Case, strict: bool) -> str | None:
    """Where ours refuses, accepts or answers otherwise than torch's, in words.

    Args:
        strict: whether the error must be of torch's type, or may be any that is meant. Of several things wrong with
            one call, torch and we need not find the same one first.
    """
    function, reference = quiet(ours(operator)), quiet(theirs(operator))
    expected, found = attempt(reference, case), attempt(function, case)
    if any(tensor.is_complex() for _, tensor in case.tensors()):
        refused = isinstance(found, NotImplementedError) or (_is_error(expected) and isinstance(found, type(expected)))
        return None if refused else f"is not refused, though complex: {_shown(found)}"
    if not strict and _is_our_choice(case, expected, found):
        return None
    if _is_error(expected):
        if not (refused_alike(found, expected) if strict else isinstance(found, DELIBERATE)):
            return f"torch refuses with {_shown(expected)}, ours: {_shown(found)}"
        return "the message has several lines" if "\n" in str(found) else None
    if _is_error(found):
        return f"torch accepts, ours: {_shown(found)}"
    true = expected if operator.random else attempt(reference, case.map(exact))
    return _worse(found, expected, true)


def _is_our_choice(case: Case, expected: Any, found: Any) -> bool:
    """What nobody relies on: torch lacks a kernel for a dtype that we have, or takes dtypes that we refuse by name."""
    if isinstance(expected, NotImplementedError) and not _is_error(found):
        return True
    dtypes = {tensor.dtype for _, tensor in case.tensors()}
    ordinary = len(dtypes) == 1 and dtypes.pop().is_floating_point
    return isinstance(found, NotImplementedError) and not ordinary


def _shown(result: Any) -> str:
    return f"{result!r:.160}" if _is_error(result) else "accepts"


def _is_error(result: Any) -> bool:
    return isinstance(result, Exception)


def _worse(found: Any, expected: Any, true: Any) -> str | None:
    triples = zip(_tensors(found), _tensors(expected), _tensors(true), strict=True)
    return next((wrong for a, b, c in triples if (wrong := difference(a, b, c))), None)


def _tensors(result: Any) -> tuple[Tensor, ...]:
    return result if isinstance(result, tuple) else (result,)


@by_operator
def test_error_samples(operator):
    cases = error_samples(operator)
    if not cases:
        pytest.skip(f"torch has no inputs for {operator.name} that must be refused")
    assert any(_is_error(attempt(theirs(operator), case)) for case in cases)
    faults = [f"{case} {wrong}" for case in cases if (wrong := fault(operator, case, strict=True))]
    print(f"{operator.name}: {len(cases) - len(faults)} of {len(cases)} refused alike")
    assert not faults, "\n".join(faults)


@by_operator
def test_misuse(operator):
    """Samples spoilt in one argument. Without elements torch often does not look at the others."""
    whole = [case for case in some_samples(operator, torch.float64) if case.tensors()[0][1].numel()]
    cases = [spoilt for case in whole for spoilt in misuses(case)]
    faults = [f"{case} {wrong}" for case in cases if (wrong := fault(operator, case, strict=False))]
    print(f"{operator.name}: {len(cases) - len(faults)} of {len(cases)} misuses treated alike")
    shown = "\n".join(faults[:12])
    assert not faults, f"{len(faults)} of {len(cases)} misuses are treated otherwise:\n{shown}"


def misuses(case: Case) -> Iterator[Case]:
    for place, value in case.places():
        if isinstance(value, bool):  # we take anything for a flag that is true or false
            continue
        others = _spoilt_tensors(value) if isinstance(value, Tensor) else OTHERS
        yield from (case.replace(place, other) for other in others)
    yield Case((), case.kwargs)
    yield case.replace("surplus", 1)


def _spoilt_tensors(tensor: Tensor) -> Iterator[Any]:
    yield from (None, "text", 5.0, [1.0])
    yield from (tensor.detach().to(dtype) for dtype in DTYPES if dtype != tensor.dtype)
    yield from (tensor.flatten(), tensor.unsqueeze(0), tensor[None, None], tensor.sum())
    for dim in range(tensor.dim()):
        yield tensor.narrow(dim, 0, 0)  # of size 0
        yield torch.cat([tensor, tensor], dim)
