import warnings
from functools import partial

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

import oracles
from differential import ALGORITHMS, assert_proved, assert_rejected_alike, assert_same, assert_transforms, random
from repronet.functional import conv
from repronet.functional.conv import conv2d
from repronet.functional.convolution import ConvSpec, im2col
from repronet.functional.windows import Geometry

# stride, padding, dilation, groups
SETTINGS = [
    pytest.param({}, id="plain"),
    pytest.param({"stride": 2}, id="stride"),
    pytest.param({"stride": (3, 2), "padding": (1, 2)}, id="stride does not fit"),
    pytest.param({"padding": 3}, id="padding beyond the kernel"),
    pytest.param({"padding": (0, 1), "dilation": (2, 1)}, id="dilation"),
    pytest.param({"groups": 2}, id="groups"),
    pytest.param({"stride": 2, "padding": 1, "dilation": 2, "groups": 4}, id="depthwise"),
    pytest.param({"padding": "same", "dilation": (1, 2)}, id="same"),
    pytest.param({"padding": "valid", "stride": 2}, id="valid"),
]


def operands(groups: int = 1, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, ...]:
    return random(2, 4, 7, 6, dtype=dtype), random(8, 4 // groups, 3, 3, dtype=dtype), random(8, dtype=dtype)


def applies(algorithm: str, how: dict) -> bool:
    """Winograd's transforms are written for stride and dilation 1; everything else serves everywhere."""
    return algorithm != "winograd" or not ({"stride", "dilation"} & how.keys())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("how", SETTINGS)
def test_same_as_torch(how, algorithm):
    if not applies(algorithm, how):
        with pytest.raises(ValueError, match="algorithm='winograd' does not apply: it needs stride 1 and dilation 1"):
            conv2d(*operands(how.get("groups", 1)), **how, algorithm=algorithm)
        return
    operands_ = operands(how.get("groups", 1))
    ours = partial(conv2d, **how, algorithm=algorithm)
    assert_same(ours, partial(F.conv2d, **how), *operands_)
    assert_same(ours, partial(F.conv2d, **how), *operands_[:2])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("how", SETTINGS)
def test_gradients_are_proved(how, algorithm):
    if not applies(algorithm, how):
        pytest.skip("refused, see test_same_as_torch")
    groups = how.get("groups", 1)
    x, w, b = random(1, groups, 5, 4), random(groups, 1, 3, 3 if algorithm == "winograd" else 2), random(groups)
    assert_proved(partial(conv2d, **how, algorithm=algorithm), x, w, b)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"),
    [
        ((1, 1), (0, 0), (1, 1), 1),
        ((1, 1), (1, 2), (1, 1), 2),
        ((2, 1), (1, 2), (1, 2), 2),
        ((3, 3), (2, 0), (2, 1), 4),
    ],
)
def test_same_as_the_loops(stride, padding, dilation, groups, algorithm):
    if algorithm == "winograd" and (stride, dilation) != ((1, 1), (1, 1)):
        pytest.skip("refused, see test_same_as_torch")
    x, w, b = operands(groups)
    spec = ConvSpec(Geometry((3, 3), stride, padding, dilation), groups, algorithm)
    y = conv.conv2d_forward(x, w, b, spec)
    torch.testing.assert_close(y, oracles.conv2d(x, w, b, stride, padding, dilation, groups))
    g = random(*y.shape, seed=5)
    gx, gw, gb = oracles.conv2d_gradients(g, x, w, stride, padding, dilation, groups)
    torch.testing.assert_close(conv.conv2d_input_gradient(g, w, (7, 6), spec), gx)
    torch.testing.assert_close(conv.conv2d_weight_gradient(g, x, spec), gw)
    torch.testing.assert_close(conv.conv2d_bias_gradient(g), gb)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_same_as_torch_for_any_shape(data):
    small = st.integers(1, 3)
    groups, per_group, filters, batch = (data.draw(small) for _ in range(4))
    kernel, stride, dilation = (tuple(data.draw(small) for _ in range(2)) for _ in range(3))
    padding = tuple(data.draw(st.integers(0, 3)) for _ in range(2))
    size = [
        data.draw(st.integers(max(1, d * (k - 1) + 1 - 2 * p), 8))
        for k, p, d in zip(kernel, padding, dilation, strict=True)
    ]
    x, w, b = (
        random(batch, groups * per_group, *size),
        random(groups * filters, per_group, *kernel),
        random(groups * filters),
    )
    how = (stride, padding, dilation, groups)
    algorithm = data.draw(st.sampled_from(["direct", "im2col", "adjoint", "fft"]))
    assert_same(lambda *t: conv2d(*t, *how, algorithm), lambda *t: F.conv2d(*t, *how), x, w, b)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(1, 2), st.integers(1, 13), st.integers(1, 13), st.integers(0, 3), st.sampled_from(["winograd"]))
