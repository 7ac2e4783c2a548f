import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

import oracles
from differential import assert_proved, assert_rejected_alike, assert_same, assert_transforms, random
from repronet.functional.linear import linear, linear_bias_gradient

SHAPES = [
    pytest.param((5, 3), (4, 3), (4,), id="matrix"),
    pytest.param((3,), (4, 3), (4,), id="one row"),
    pytest.param((2, 5, 3), (4, 3), (4,), id="three dimensions"),
    pytest.param((2, 1, 5, 3), (4, 3), (4,), id="four dimensions"),
    pytest.param((5, 3), (4, 3), (1,), id="one bias for all"),
    pytest.param((5, 3), (4, 3), (5, 4), id="a bias for each row"),
    pytest.param((2, 5, 3), (4, 3), (5, 4), id="a bias for the last two dimensions"),
    pytest.param((5, 3), (4, 3), (), id="scalar bias"),
    pytest.param((3,), (3,), (), id="weight vector and bias"),
]


@pytest.mark.parametrize(("x", "w", "b"), SHAPES)
def test_same_as_torch(x, w, b):
    assert_same(linear, F.linear, random(*x), random(*w), random(*b))
    assert_same(linear, F.linear, random(*x), random(*w))


@pytest.mark.parametrize(("x", "w", "b"), SHAPES)
def test_gradients_are_proved(x, w, b):
    assert_proved(linear, random(*x), random(*w), random(*b))


@pytest.mark.parametrize(
    ("x", "w"), [((5, 3), (3,)), ((2, 5, 3), (3,)), ((0, 3), (4, 3)), ((2, 0), (4, 0)), ((2, 3), (0, 3))]
)
def test_corner_shapes(x, w):
    assert_same(linear, F.linear, random(*x), random(*w), second=False)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 3), max_size=3), st.integers(1, 4), st.integers(1, 4))
def test_same_as_torch_for_any_shape(leading, inputs, outputs):
    assert_same(linear, F.linear, random(*leading, inputs), random(outputs, inputs), random(outputs))


def test_same_as_the_loops():
    x, w, b = random(4, 5), random(3, 5), random(3)
    torch.testing.assert_close(linear(x, w, b), oracles.linear(x, w, b))


@pytest.mark.parametrize("bias_shape", [(3,), (1,), (), (4, 3), (4, 1)])
def test_bias_gradient_sums_what_was_broadcast(bias_shape):
    g = random(2, 4, 3)
    expected = torch.zeros(bias_shape, dtype=torch.float64)
    places = torch.arange(expected.numel()).reshape(bias_shape).expand(2, 4, 3)
    for place, value in zip(places.flatten(), g.flatten(), strict=True):
        expected.view(-1)[place] += value
    torch.testing.assert_close(linear_bias_gradient(g, torch.Size(bias_shape)), expected)


def test_memory_layouts():
    assert_same(linear, F.linear, random(3, 5).t(), random(3, 8)[:, ::2].t()[:, :3], random(8)[::2])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float16, 1e-2), (torch.bfloat16, 6e-2)])
def test_dtypes(dtype, tolerance):
    operands = (random(6, 5, dtype=dtype), random(4, 5, dtype=dtype), random(4, dtype=dtype))
    assert_same(linear, F.linear, *operands, second=False, rtol=tolerance, atol=tolerance)


def test_integers():
    x, w, b = torch.arange(6).reshape(2, 3), torch.arange(12).reshape(4, 3), torch.arange(4)
    assert torch.equal(linear(x, w, b), F.linear(x, w, b))


def test_torch_func_transforms():
    assert_transforms(linear, F.linear, random(2, 5, 3), random(4, 3), random(4))


def test_autocast():
    x, w, b = random(3, 5, dtype=torch.float32), random(4, 5, dtype=torch.float32), random(4, dtype=torch.float32)
    w.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours, theirs = linear(x, w, b), F.linear(x, w, b)
    assert ours.dtype == theirs.dtype == torch.bfloat16
    torch.testing.assert_close(ours, theirs, rtol=2e-2, atol=2e-2)
    (gradient,) = torch.autograd.grad(ours.sum(), w)
    assert gradient.dtype == torch.float32


@pytest.mark.parametrize(
    "arguments",
    [
        (random(2, 3), random(4, 5)),
        (random(2, 5, 3), random(4, 4)),
        (random(2, 3), random(2, 4, 3)),
        (torch.tensor(1.0), random(4, 3)),
        (random(2, 3), random(4, 3), random(5)),
        (random(2, 3), random(4, 3), random(1, 2, 4)),
        (random(2, 3), random(3), torch.tensor(1.0).double()),
        (random(2, 3).float(), random(4, 3)),
        (random(2, 3), random(4, 3), random(4).float()),
        (random(2, 3).bool(), random(4, 3).bool(), random(4).bool()),
        ([1.0, 2.0], random(4, 2)),
        (random(2, 3), None),
    ],
)
def test_refuses_what_torch_refuses(arguments):
    assert_rejected_alike(linear, F.linear, *arguments)


def test_complex_is_refused_by_name():
    with pytest.raises(NotImplementedError, match="linear is written for real tensors"):
        linear(random(2, 3).to(torch.complex64), random(4, 3).to(torch.complex64))


def test_by_hand():
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    w = torch.tensor([[10.0, 100.0]], requires_grad=True)
    b = torch.tensor([5.0], requires_grad=True)
    y = linear(x, w, b)
    assert y.tolist() == [[215], [435]]
    y.backward(torch.tensor([[1.0], [10.0]]))
    assert x.grad is not None
    assert w.grad is not None
    assert b.grad is not None
    assert x.grad.tolist() == [[10, 100], [100, 1000]]
    assert w.grad.tolist() == [[31, 42]]
    assert b.grad.tolist() == [11]


@pytest.mark.parametrize("shape", [(3,), (), (2, 3)])
def test_the_output_may_be_written_to(shape):
    """As an in-place ReLU does; autograd forbids it for a Function's output that is a view."""
    x, w, b = random(*shape, 5), random(4, 5), random(4)
    assert_same(lambda *t: linear(*t).relu_(), lambda *t: F.linear(*t).relu_(), x, w, b)
