"""Maxout, against its loops and torch.amax."""

import pytest
import torch

import oracles
from differential import assert_proved, assert_same, assert_transforms, random
from repronet.functional.maxout import maxout


def reference(x, pool_size, dim=1):
    """torch's own maximum; it gives the gradient to one winner, as we do."""
    dim %= x.dim()
    return x.unflatten(dim, (x.shape[dim] // pool_size, pool_size)).max(dim + 1).values


CASES = [
    ((2, 6), 2, 1),
    ((2, 6), 3, 1),
    ((2, 6), 6, 1),
    ((2, 6), 1, 1),
    ((3, 4, 5, 2), 2, 1),
    ((4,), 2, 0),
    ((3, 6), 3, -1),
]


@pytest.mark.parametrize(("shape", "pool_size", "dim"), [*CASES, ((0, 4), 2, 1), ((2, 4, 0), 2, 1), ((2, 0), 2, 1)])
def test_same_as_torch(shape, pool_size, dim):
    assert_same(lambda x: maxout(x, pool_size, dim), lambda x: reference(x, pool_size, dim), random(*shape))


@pytest.mark.parametrize(("shape", "pool_size", "dim"), CASES)
def test_gradients_are_proved(shape, pool_size, dim):
    assert_proved(lambda x: maxout(x, pool_size, dim), random(*shape))


@pytest.mark.parametrize("pool_size", [1, 2, 3, 6])
def test_same_as_the_loops_also_with_ties(pool_size):
    for x in (random(5, 6), torch.randint(0, 3, (8, 6), generator=torch.Generator().manual_seed(0)).double()):
        x.requires_grad_()
        y, winners = oracles.maxout(x, pool_size)
        found = maxout(x, pool_size)
        torch.testing.assert_close(found, y)
        g = random(*y.shape)
        (gradient,) = torch.autograd.grad(found, x, g)
        torch.testing.assert_close(gradient, winners * g.repeat_interleave(pool_size, 1))


def test_by_hand():
    x = torch.tensor([[1.0, 5.0, 5.0, -2.0]], requires_grad=True)
    y = maxout(x, 2)
    y.backward(torch.tensor([[10.0, 20.0]]))
    assert y.tolist() == [[5, 5]]
    assert x.grad is not None
    assert x.grad.tolist() == [[0, 10, 20, 0]]


def test_two_linear_pieces_make_the_absolute_value():
    """Goodfellow et al., figure 1: max(x, −x) = |x|."""
    x = random(5, 1)
    torch.testing.assert_close(maxout(torch.cat([x, -x], 1), 2), x.abs())


def test_infinite_and_missing_numbers():
    inf, nan = float("inf"), float("nan")
    x = torch.tensor([[inf, inf, -inf, -inf, nan, 1.0, 1.0, nan]], requires_grad=True)
    y = maxout(x, 2)
    torch.testing.assert_close(y, torch.tensor([[inf, -inf, nan, nan]]), equal_nan=True)
    y.backward(torch.ones_like(y))
    assert x.grad is not None
    assert x.grad.tolist() == [[1, 0, 1, 0, 1, 0, 1, 0]]


def test_memory_layouts():
    x = random(2, 4, 4, 6)
    for view in (
        x.transpose(1, 3),
        x[:, ::2],
        x.contiguous(memory_format=torch.channels_last),
        x[:1].expand(3, 4, 4, 6),
    ):
        assert_same(lambda x: maxout(x, 2), lambda x: reference(x, 2), view)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_dtypes(dtype):
    assert_same(lambda x: maxout(x, 2), lambda x: reference(x, 2), random(5, 4, dtype=dtype), second=False)
    assert maxout(torch.tensor([[1, 2, 3, 0]]), 2).tolist() == [[2, 3]]


def test_autocast_keeps_the_dtype():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert maxout(torch.ones(2, 4), 2).dtype == torch.float32


def test_torch_func_transforms():
    assert_transforms(lambda x: maxout(x, 2), lambda x: reference(x, 2), random(3, 4))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((torch.ones(2, 4), 3), ValueError, "pool_size must divide the 4 channels, got 3"),
        ((torch.ones(2, 4), 0), ValueError, "got 0"),
        ((torch.ones(2, 4), -2), ValueError, "got -2"),
        ((torch.ones(2, 4), 2, 2), IndexError, "got 2"),
        ((torch.ones(()), 1, 0), IndexError, "got 0"),
        ((torch.ones(2, 4), 2.0), TypeError, r"got Tensor, 2\.0 and 1"),
        (([1.0], 1), TypeError, "got list"),
        ((torch.ones(2, 4) * 1j, 2), NotImplementedError, "complex64"),
        ((torch.ones(2, 4) > 0, 2), NotImplementedError, "torch.bool"),
    ],
)
def test_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        maxout(*arguments)