def test_tiles_of_any_number(groups, height, width, padding, algorithm):
    """Winograd's last tiles hang over the edge, at every size another way."""
    assume(min(height, width) + 2 * padding >= 3)
    x, w = random(2, 2 * groups, height, width), random(2 * groups, 2, 3, 3)
    how = {"padding": padding, "groups": groups}
    assert_same(partial(conv2d, **how, algorithm=algorithm), partial(F.conv2d, **how), x, w)


def test_same_padding_with_an_even_kernel():
    x, w, b = random(2, 2, 5, 6), random(3, 2, 2, 4), random(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that it copies the input
        assert_same(lambda *t: conv2d(*t, padding="same"), lambda *t: F.conv2d(*t, padding="same"), x, w, b)
        assert conv2d(x[0], w, padding="same").shape == (3, 5, 6)


def test_unbatched():
    x, w, b = operands()
    assert_same(lambda *t: conv2d(*t, padding=1), lambda *t: F.conv2d(*t, padding=1), x[0], w, b)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("padding", [0, 1])
def test_the_output_may_be_written_to(algorithm, padding):
    """As an in-place ReLU does; autograd forbids it for a Function's output that is a view."""
    x, w, _ = operands()
    how = {"padding": padding}
    assert_same(
        lambda x, w: conv2d(x, w, **how, algorithm=algorithm).relu_(), lambda x, w: F.conv2d(x, w, **how).relu_(), x, w
    )


def test_pieces_of_the_batch_add_up(monkeypatch):
    """Large batches are multiplied a few images at a time; the result does not show it."""
    monkeypatch.setattr(im2col, "_COLUMN_ELEMENTS_CPU", 1)
    assert_same(partial(conv2d, algorithm="im2col"), F.conv2d, random(5, 4, 7, 6), *operands()[1:])


@pytest.mark.parametrize("algorithm", ["auto", "own", "vendor", "direct", "im2col", "adjoint"])
def test_integers(algorithm):
    x, w = torch.randint(-9, 9, (2, 3, 5, 5)), torch.randint(-9, 9, (4, 3, 3, 3))
    assert torch.equal(conv2d(x, w, algorithm=algorithm), F.conv2d(x, w))


@pytest.mark.parametrize("algorithm", ["auto", "im2col", "fft"])
def test_torch_func_transforms(algorithm):
    how = {"stride": 2, "padding": 1, "groups": 2}
    assert_transforms(partial(conv2d, **how, algorithm=algorithm), partial(F.conv2d, **how), *operands(2))


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name != "own"])
def test_compiles_into_one_graph(algorithm):
    torch.compiler.reset()
    x, w, b = operands(dtype=torch.float64)
    compiled = torch.compile(partial(conv2d, padding=1, algorithm=algorithm), backend="aot_eager", fullgraph=True)
    assert_same(compiled, partial(F.conv2d, padding=1), x, w, b, second=False)


