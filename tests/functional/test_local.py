"""The locally connected layer. torch has none: it is compared with loops, and with convolutions."""

import pytest
import torch
from torch.nn import functional as F

import oracles
from differential import assert_proved, assert_same, assert_transforms, derivatives, random
from repronet.functional import conv2d, linear, locally_connected2d
from repronet.functional.local import (
    locally_connected2d_bias_gradient,
    locally_connected2d_forward,
    locally_connected2d_input_gradient,
    locally_connected2d_weight_gradient,
)
from repronet.functional.windows import Geometry

CASES = [
    pytest.param((2, 2, 4, 5), 2, Geometry((3, 2)), id="valid"),
    pytest.param((2, 2, 4, 5), 2, Geometry((3, 3), padding=(1, 1)), id="same size"),
    pytest.param((2, 1, 7, 7), 2, Geometry((3, 3), stride=(2, 2)), id="stride 2"),
    pytest.param((1, 2, 7, 8), 2, Geometry((3, 2), (3, 1), (2, 1), (1, 2)), id="everything"),
    pytest.param((2, 2, 7, 7), 1, Geometry((2, 2), stride=(3, 3)), id="gaps"),
    pytest.param((2, 2, 5, 4), 3, Geometry((5, 4)), id="one window"),
    pytest.param((2, 2, 3, 4), 3, Geometry((1, 1)), id="points"),
    pytest.param((0, 2, 5, 4), 3, Geometry((3, 2)), id="empty batch"),
    pytest.param((2, 0, 5, 4), 3, Geometry((3, 2)), id="no channels"),
    pytest.param((2, 2, 5, 4), 0, Geometry((3, 2)), id="no filters"),
]


def operands(x, filters, geometry, dtype=torch.float64):
    """Input, weight (O, C, kh, kw, Ho, Wo) and bias (O, Ho, Wo)."""
    positions = geometry.output_size(x[2:])
    weight = random(filters, x[1], *geometry.kernel, *positions, dtype=dtype)
    return random(*x, dtype=dtype), weight, random(filters, *positions, dtype=dtype)


def settings_of(geometry):
    return geometry.stride, geometry.padding, geometry.dilation


@pytest.mark.parametrize(("x", "filters", "geometry"), CASES)
def test_same_as_the_loops(x, filters, geometry):
    x, w, b = operands(x, filters, geometry)
    where = settings_of(geometry)
    y = locally_connected2d_forward(x, w, b, geometry)
    torch.testing.assert_close(y, oracles.locally_connected2d(x, w, b, *where))
    torch.testing.assert_close(locally_connected2d(x, w, None, *where), oracles.locally_connected2d(x, w, None, *where))
    g = random(*y.shape, seed=3)
    found = (
        locally_connected2d_input_gradient(g, w, (x.shape[2], x.shape[3]), geometry),
        locally_connected2d_weight_gradient(g, x, geometry),
        locally_connected2d_bias_gradient(g),
    )
    for ours, expected in zip(found, oracles.locally_connected2d_gradients(g, x, w, *where), strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(("x", "filters", "geometry"), CASES[:6])
def test_gradients_are_proved(x, filters, geometry):
    where = settings_of(geometry)
    assert_proved(lambda x, w, b: locally_connected2d(x, w, b, *where), *operands(x, filters, geometry))


@pytest.mark.parametrize(("x", "filters", "geometry"), CASES[:6])
def test_shared_weights_make_it_a_convolution(x, filters, geometry):
    """In values, gradients and second derivatives."""
    where, positions = settings_of(geometry), geometry.output_size(x[2:])
    shared, bias = random(filters, x[1], *geometry.kernel), random(filters)

    def everywhere(x, w, b):
        w = w[..., None, None].expand(*w.shape, *positions)
        return locally_connected2d(x, w, b[:, None, None].expand(-1, *positions), *where)

    assert_same(everywhere, lambda x, w, b: F.conv2d(x, w, b, *where), random(*x), shared, bias)


def test_a_window_as_large_as_the_image_makes_it_fully_connected():
    x, w, b = operands((2, 3, 4, 5), 6, Geometry((4, 5)))
    expected = linear(x.flatten(1), w.flatten(1), b.flatten())
    torch.testing.assert_close(locally_connected2d(x, w, b).flatten(1), expected)


def test_each_position_is_a_convolution_of_its_own():
    geometry = Geometry((3, 2), stride=(2, 1))
    x, w, b = operands((2, 3, 7, 5), 4, geometry)
    y = locally_connected2d(x, w, b, geometry.stride)
    for r in range(y.shape[2]):
        for c in range(y.shape[3]):
            alone = conv2d(x, w[..., r, c].contiguous(), b[:, r, c].contiguous(), geometry.stride)
            torch.testing.assert_close(y[:, :, r, c], alone[:, :, r, c])


def test_by_hand():
    """Three inputs, two windows of two, weights 1, 10 and 100, 1000."""
    x = torch.tensor([[[[1.0, 2.0, 3.0]]]], requires_grad=True)
    w = torch.tensor([[1.0, 100.0], [10.0, 1000.0]]).reshape(1, 1, 1, 2, 1, 2).requires_grad_()
    b = torch.tensor([[[0.5, 0.25]]], requires_grad=True)
    y = locally_connected2d(x, w, b)
    assert y.tolist() == [[[[21.5, 3200.25]]]]
    y.backward(torch.tensor([[[[1.0, 2.0]]]]))
    assert x.grad is not None
    assert w.grad is not None
    assert b.grad is not None
    assert x.grad.tolist() == [[[[1, 10 + 200, 2000]]]]
    assert w.grad.flatten().tolist() == [1, 2 * 2, 2, 2 * 3]
    assert b.grad.tolist() == [[[1, 2]]]


def test_one_image():
    x, w, b = operands((1, 3, 6, 5), 4, Geometry((3, 2)))
    assert_same(
        lambda x, w, b: locally_connected2d(x, w, b),
        lambda x, w, b: locally_connected2d(x[None], w, b)[0],
        x[0],
        w,
        b,
    )


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_memory_layouts(layout):
    x, w, b = operands((2, 3, 6, 5), 4, Geometry((3, 2)))
    expected = derivatives(locally_connected2d, (x, w, b), second=True)
    views = (
        x.contiguous(memory_format=layout),
        w.permute(4, 5, 0, 1, 2, 3).contiguous().permute(2, 3, 4, 5, 0, 1),
        b.permute(2, 1, 0).contiguous().permute(2, 1, 0),
    )
    found = derivatives(locally_connected2d, views, second=True)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float16, 1e-2), (torch.bfloat16, 8e-2)])
