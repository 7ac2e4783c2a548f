"""What holds for the convolution and for the transposed convolution alike."""

from functools import partial

import pytest
import torch
from torch.nn import functional as F

from differential import ALGORITHMS, assert_same, random
from repronet.functional import conv2d, conv_transpose2d

# ours, torch's, the height of the input and the shape of the weight; 4 channels to 8 filters
BOTH = [
    pytest.param(conv2d, F.conv2d, 7, (8, 4, 3, 3), id="convolution"),
    pytest.param(conv_transpose2d, F.conv_transpose2d, 5, (4, 8, 3, 3), id="transposed"),
]
pytestmark = [
    pytest.mark.parametrize("algorithm", ALGORITHMS),
    pytest.mark.parametrize(("ours", "theirs", "height", "shape"), BOTH),
]


def operands(height: int, shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, ...]:
    return random(2, 4, height, 6, dtype=dtype), random(*shape, dtype=dtype), random(8, dtype=dtype)


def test_empty_batch(ours, theirs, height, shape, algorithm):
    x, w, b = operands(height, shape)
    assert_same(partial(ours, algorithm=algorithm), theirs, x[:0], w, b, second=False)


def test_only_the_gradients_asked_for(ours, theirs, height, shape, algorithm):
    x, w, b = operands(height, shape)
    w.requires_grad_()
    ours(x, w, b, algorithm=algorithm).sum().backward()
    assert w.grad is not None
    assert x.grad is None
    assert b.grad is None


@pytest.mark.parametrize(
    "layout",
    [
        lambda x: x.transpose(2, 3),
        lambda x: x[:, :, ::2, 1:],
        lambda x: x.contiguous(memory_format=torch.channels_last),
        lambda x: x[:1].expand(3, -1, -1, -1),
    ],
    ids=["transposed", "strided", "channels last", "expanded"],
)
def test_memory_layouts(ours, theirs, height, shape, algorithm, layout):
    _, w, b = operands(height, shape)
    x, ours = layout(random(2, 4, 9, 8)), partial(ours, algorithm=algorithm)
    assert_same(ours, theirs, x.detach(), w.flip(0), b)
    assert_same(ours, theirs, x, w.contiguous(memory_format=torch.channels_last), b)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_output_has_the_layout_that_torch_gives_it(ours, theirs, height, shape, algorithm, memory_format):
    x, w, b = (tensor.float() for tensor in operands(height, shape))
    x = x.contiguous(memory_format=memory_format).requires_grad_()
    for bias in (None, b):
        output = ours(x, w, bias, algorithm=algorithm)
        assert output.stride() == theirs(x, w, bias).stride()
        (gradient,) = torch.autograd.grad(output, x, torch.ones_like(output))
        assert gradient.stride() == x.stride()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float16, 1e-2), (torch.bfloat16, 6e-2)])
def test_dtypes(ours, theirs, height, shape, algorithm, dtype, tolerance):
    how = {"padding": 1, "stride": 2}
    if algorithm == "winograd":  # its transforms lose a digit
        how, tolerance = {"padding": 1}, 10 * tolerance
    ours, theirs, given = (
        partial(ours, **how, algorithm=algorithm),
        partial(theirs, **how),
        operands(height, shape, dtype),
    )
    assert_same(ours, theirs, *given, second=False, rtol=tolerance, atol=tolerance)