@pytest.mark.parametrize(
    ("algorithm", "how", "reason"),
    [
        ("winograd", {"dilation": 2}, "it needs stride 1 and dilation 1, got stride .1, 1. and dilation .2, 2."),
        ("fast", {}, "algorithm must be one of auto, own, vendor, native, direct, .* got 'fast'"),
    ],
)
def test_an_algorithm_that_does_not_apply_is_refused_with_the_reason(algorithm, how, reason):
    with pytest.raises(ValueError, match=reason):
        conv2d(*operands(), **how, algorithm=algorithm)


@pytest.mark.parametrize("algorithm", ["winograd", "fft"])
def test_transforms_need_floating_point(algorithm):
    with pytest.raises(ValueError, match=f"algorithm='{algorithm}' does not apply: .* floating point, got torch.int64"):
        conv2d(
            torch.ones(1, 1, 4, 4, dtype=torch.int64), torch.ones(1, 1, 3, 3, dtype=torch.int64), algorithm=algorithm
        )


def test_winograd_needs_filters_of_its_size():
    with pytest.raises(ValueError, match="written for 3×3 filters, got 5×3"):
        conv2d(random(1, 1, 6, 6), random(1, 1, 5, 3), algorithm="winograd")


def test_shape_without_numbers():
    """On the meta device, where nothing can be computed or timed."""
    x, w, b = (tensor.to("meta") for tensor in operands())
    assert conv2d(x, w, b, stride=2).shape == (2, 8, 3, 2)


@pytest.mark.parametrize("lower", [torch.bfloat16, torch.float16])
def test_autocast(lower):
    x, w, b = operands(dtype=torch.float32)
    w.requires_grad_()
    with torch.autocast("cpu", dtype=lower):
        ours, theirs = conv2d(x, w, b), F.conv2d(x, w, b)
        assert conv2d(x.double(), w.double()).dtype == torch.float64
    assert ours.dtype == theirs.dtype == lower
    torch.testing.assert_close(ours, theirs, rtol=4e-2, atol=4e-2)
    (gradient,) = torch.autograd.grad(ours.float().square().sum(), w)
    assert gradient.dtype == torch.float32
    (expected,) = torch.autograd.grad(theirs.float().square().sum(), w)
    torch.testing.assert_close(gradient, expected, rtol=5e-2, atol=2.0)


X, W, B = random(2, 4, 6, 6), random(6, 4, 3, 3), random(6)


@pytest.mark.parametrize(
    ("arguments", "how"),
    [
        ((X[0, 0], W), {}),
        ((X[None], W), {}),
        ((X, W[0]), {}),
        ((X[:, :3], W), {}),
        ((X[0, :3], W), {}),
        ((X, W), {"groups": 2}),
        ((X, W), {"groups": 0}),
        ((X, W), {"groups": -1}),
        ((random(1, 8, 6, 6), random(5, 4, 3, 3)), {"groups": 2}),
        ((X, W, B[:5]), {}),
        ((X, W, B[None]), {}),
        ((X[:, :, :2], W), {}),
        ((X[:, :, :0], W), {"padding": 2}),
        ((X, W), {"dilation": 3}),
        ((X, W), {"stride": 0}),
        ((X, W), {"stride": -1}),
        ((X, W), {"padding": -1}),
        ((X, W), {"dilation": 0}),
        ((X, W), {"stride": (1, 1, 1)}),
        ((X, W), {"padding": (1, 1, 1)}),
        ((X, W), {"stride": 1.5}),
        ((X, W), {"padding": "some"}),
        ((X, W), {"padding": "same", "stride": 2}),
        ((X, W), {"padding": "same", "stride": (1, 2)}),
        ((X, W[:0]), {}),
        ((X, W[:, :, :0]), {}),
        ((X.float(), W), {}),
        ((X, W, B.float()), {}),
        ((X.bool(), W.bool()), {}),
        ((X.tolist(), W), {}),
        ((X, None), {}),
    ],
)
def test_refuses_what_torch_refuses(arguments, how):
    assert_rejected_alike(conv2d, F.conv2d, *arguments, **how)


