import math
from functools import partial

import pytest
import torch
from torch.nn import functional as F

import oracles
from differential import assert_proved, assert_rejected_alike, assert_same, assert_transforms, random
from repronet.functional import lp_pool
from repronet.functional.lp_pool import feature_pool, lp_pool2d

INF = math.inf
ALGORITHMS = ["own", "vendor", "auto"]
SETTINGS = [
    pytest.param({"kernel_size": 2}, id="plain"),
    pytest.param({"kernel_size": 3, "stride": 2}, id="overlap"),
    pytest.param({"kernel_size": (2, 3), "stride": (1, 2)}, id="pairs"),
    pytest.param({"kernel_size": 3, "stride": 2, "ceil_mode": True}, id="ceil"),
    pytest.param({"kernel_size": (7, 5)}, id="global"),
]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("p", [1, 2, 2.0, 3, 4, 2.5, 0.5, -1, INF, -INF])
@pytest.mark.parametrize("how", SETTINGS)
def test_same_as_torch(how, p, algorithm):
    """With negative numbers too, where odd and broken powers give NaN."""
    for x in (random(2, 3, 7, 5), random(2, 3, 7, 5).abs()):
        assert_same(lambda t: lp_pool2d(t, p, **how, algorithm=algorithm), lambda t: F.lp_pool2d(t, p, **how), x)


@pytest.mark.parametrize("p", [1, 2, 3, 2.5, 4])
def test_gradients_are_proved(p):
    assert_proved(lambda x: lp_pool2d(x, p, 2, 1, algorithm="own"), random(1, 2, 3, 4).abs() + 0.1)


@pytest.mark.parametrize("p", [2, 4])
def test_same_as_the_loops(p):
    """Values, and the gradient as the lectures write it."""
    x = random(2, 2, 5, 6).requires_grad_()
    y = lp_pool2d(x, p, (2, 3), (1, 2), algorithm="own")
    torch.testing.assert_close(y, oracles.lp_pool2d(x, p, (2, 3), (1, 2)))
    g = random(*y.shape, seed=5)
    (gradient,) = torch.autograd.grad(y, x, g)
    torch.testing.assert_close(gradient, oracles.lp_pool2d_gradient(g, x, p, (2, 3), (1, 2)))


def test_norm_that_a_hand_can_check():
    x = torch.tensor([[[3.0, 0.0], [0.0, -4.0]]], requires_grad=True)
    y = lp_pool2d(x, 2, 2)
    assert y.item() == pytest.approx(5)
    y.backward(torch.tensor([[[10.0]]]))
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.tensor([[[6.0, 0], [0, -8]]]))


def test_a_negative_sum_of_odd_powers_has_no_root():
    x = torch.tensor([[[1.0, -2.0], [0.0, 0.0]]])
    assert lp_pool2d(x, 3, 2).isnan().all()
    assert F.lp_pool2d(x, 3, 2).isnan().all()


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, 4])
def test_gradient_of_a_window_of_zeros_is_zero(p):
    x = torch.zeros(1, 1, 4, 4).double()
    assert_same(lambda t: lp_pool2d(t, p, 2), lambda t: F.lp_pool2d(t, p, 2), x, second=False)
    x = x.requires_grad_()
    (gradient,) = torch.autograd.grad(lp_pool2d(x, p, 2).sum(), x, create_graph=True)
    assert torch.equal(gradient, torch.zeros_like(x))
    if p in (1, 2, 3, 4):  # torch's second derivative by the incoming gradient is NaN
        (twice,) = torch.autograd.grad(gradient.sum(), x)
        assert torch.equal(twice, torch.zeros_like(x))


def test_zeros_beside_other_numbers():
    x = random(2, 2, 6, 6).relu()
    for p in (2, 3, 4):
        assert_same(lambda t: lp_pool2d(t, p, 2, 1), lambda t: F.lp_pool2d(t, p, 2, 1), x, second=False)  # noqa: B023