def test_dtypes(dtype, tolerance):
    tensors = operands((2, 3, 6, 5), 4, Geometry((3, 2)), dtype)
    exact = tuple(tensor.double() for tensor in tensors)
    found = derivatives(locally_connected2d, tensors, second=False)
    (y, *expected) = derivatives(locally_connected2d, exact, second=False)
    assert {tensor.dtype for tensor in found} == {dtype}
    torch.testing.assert_close(found[0].double(), y, rtol=tolerance, atol=tolerance)
    for ours, true in zip(found[1:], expected, strict=True):
        torch.testing.assert_close(ours.double(), true, rtol=tolerance, atol=tolerance)


def test_integers():
    x, w = (
        torch.arange(6).reshape(1, 1, 2, 3),
        torch.arange(4).reshape(1, 1, 2, 1, 1, 2)[..., :1].expand(1, 1, 2, 1, 1, 3),
    )
    assert locally_connected2d(x, w).tolist() == [[[[6, 8, 10]]]]


def test_torch_func_transforms():
    geometry = Geometry((3, 2), (2, 1), (1, 1))
    positions, where = geometry.output_size((6, 5)), settings_of(geometry)

    def unfolded(x, w, b):
        """As one matrix product a position, by torch."""
        columns = F.unfold(x, geometry.kernel, padding=where[1], stride=where[0])  # (N, C·kh·kw, L)
        return torch.einsum("nkl,okl->nol", columns, w.flatten(4).flatten(1, 3)).unflatten(2, positions) + b

    assert_transforms(
        lambda x, w, b: locally_connected2d(x, w, b, *where), unfolded, *operands((2, 3, 6, 5), 4, geometry)
    )


def test_autocast():
    x, w, b = operands((2, 3, 6, 5), 4, Geometry((3, 2)), torch.float32)
    w.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = locally_connected2d(x, w, b)
    assert y.dtype == torch.bfloat16
    (gradient,) = torch.autograd.grad(y.sum(), w)
    assert gradient.dtype == torch.float32
    torch.testing.assert_close(y.float(), locally_connected2d(x, w, b), rtol=5e-2, atol=8e-2)


X, W, B = operands((2, 3, 6, 5), 4, Geometry((3, 2)))


@pytest.mark.parametrize(
    ("error", "arguments", "how"),
    [
        (TypeError, ([1.0], W), {}),
        (TypeError, (X, None), {}),
        (TypeError, (X, W, [1.0]), {}),
        (TypeError, (X, W, B, "1"), {}),
        (TypeError, (X, W, B), {"padding": 0.5}),
        (RuntimeError, (X[0, 0], W), {}),
        (RuntimeError, (X[:, :2], W), {}),
        (RuntimeError, (X, W[..., 0]), {}),
        (RuntimeError, (X, W[..., :3]), {}),
        (RuntimeError, (X, W, B[0]), {}),
        (RuntimeError, (X, W, B[..., :3]), {}),
        (RuntimeError, (X, W, B, 2), {}),
        (RuntimeError, (X, W, B, 0), {}),
        (RuntimeError, (X, W, B), {"padding": -1}),
        (RuntimeError, (X, W, B), {"dilation": 0}),
        (RuntimeError, (X, W, B), {"dilation": 9}),
        (RuntimeError, (X, W, B), {"stride": (1, 1, 1)}),
        (RuntimeError, (X[:, :, :2], W, B), {}),
        (RuntimeError, (X.float(), W, B), {}),
        (RuntimeError, (X, W, B.float()), {}),
        (NotImplementedError, (X.to(torch.complex64), W.to(torch.complex64)), {}),
    ],
)
def test_misuse_is_refused_in_one_line(error, arguments, how):
    with pytest.raises(error) as found:
        locally_connected2d(*arguments, **how)
    assert "\n" not in str(found.value)