def test_complex_is_refused_by_name():
    with pytest.raises(NotImplementedError, match="conv2d is written for real tensors, got"):
        conv2d(X.to(torch.complex128), W.to(torch.complex128))


def test_messages_show_the_values():
    with pytest.raises(RuntimeError, match=r"\(6, 4, 3, 3\) with groups=1 needs 4 input channels, got 3"):
        conv2d(X[:, :3], W)


def test_edge_filter_of_the_lecture():
    x = torch.tensor(
        [
            [3, 0, 1, 2, 7, 4],
            [1, 5, 8, 9, 3, 1],
            [2, 7, 2, 5, 1, 3],
            [0, 1, 3, 1, 7, 8],
            [4, 2, 1, 6, 2, 8],
            [2, 4, 5, 2, 3, 9],
        ]
    )
    w = torch.tensor([[1, 0, -1]] * 3)
    expected = [[-5, -4, 0, 8], [-10, -2, 2, 3], [0, -2, -4, -7], [-3, -2, -3, -16]]
    assert conv2d(x.double()[None], w.double()[None, None])[0].tolist() == expected


def test_convolution_demo_of_cs231n():
    rows = [
        "0000000 0002020 0122200 0021000 0020210 0102200 0000000",
        "0000000 0100200 0101010 0002120 0121000 0122020 0000000",
        "0000000 0022100 0020010 0111210 0201220 0211000 0000000",
    ]
    x = torch.tensor([[[int(digit) for digit in row] for row in channel.split()] for channel in rows]).double()
    w0 = [[-1, 0, -1, 1, -1, 1, -1, 0, -1], [0, -1, 1, 1, 1, 1, -1, 1, -1], [0, 0, 0, -1, 1, -1, 1, 1, -1]]
    w1 = [[0, 1, 1, -1, -1, -1, 1, -1, 1], [-1, 0, -1, 1, 1, 1, -1, 1, -1], [0, 1, 0, 0, 0, -1, 1, -1, 0]]
    w = torch.tensor([w0, w1]).reshape(2, 3, 3, 3).double()
    y = conv2d(x, w, torch.tensor([1.0, 0.0]).double(), stride=2)
    assert y[0].tolist() == [[-3, -1, 0], [-1, -8, 2], [3, 0, 3]]
    assert y[1].tolist() == [[1, 4, 2], [-1, 4, 5], [3, 1, 3]]


def test_gradients_by_hand():
    """One row, x = 1 2 3, w = 10 20: y = 50 80. With ∂L/∂y = 1 100: ∂w = Σ g·x, ∂x = Σ g·w."""
    x = torch.tensor([[[1.0, 2.0, 3.0]]]).double().requires_grad_()
    w = torch.tensor([[[[10.0, 20.0]]]]).double().requires_grad_()
    y = conv2d(x, w)
    assert y.tolist() == [[[50, 80]]]
    y.backward(torch.tensor([[[1.0, 100.0]]]).double())
    assert w.grad is not None
    assert x.grad is not None
    assert w.grad.tolist() == [[[[201, 302]]]]  # 1·1 + 100·2, 1·2 + 100·3
    assert x.grad.tolist() == [[[10, 1020, 2000]]]  # 1·10, 1·20 + 100·10, 100·20


@pytest.mark.parametrize(
    ("algorithm", "stride", "taken"),
    [
        ("auto", 1, ["vendor"] * 3),
        ("auto", 2, ["vendor"] * 3),
        ("own", 1, ["adjoint"] * 3),
        ("own", 2, ["adjoint", "im2col", "im2col"]),
        ("fft", 1, ["fft"] * 3),
    ],
)
def test_the_algorithm_is_chosen_by_rule(algorithm, stride, taken):
    """Nothing is measured: the same call computes the same bits, on every machine with the same kernels."""
    spec = ConvSpec(Geometry((3, 3), (stride, stride), (1, 1), (1, 1)), 1, algorithm)
    assert [conv._algorithm(step, spec) for step in ("forward", "input_gradient", "weight_gradient")] == taken
