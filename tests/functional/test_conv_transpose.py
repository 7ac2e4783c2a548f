from functools import partial

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch._subclasses import FakeTensorMode
from torch.nn import functional as F

import oracles
from differential import ALGORITHMS, assert_proved, assert_rejected_alike, assert_same, assert_transforms, random
from repronet.functional import conv2d, conv_transpose, conv_transpose2d
from repronet.functional.convolution import ConvSpec
from repronet.functional.windows import Geometry

SETTINGS = [
    pytest.param({}, id="plain"),
    pytest.param({"stride": 2, "padding": 1}, id="stride"),
    pytest.param({"stride": (3, 2), "padding": (1, 2), "output_padding": (2, 1)}, id="output padding"),
    pytest.param({"padding": (2, 3)}, id="padding beyond the kernel"),
    pytest.param({"padding": (0, 1), "dilation": (2, 1)}, id="dilation"),
    pytest.param({"dilation": (3, 2), "output_padding": (2, 1)}, id="output padding beyond the stride"),
    pytest.param({"groups": 2, "padding": 1}, id="groups"),
    pytest.param({"stride": 2, "padding": 1, "dilation": 2, "groups": 4}, id="depthwise"),
]
SERVED = [
    pytest.param(setting.values[0], algorithm, id=f"{setting.id}-{algorithm}")
    for setting in SETTINGS
    for algorithm in ALGORITHMS
    if algorithm != "winograd" or not {"stride", "dilation"} & setting.values[0].keys()
]


def operands(groups: int = 1, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, ...]:
    """4 channels to 8 filters."""
    return random(2, 4, 5, 6, dtype=dtype), random(4, 8 // groups, 3, 3, dtype=dtype), random(8, dtype=dtype)


@pytest.mark.parametrize(("how", "algorithm"), SERVED)
def test_same_as_torch(how, algorithm):
    x, w, b = operands(how.get("groups", 1))
    ours, theirs = partial(conv_transpose2d, **how, algorithm=algorithm), partial(F.conv_transpose2d, **how)
    assert_same(ours, theirs, x, w, b)
    assert_same(ours, theirs, x[:1], w)
    assert_same(ours, theirs, x[0], w, b)


@pytest.mark.parametrize(("how", "algorithm"), SERVED)
def test_gradients_are_proved(how, algorithm):
    groups = how.get("groups", 1)
    x, w, b = random(1, groups, 4, 3), random(groups, 1, 3, 3 if algorithm == "winograd" else 2), random(groups)
    if how.get("padding") == (2, 3):
        x = random(1, groups, 4, 7)
    assert_proved(partial(conv_transpose2d, **how, algorithm=algorithm), x, w, b)


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name != "winograd"])
@pytest.mark.parametrize(
    ("stride", "padding", "beyond", "dilation", "groups"),
    [
        ((1, 1), (1, 2), (0, 0), (1, 1), 1),
        ((2, 1), (1, 2), (1, 0), (1, 2), 2),
        ((3, 3), (2, 0), (2, 1), (2, 1), 4),
    ],
)
def test_same_as_the_loops(stride, padding, beyond, dilation, groups, algorithm):
    x, w, b = operands(groups)
    expected = oracles.conv_transpose2d(x, w, b, stride, padding, beyond, dilation, groups)
    found = conv_transpose2d(x, w, b, stride, padding, beyond, groups, dilation, algorithm)
    torch.testing.assert_close(found, expected)
    spec, g = ConvSpec(Geometry((3, 3), stride, padding, dilation), groups, algorithm), random(*expected.shape, seed=5)
    gx, gw, gb = oracles.conv_transpose2d_gradients(g, x, w, stride, padding, dilation, groups)
    torch.testing.assert_close(conv_transpose.conv_transpose2d_input_gradient(g, w, spec), gx)
    torch.testing.assert_close(conv_transpose.conv_transpose2d_weight_gradient(g, x, spec), gw)
    torch.testing.assert_close(conv_transpose.conv2d_bias_gradient(g), gb)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_same_as_torch_for_any_shape(data):
    small = st.integers(1, 3)
    groups, per_group, filters, batch = (data.draw(small) for _ in range(4))
    kernel, stride, dilation, size = (tuple(data.draw(small) for _ in range(2)) for _ in range(4))
    padding = tuple(data.draw(st.integers(0, 3)) for _ in range(2))
    beyond = tuple(data.draw(st.integers(0, max(pair) - 1)) for pair in zip(stride, dilation, strict=True))
    sides = zip(size, stride, padding, dilation, kernel, beyond, strict=True)
    assume(all((n - 1) * s - 2 * p + d * (k - 1) + 1 + more >= 1 for n, s, p, d, k, more in sides))
    x = random(batch, groups * per_group, *size)
    w, b = random(groups * per_group, filters, *kernel), random(groups * filters)
    how = (stride, padding, beyond, groups, dilation)
    algorithm = data.draw(st.sampled_from(["direct", "im2col", "adjoint", "fft", "auto"]))
    assert_same(lambda *t: conv_transpose2d(*t, *how, algorithm), lambda *t: F.conv_transpose2d(*t, *how), x, w, b)


