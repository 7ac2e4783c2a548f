from functools import partial

import pytest
import torch
from torch.nn import functional as F

import oracles
from differential import assert_proved, assert_rejected_alike, assert_same, assert_transforms, random
from repronet.functional import adaptive_pool
from repronet.functional.adaptive_pool import adaptive_avg_pool2d, adaptive_max_pool2d

NAN, INF = float("nan"), float("inf")
ALGORITHMS = ["own", "vendor", "auto"]
OPERATORS = [
    pytest.param(partial(ours, algorithm=algorithm), theirs, id=f"{name} {algorithm}")
    for name, ours, theirs in (
        ("avg", adaptive_avg_pool2d, F.adaptive_avg_pool2d),
        ("max", adaptive_max_pool2d, F.adaptive_max_pool2d),
    )
    for algorithm in ALGORITHMS
]
OWN = [param for param in OPERATORS if param.id is not None and param.id.endswith("own")]
# Of an input 8×9: even windows, global, uneven, overlapping, as large as the input, larger.
SIZES = [1, (1, 1), (4, 3), (8, 9), 3, (5, 4), (7, 2), (None, 2), (8, None), [2, 9], (20, 11)]


@pytest.mark.parametrize(("ours", "theirs"), OPERATORS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_same_as_torch(ours, theirs, size):
    assert_same(lambda x: ours(x, size), lambda x: theirs(x, size), random(2, 3, 8, 9))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_indices_same_as_torch(size, algorithm):
    for x in (random(2, 3, 8, 9), random(2, 3, 8, 9).round()):  # few different values, so that ties are common
        assert_same(
            lambda t: adaptive_max_pool2d(t, size, return_indices=True, algorithm=algorithm),
            lambda t: F.adaptive_max_pool2d(t, size, return_indices=True),
            x,
        )


@pytest.mark.parametrize(("ours", "theirs"), OWN)
@pytest.mark.parametrize("size", [1, (2, 5), 3, (5, 4)])
def test_gradients_are_proved(ours, theirs, size):
    assert_proved(lambda x: ours(x, size), random(1, 2, 4, 5))


@pytest.mark.parametrize("size", [(1, 1), (3, 7), (4, 2), (9, 4)])
def test_same_as_the_loops(size):
    x = random(2, 2, 6, 7)
    mean = adaptive_pool.adaptive_avg_pool2d_forward(x, size)
    torch.testing.assert_close(mean, oracles.adaptive_avg_pool2d(x, size))
    g = random(*mean.shape, seed=5)
    gradient = adaptive_pool.adaptive_avg_pool2d_input_gradient(g, (6, 7))
    torch.testing.assert_close(gradient, oracles.adaptive_avg_pool2d_gradient(g, (6, 7)))
    x = x.requires_grad_()
    y, where = adaptive_max_pool2d(x, size, return_indices=True, algorithm="own")
    expected, positions = oracles.adaptive_max_pool2d(x, size)
    assert torch.equal(y, expected)
    assert torch.equal(where, positions)
    (gradient,) = torch.autograd.grad(y, x, g)
    torch.testing.assert_close(gradient, oracles.max_pool2d_gradient(g, where, (6, 7)))


def test_windows_of_seven_to_five():
    """⌊i·7/5⌋ … ⌈(i+1)·7/5⌉, written out."""
    assert adaptive_pool.adaptive_spans(7, 5) == [(0, 2), (1, 2), (2, 3), (4, 2), (5, 2)]
    x = torch.arange(7.0).reshape(1, 1, 7).requires_grad_()
    y = adaptive_avg_pool2d(x, (1, 5), algorithm="own")
    assert y.tolist() == [[[0.5, 1.5, 3, 4.5, 5.5]]]
    (gradient,) = torch.autograd.grad(y, x, torch.tensor([[[2.0, 4, 3, 2, 8]]]))
    assert gradient.tolist() == [[[1, 1 + 2, 2 + 1, 1, 1 + 1, 1 + 4, 4]]]
    assert adaptive_max_pool2d(x, (1, 5), algorithm="own").tolist() == [[[1, 2, 4, 5, 6]]]


def test_global_average_of_the_papers():
    """ResNet's last 7×7 maps become one number each."""
    x = random(2, 8, 7, 7)
    torch.testing.assert_close(adaptive_avg_pool2d(x, 1, algorithm="own"), x.mean((2, 3), keepdim=True))


@pytest.mark.parametrize(("ours", "theirs"), OPERATORS)
@pytest.mark.parametrize("size", [(3, 3), (4, 5)])
def test_shapes_and_layouts(ours, theirs, size):
    x = random(2, 3, 8, 9)
    for view in (
        x[0],
        x[:0],
        x.transpose(2, 3),
        x[:, 1:, ::2],
        x.contiguous(memory_format=torch.channels_last),
        x[:, :1].expand(2, 4, 8, 9),
    ):
        assert_same(lambda t: ours(t, size), lambda t: theirs(t, size), view, second=view.numel() > 0)


@pytest.mark.parametrize(("ours", "theirs"), OPERATORS)
@pytest.mark.parametrize("size", [0, (0, 2), (3, 0)])
def test_empty_outputs(ours, theirs, size):
    x = random(2, 3, 8, 9).requires_grad_()
    y = ours(x, size)
    assert y.shape == theirs(x, size).shape
    (gradient,) = torch.autograd.grad(y.sum(), x)  # torch's average refuses this one
    assert torch.equal(gradient, torch.zeros_like(x))


def test_empty_outputs_with_indices():
    y, where = adaptive_max_pool2d(random(2, 3, 8, 9), (0, 2), return_indices=True)
    assert y.shape == where.shape == (2, 3, 0, 2)
    assert where.dtype == torch.int64


def test_average_of_no_channels():
    x = torch.zeros(2, 0, 4, 4)
    assert adaptive_avg_pool2d(x, 2).shape == F.adaptive_avg_pool2d(x, 2).shape


@pytest.mark.parametrize(("ours", "theirs"), OPERATORS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", [(3, 4), (5, 2)])
def test_dtypes(ours, theirs, dtype, size):
    x = random(2, 3, 9, 8, dtype=dtype)
    tolerance = 4 * torch.finfo(dtype).eps
    assert_same(lambda t: ours(t, size), lambda t: theirs(t, size), x, second=False, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("ours", "theirs"), OPERATORS)
@pytest.mark.parametrize("size", [(3, 2), (4, 5)])
def test_torch_func_transforms(ours, theirs, size):
    assert_transforms(lambda t: ours(t, size), lambda t: theirs(t, size), random(2, 2, 6, 5))


@pytest.mark.parametrize(("ours", "theirs"), OPERATORS)
def test_autocast_keeps_the_dtype(ours, theirs):
    x = random(1, 2, 4, 4, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ours(x, 3).dtype == theirs(x, 3).dtype == torch.float32
        assert ours(x.bfloat16(), 3).dtype == theirs(x.bfloat16(), 3).dtype == torch.bfloat16


@pytest.mark.parametrize("size", [3, (2, 4)])
def test_ties_nan_and_infinity(size):
    x = random(1, 2, 4, 5).round()
    x[0, 0, 1, 1], x[0, 0, 2, 2], x[0, 1] = NAN, INF, -INF
    for algorithm in ALGORITHMS:
        assert_same(
            lambda t: adaptive_max_pool2d(t, size, True, algorithm),  # noqa: B023
            lambda t: F.adaptive_max_pool2d(t, size, True),
            x,
        )
        assert_same(
            lambda t: adaptive_avg_pool2d(t, size, algorithm),  # noqa: B023
            lambda t: F.adaptive_avg_pool2d(t, size),
            x,
        )


X = random(2, 3, 6, 6)
BOTH = [
    (X[None], 2),
    (X[0, 0], 2),
    (X[:, :, :0], 2),
    (X, None),
    (X, -1),
    (X, (-1, 2)),
    (X, (2,)),
    (X, (1, 2, 3)),
    (X, 2.5),
    (X, (2.5, 1)),
    (X, "2"),
    (X, True),
    (X.long(), 2),
    (X.int(), 1),
    (X.to(torch.uint8), 4),
    (X.bool(), 2),
    (X.to(torch.complex64), 4),
]


@pytest.mark.parametrize("arguments", BOTH)
def test_avg_refuses_what_torch_refuses(arguments):
    assert_rejected_alike(adaptive_avg_pool2d, F.adaptive_avg_pool2d, *arguments)


@pytest.mark.parametrize("arguments", [*BOTH, (X[:, :0], 2)])
def test_max_refuses_what_torch_refuses(arguments):
    assert_rejected_alike(adaptive_max_pool2d, F.adaptive_max_pool2d, *arguments)


@pytest.mark.parametrize("operator", [adaptive_avg_pool2d, adaptive_max_pool2d])
def test_what_is_no_tensor_is_refused(operator):
    """torch answers with an AttributeError; ours says what it needs."""
    with pytest.raises(TypeError, match="needs a tensor, got list"):
        operator(X.tolist(), 2)
    for size in (2, 4):  # even and uneven windows
        with pytest.raises(ValueError, match="algorithm must be one of"):
            operator(X, size, algorithm="fast")
