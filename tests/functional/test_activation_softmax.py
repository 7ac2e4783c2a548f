"""Softmax and its logarithm."""

import math

import pytest
import torch
from torch.nn import functional as F

from differential import assert_proved, assert_rejected_alike, assert_same, assert_transforms, random
from repronet.functional.softmax import log_softmax, softmax

INF = float("inf")
BOTH = pytest.mark.parametrize(("ours", "theirs"), [(softmax, torch.softmax), (log_softmax, torch.log_softmax)])


@BOTH
@pytest.mark.parametrize(
    ("shape", "dim"),
    [((), 0), ((), -1), ((4,), 0), ((3, 4), 0), ((3, 4), -2), ((2, 3, 4, 5), 1), ((0, 3), 1), ((3, 0), 1), ((3, 1), 1)],
)
def test_same_as_torch(ours, theirs, shape, dim):
    assert_same(lambda x: ours(x, dim), lambda x: theirs(x, dim), random(*shape) * 3)


@BOTH
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_gradients_are_proved(ours, theirs, dim):
    assert_proved(lambda x: ours(x, dim), random(2, 3, 2))


@BOTH
def test_torch_func_transforms(ours, theirs):
    assert_transforms(lambda x: ours(x, 0), lambda x: theirs(x, 0), random(3, 4))


@BOTH
def test_large_numbers_do_not_overflow(ours, theirs):
    for values in ([1000.0, 1001.0], [-1000.0, -1001.0], [0.0, -INF], [3.0, -800.0, 2.0], [1e300, -1e300]):
        assert_same(
            lambda x: ours(x, 0), lambda x: theirs(x, 0), torch.tensor(values, dtype=torch.float64), second=False
        )


@BOTH
@pytest.mark.parametrize("values", [[-INF, -INF], [INF, 0.0], [float("nan"), 0.0]])
def test_what_is_not_a_number(ours, theirs, values):
    x = torch.tensor(values)
    torch.testing.assert_close(ours(x, 0), theirs(x, 0), equal_nan=True)


def test_log_softmax_where_the_probability_underflows():
    assert log_softmax(torch.tensor([0.0, -1000.0]), 0).tolist() == [0, -1000]


def test_by_hand():
    torch.testing.assert_close(softmax(torch.tensor([math.log(1), math.log(3)]), 0), torch.tensor([0.25, 0.75]))
    x = torch.zeros(4, requires_grad=True)  # the gradient of the cross-entropy is p − 1 for the label, p for the others
    (-log_softmax(x, 0)[2]).backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.25, 0.25, -0.75, 0.25]


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_input_is_cast_first(ours, theirs, dtype):
    tolerance = 2 * torch.finfo(dtype).eps if dtype == torch.bfloat16 else None
    for x in (random(3, 4, dtype=torch.float32), random(3, 4)):
        assert_same(
            lambda x: ours(x, 1, dtype=dtype),
            lambda x: theirs(x, 1, dtype=dtype),
            x,
            second=False,
            rtol=tolerance,
            atol=tolerance,
        )
    integers = torch.tensor([[1, 2, 3]])
    torch.testing.assert_close(ours(integers, 1, dtype=dtype), theirs(integers, 1, dtype=dtype))


@BOTH
@pytest.mark.parametrize(
    ("arguments", "how"),
    [
        ((torch.ones(2, 3), 2), {}),
        ((torch.ones(2, 3), -3), {}),
        ((torch.ones(()), 1), {}),
        ((torch.ones(2, 3), "1"), {}),
        ((torch.ones(2, 3), 1.0), {}),
        ((torch.ones(2, 3),), {}),
        ((torch.ones(2, 3).long(), 1), {}),
        ((torch.ones(2, 3), 1), {"dtype": torch.int64}),
        ((torch.ones(2, 3), 1), {"dtype": "float32"}),
        (([1.0, 2.0], 0), {}),
    ],
)
def test_refuses_what_torch_refuses(ours, theirs, arguments, how):
    assert_rejected_alike(ours, theirs, *arguments, **how)


@BOTH
def test_the_dimension_is_not_guessed(ours, theirs):
    with pytest.raises(TypeError, match="dim=None"):
        ours(torch.ones(2, 3), None)


@BOTH
def test_matches_under_autocast(ours, theirs):
    x = random(3, 4, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(ours(x, 1), theirs(x, 1))
    assert F.softmax(x, 1).dtype == softmax(x, 1).dtype