@pytest.mark.parametrize("algorithm", ["own", "fft", "vendor"])
def test_it_is_the_transpose_of_convolution(algorithm):
    """⟨conv(x), y⟩ = ⟨x, transposed(y)⟩, for the same filters."""
    x, w, y, how = random(2, 8, 9, 12), random(4, 8, 3, 3), random(2, 4, 5, 6), {"stride": 2, "padding": 1}
    back = conv_transpose2d(y, w, output_padding=(0, 1), algorithm=algorithm, **how)
    torch.testing.assert_close((conv2d(x, w, algorithm=algorithm, **how) * y).sum(), (x * back).sum())


def test_by_hand():
    """x = 1 2, w = 10 20 30, stride 2: 10 20 30+20 40 60. With ∂L/∂y = 1 … 5: ∂x = Σ g·w, ∂w = Σ g·x."""
    x, w = torch.tensor([[[1.0, 2.0]]]).double(), torch.tensor([[[[10.0, 20.0, 30.0]]]]).double()
    x.requires_grad_()
    w.requires_grad_()
    y = conv_transpose2d(x, w, torch.tensor([1.0]).double(), stride=2)
    assert y.tolist() == [[[11, 21, 51, 41, 61]]]
    found = torch.autograd.grad(y, (x, w), torch.arange(1.0, 6.0).double()[None, None])
    assert found[0].tolist() == [[[140, 260]]]  # 1·10 + 2·20 + 3·30, 3·10 + 4·20 + 5·30
    assert found[1].tolist() == [[[[7, 10, 13]]]]  # 1·1 + 3·2, 2·1 + 4·2, 3·1 + 5·2


@pytest.mark.parametrize("algorithm", ["auto", "own", "vendor", "direct", "im2col", "adjoint"])
def test_integers(algorithm):
    x, w, b = torch.randint(-9, 9, (2, 3, 5, 5)), torch.randint(-9, 9, (3, 4, 3, 3)), torch.arange(4)
    assert torch.equal(conv_transpose2d(x, w, b, 2, algorithm=algorithm), F.conv_transpose2d(x, w, b, 2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.int64])
def test_a_bias_of_another_dtype(dtype):
    """torch takes it here, unlike for a convolution."""
    x, w, b = operands()
    assert_same(conv_transpose2d, F.conv_transpose2d, x, w, (10 * b).to(dtype), second=False)


@pytest.mark.parametrize("algorithm", ["auto", "im2col", "fft"])
def test_torch_func_transforms(algorithm):
    how = {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}
    ours, theirs = partial(conv_transpose2d, **how, algorithm=algorithm), partial(F.conv_transpose2d, **how)
    assert_transforms(ours, theirs, *operands(2))


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name != "own"])
def test_compiles_into_one_graph(algorithm):
    torch.compiler.reset()
    ours = partial(conv_transpose2d, padding=1, algorithm=algorithm)
    compiled = torch.compile(ours, backend="aot_eager", fullgraph=True)
    assert_same(compiled, partial(F.conv_transpose2d, padding=1), *operands(), second=False)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_shape_without_numbers(algorithm):
    """On the meta device and for fake tensors, where nothing can be computed."""
    how = {"padding": 1, "algorithm": algorithm}
    assert conv_transpose2d(*(tensor.to("meta") for tensor in operands()), **how).shape == (2, 8, 5, 6)
    with FakeTensorMode() as mode:
        y = conv_transpose2d(*(mode.from_tensor(tensor).requires_grad_() for tensor in operands()), **how)
        y.sum().backward()
    assert y.shape == (2, 8, 5, 6)