@pytest.mark.parametrize("p", [2, 3])
def test_shapes_and_layouts(p):
    x = random(2, 3, 8, 9).abs()
    for view in (
        x[0],
        x[:0],
        x.transpose(2, 3),
        x[:, 1:, ::2],
        x.contiguous(memory_format=torch.channels_last),
        x[:, :1].expand(2, 4, 8, 9),
    ):
        assert_same(lambda t: lp_pool2d(t, p, 3, 2), lambda t: F.lp_pool2d(t, p, 3, 2), view, second=view.numel() > 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_dtypes(dtype):
    x = random(2, 3, 9, 9, dtype=dtype).abs()
    tolerance = 8 * torch.finfo(dtype).eps  # torch rounds the powers to the half type, ours are float32
    assert_same(
        lambda t: lp_pool2d(t, 2, 3, 2),
        lambda t: F.lp_pool2d(t, 2, 3, 2),
        x,
        second=False,
        rtol=tolerance,
        atol=tolerance,
    )


def test_half_precision_keeps_large_sums():
    """300² is beyond float16, the norm of four of them is not."""
    x = torch.full((1, 2, 2), 300.0, dtype=torch.float16)
    assert lp_pool2d(x, 2, 2).item() == 600
    assert feature_pool(x.expand(4, 2, 2), 4).flatten().tolist() == [600.0] * 4


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_integers(dtype):
    """As torch: the mean of the powers is a whole number, rounded towards zero."""
    x = torch.tensor([[[3, 0, 2, 1], [0, 4, 1, 1]]]).to(dtype)
    torch.testing.assert_close(lp_pool2d(x, 2, 2), F.lp_pool2d(x, 2, 2))
    torch.testing.assert_close(lp_pool2d(x.int(), 2.0, 2), F.lp_pool2d(x.int(), 2.0, 2))


def test_torch_func_transforms():
    x = random(2, 2, 6, 5)
    for algorithm in ALGORITHMS:
        ours = partial(lp_pool2d, algorithm=algorithm)
        assert_transforms(lambda t: ours(t, 2, 3, 2), lambda t: F.lp_pool2d(t, 2, 3, 2), x)  # noqa: B023


def test_autocast_keeps_the_dtype():
    x = random(1, 2, 4, 4, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert lp_pool2d(x, 2, 2).dtype == F.lp_pool2d(x, 2, 2).dtype == torch.float32
        assert lp_pool2d(x.bfloat16(), 2, 2).dtype == F.lp_pool2d(x.bfloat16(), 2, 2).dtype == torch.bfloat16


def test_arguments():
    x = random(1, 2, 6, 6)
    for how in ((2, 2), (2, (2, 1)), (2, [2, 2]), (2, 2, (1, 2)), (2, 2, []), (True, 2), (2, 2, None, True)):
        torch.testing.assert_close(lp_pool2d(x, *how), F.lp_pool2d(x, *how))


X = random(2, 3, 6, 6)


@pytest.mark.parametrize(
    "arguments",
    [
        (X, 0, 2),
        (X, 0.0, 2),
        (X, "2", 2),
        (X, None, 2),
        (X, 2, 0),
        (X, 2, 7),
        (X, 2, 2.5),
        (X, 2, True),
        (X, 2, (2,)),
        (X, 2, (2, 1, 1)),
        (X, 2, 2, 0),
        (X, 2, 2, -1),
        (X, INF, 7),
        (X[None], 2, 2),
        (X[:, :0], 2, 2),
        (X[:, :, :0], 2, 2),
        (X.int(), 2, 2),
        (X.to(torch.complex64), 2, 2),
    ],
)
def test_lp_refuses_what_torch_refuses(arguments):
    assert_rejected_alike(lp_pool2d, F.lp_pool2d, *arguments)


def test_lp_refuses():
    """torch's answers to these are about dimensions and attributes."""
    with pytest.raises(RuntimeError, match=r"needs an input \(N, C, H, W\)"):
        lp_pool2d(X[0, 0], 2, 2)
    with pytest.raises(TypeError, match="needs a tensor"):
        lp_pool2d(X.tolist(), 2, 2)
    with pytest.raises(ValueError, match="algorithm must be one of"):
        lp_pool2d(X, 2, 2, algorithm="fast")


def torch_feature_pool(x, size):
    return x.unflatten(-3, (-1, size)).square().sum(-3).sqrt()


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_features_same_as_torch(size):
    for x in (random(2, 6, 3, 4), random(6, 3, 4), random(0, 6, 3, 4), random(2, 3, 4, 6).transpose(1, 3)):
        assert_same(lambda t: feature_pool(t, size), lambda t: torch_feature_pool(t, size), x, second=x.numel() > 0)


def test_features_same_as_the_loops():
    x = random(2, 6, 3, 4)
    torch.testing.assert_close(lp_pool.feature_pool_forward(x, 3), oracles.feature_pool(x, 3))


def test_feature_gradients_are_proved():
    assert_proved(lambda x: feature_pool(x, 2), random(2, 4, 2, 3))


def test_features_that_a_hand_can_check():
    x = torch.tensor([3.0, -4.0, 0.0, 0.0]).reshape(4, 1, 1).requires_grad_()
    y = feature_pool(x, 2)
    assert y.flatten().tolist() == [5, 0]
    (gradient,) = torch.autograd.grad(y, x, torch.tensor([10.0, 7.0]).reshape(2, 1, 1), create_graph=True)
    torch.testing.assert_close(gradient.flatten(), torch.tensor([6.0, -8.0, 0.0, 0.0]))  # no slope at zero
    (twice,) = torch.autograd.grad(gradient[2:].sum(), x)
    assert twice.flatten()[2:].tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_feature_dtypes(dtype):
    x = random(2, 4, 3, 3, dtype=dtype)
    y = feature_pool(x, 2)
    assert y.dtype == dtype
    torch.testing.assert_close(y, torch_feature_pool(x.double(), 2).to(dtype))


def test_feature_transforms():
    assert_transforms(lambda t: feature_pool(t, 2), lambda t: torch_feature_pool(t, 2), random(2, 4, 2, 3))


@pytest.mark.parametrize(
    ("arguments", "error", "word"),
    [
        ((X, 2), RuntimeError, "must divide the 3 channels, got 2"),
        ((X, 0), RuntimeError, "got 0"),
        ((X, -3), RuntimeError, "got -3"),
        ((X[:, :0], 1), RuntimeError, "the 0 channels"),
        ((X[0, 0], 1), RuntimeError, r"needs an input \(N, C, H, W\)"),
        ((X, 1.0), TypeError, "got Tensor and 1.0"),
        ((X, True), TypeError, "got Tensor and True"),
        ((X.tolist(), 1), TypeError, "got list and 1"),
        ((X.int(), 3), NotImplementedError, "torch.int32"),
        ((X.to(torch.complex64), 3), NotImplementedError, "torch.complex64"),
    ],
)
def test_feature_pool_refuses(arguments, error, word):
    with pytest.raises(error, match=word):
        feature_pool(*arguments)
