import math

import pytest
import torch
from torch.nn import functional as F

import oracles
from differential import assert_proved, assert_rejected_alike, assert_same, assert_transforms, random
from repronet.functional.activation import relu, tanh

NAN, INF = float("nan"), float("inf")
OPERATORS = [pytest.param(relu, F.relu, id="relu"), pytest.param(tanh, torch.tanh, id="tanh")]


@pytest.mark.parametrize(("ours", "theirs"), OPERATORS)
@pytest.mark.parametrize("shape", [(), (5,), (2, 3, 4), (2, 3, 4, 5), (0, 3)])
def test_same_as_torch(ours, theirs, shape):
    assert_same(ours, theirs, random(*shape))


@pytest.mark.parametrize(("ours", "theirs"), OPERATORS)
def test_gradients_are_proved(ours, theirs):
    assert_proved(ours, random(3, 4))


@pytest.mark.parametrize(("ours", "oracle"), [(relu, oracles.relu), (tanh, oracles.tanh)])
def test_same_as_the_loops(ours, oracle):
    x = random(3, 4) * 3
    torch.testing.assert_close(ours(x), oracle(x))


@pytest.mark.parametrize(("ours", "theirs"), OPERATORS)
def test_memory_layouts(ours, theirs):
    x = random(2, 3, 4, 5)
    for view in (
        x.transpose(1, 3),
        x[:, ::2],
        x.contiguous(memory_format=torch.channels_last),
        x[:1].expand(3, 3, 4, 5),
    ):
        assert_same(ours, theirs, view)


@pytest.mark.parametrize(("ours", "theirs"), OPERATORS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_dtypes(ours, theirs, dtype):
    tolerance = 2 * torch.finfo(dtype).eps
    assert_same(ours, theirs, random(50, dtype=dtype) * 3, second=False, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("ours", "theirs"), OPERATORS)
def test_autocast_keeps_the_dtype(ours, theirs):
    x = random(5, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ours(x).dtype == theirs(x).dtype == torch.float32
        assert ours(x.bfloat16()).dtype == theirs(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize(("ours", "theirs"), OPERATORS)
def test_torch_func_transforms(ours, theirs):
    assert_transforms(ours, theirs, random(3, 4))


@pytest.mark.parametrize(("ours", "theirs"), OPERATORS)
def test_special_values(ours, theirs):
    x = torch.tensor(
        [NAN, INF, -INF, 0.0, -0.0, 1e-300, -1e-300, 1e-9, 19.0, 21.0, -21.0, 700.0, 1e300, -1e300]
    ).double()
    assert_same(ours, theirs, x, second=False)


def test_relu_gradient_at_zero_is_zero():
    x = torch.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    relu(x).backward(torch.tensor([INF, 5.0, 7.0]))
    assert x.grad is not None
    assert x.grad.tolist() == [0, 0, 7]


def test_tanh_keeps_every_digit():
    """Near zero tanh x ≈ x, where (e^2x − 1) formed by subtraction has no digits left."""
    for value in (1e-20, 1e-8, 0.01, 0.5, 3.0, 15.0):
        x = torch.tensor(value, dtype=torch.float64)
        assert math.isclose(tanh(x).item(), math.tanh(value), rel_tol=4e-16)
        assert tanh(-x) == pytest.approx(-math.tanh(value), rel=4e-16, abs=0)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_integers(dtype):
    x = torch.tensor([0, 1, 2, 3], dtype=dtype) - (0 if dtype == torch.uint8 else 2)
    torch.testing.assert_close(relu(x), F.relu(x))
    torch.testing.assert_close(tanh(x), torch.tanh(x))


def test_relu_in_place_writes_and_returns_its_input():
    x = random(3, 4)
    expected = F.relu(x)
    result = relu(x, inplace=True)
    assert result is x
    assert torch.equal(x, expected)


def test_relu_in_place_has_the_same_gradient():
    w = random(3, 4)
    assert_same(
        lambda x: relu(x * w, inplace=True) * x, lambda x: F.relu(x * w, inplace=True) * x, random(3, 4, seed=3)
    )


def test_relu_in_place_is_seen_by_autograd():
    x = random(3).requires_grad_()
    y = torch.exp(x)  # keeps its output for the gradient
    relu(y, inplace=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize(
    ("arguments", "how"),
    [
        ((torch.tensor([True]),), {}),
        ((torch.tensor([1j]),), {}),
        ((torch.ones(2, requires_grad=True),), {"inplace": True}),
        ((torch.ones(1).expand(3),), {"inplace": True}),
        ((5,), {}),
    ],
)
def test_relu_refuses_what_torch_refuses(arguments, how):
    assert_rejected_alike(relu, F.relu, *arguments, **how)


def test_tanh_refuses():
    assert_rejected_alike(tanh, torch.tanh, 5)
    with pytest.raises(NotImplementedError, match="tanh is written for real tensors"):
        tanh(torch.tensor([1j]))