@pytest.mark.parametrize("lower", [torch.bfloat16, torch.float16])
def test_autocast(lower):
    x, w, b = operands(dtype=torch.float32)
    w.requires_grad_()
    with torch.autocast("cpu", dtype=lower):
        ours, theirs = conv_transpose2d(x, w, b), F.conv_transpose2d(x, w, b)
        assert conv_transpose2d(x.double(), w.double()).dtype == torch.float64
    assert ours.dtype == theirs.dtype == lower
    torch.testing.assert_close(ours, theirs, rtol=4e-2, atol=4e-2)
    (gradient,), (expected,) = (torch.autograd.grad(y.float().square().sum(), w) for y in (ours, theirs))
    assert gradient.dtype == torch.float32
    torch.testing.assert_close(gradient, expected, rtol=5e-2, atol=2.0)


X, W, B = random(2, 4, 6, 6), random(4, 6, 3, 3), random(6)


@pytest.mark.parametrize(
    ("arguments", "how"),
    [
        ((X[0, 0], W), {}),
        ((X[None], W), {}),
        ((X, W[0]), {}),
        ((X[:, :3], W), {}),
        ((X[0, :3], W), {}),
        ((X, W), {"groups": 3}),
        ((X, W), {"groups": 0}),
        ((X, W), {"groups": -1}),
        ((X, W), {"groups": 1.5}),
        ((X, W, B[:5]), {}),
        ((X, W, B[None]), {}),
        ((X[:, :, :0], W), {}),
        ((X[:, :, :1], W), {"padding": 2}),
        ((X, W), {"stride": 0}),
        ((X, W), {"padding": -1}),
        ((X, W), {"padding": "same"}),
        ((X, W), {"dilation": 0}),
        ((X, W), {"output_padding": 1}),
        ((X, W), {"output_padding": (1, 1), "stride": (2, 1)}),
        ((X, W), {"output_padding": -1, "stride": 2}),
        ((X, W), {"output_padding": 1.5, "stride": 2}),
        ((X, W), {"output_padding": (1, 1, 1), "stride": 2}),
        ((X, W), {"stride": (1, 1, 1)}),
        ((X[:, :0], W[:0]), {}),
        ((X.float(), W), {}),
        ((X.bool(), W.bool()), {}),
        ((X.long(), W.long(), B), {}),
        ((X.tolist(), W), {}),
        ((X, None), {}),
    ],
)
def test_refuses_what_torch_refuses(arguments, how):
    assert_rejected_alike(conv_transpose2d, F.conv_transpose2d, *arguments, **how)


@pytest.mark.parametrize(
    ("arguments", "how", "words"),
    [
        ((X[:, :3], W), {}, r"weight \(4, 6, 3, 3\) with groups=1 needs 4 input channels, got 3 in \(2, 3, 6, 6\)"),
        ((X, W, B[:5]), {}, r"bias must have shape \(6,\), one per filter, got \(5,\)"),
        ((X, W), {"groups": 3}, "groups must divide the number of channels, got groups=3 for 4 channels"),
        ((X, W[0]), {}, r"conv_transpose2d needs a weight \(C, O/groups, kh, kw\), got shape \(6, 3, 3\)"),
        ((X, W), {"output_padding": 2, "stride": 2}, r"smaller than the stride or the dilation, got \(2, 2\)"),
        ((X, W), {"padding": 4}, r"padding \(4, 4\) leaves nothing of the output, whose size is \(0, 0\)"),
    ],
)
def test_messages_show_the_values(arguments, how, words):
    with pytest.raises(RuntimeError, match=words):
        conv_transpose2d(*arguments, **how)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"algorithm": "winograd", "stride": 2}, "it needs stride 1 and dilation 1, got stride .2, 2."),
        ({"algorithm": "fast"}, "algorithm must be one of auto, own, .* got 'fast'"),
    ],
)
def test_an_algorithm_that_does_not_apply_is_refused_with_the_reason(how, reason):
    with pytest.raises(ValueError, match=reason):
        conv_transpose2d(*operands(), **how)
