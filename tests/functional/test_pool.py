from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

import oracles
from differential import assert_proved, assert_rejected_alike, assert_same, assert_transforms, random
from repronet.functional import max_pool, pool
from repronet.functional.pool import avg_pool2d, max_pool2d
from repronet.functional.windows import Geometry

NAN, INF = float("nan"), float("inf")

MAX_SETTINGS = [
    pytest.param({"kernel_size": 2}, id="plain"),
    pytest.param({"kernel_size": 3, "stride": 2}, id="overlap"),
    pytest.param({"kernel_size": (2, 3), "stride": 1, "padding": (1, 1)}, id="padding"),
    pytest.param({"kernel_size": 2, "stride": 1, "dilation": (2, 3)}, id="dilation"),
    pytest.param({"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 2, "ceil_mode": True}, id="all"),
    pytest.param({"kernel_size": 2, "stride": 2, "ceil_mode": True}, id="ceil"),
    pytest.param({"kernel_size": 2, "stride": 3}, id="gaps"),
    pytest.param({"kernel_size": (7, 5)}, id="global"),
]
AVG_SETTINGS = [
    pytest.param({"kernel_size": 2}, id="plain"),
    pytest.param({"kernel_size": 3, "stride": 2}, id="overlap"),
    pytest.param({"kernel_size": (2, 3), "stride": 1, "padding": (1, 1)}, id="padding"),
    pytest.param({"kernel_size": 3, "padding": 1, "count_include_pad": False}, id="padding not counted"),
    pytest.param({"kernel_size": 2, "ceil_mode": True}, id="ceil"),
    pytest.param({"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}, id="ceil and padding"),
    pytest.param(
        {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False},
        id="ceil and padding not counted",
    ),
    pytest.param({"kernel_size": 2, "stride": 1, "divisor_override": 3}, id="divisor"),
    pytest.param({"kernel_size": 2, "stride": 3, "divisor_override": -1}, id="gaps and negative divisor"),
]
ALGORITHMS = ["own", "vendor", "auto"]
OPERATORS = [
    pytest.param(partial(ours, algorithm=algorithm), theirs, id=f"{name} {algorithm}")
    for name, ours, theirs in (("max", max_pool2d, F.max_pool2d), ("avg", avg_pool2d, F.avg_pool2d))
    for algorithm in ALGORITHMS
]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("how", MAX_SETTINGS)
def test_max_same_as_torch(how, algorithm):
    how = {**how, "return_indices": True}
    ours = partial(max_pool2d, algorithm=algorithm)
    assert_same(lambda x: ours(x, **how), lambda x: F.max_pool2d(x, **how), random(2, 3, 7, 5))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("how", AVG_SETTINGS)
def test_avg_same_as_torch(how, algorithm):
    ours = partial(avg_pool2d, algorithm=algorithm)
    assert_same(lambda x: ours(x, **how), lambda x: F.avg_pool2d(x, **how), random(2, 3, 7, 5))


@pytest.mark.parametrize("how", MAX_SETTINGS)
def test_max_gradients_are_proved(how):
    assert_proved(lambda x: max_pool2d(x, **how, algorithm="own"), random(1, 1, 7, 5))


@pytest.mark.parametrize("how", AVG_SETTINGS)
def test_avg_gradients_are_proved(how):
    assert_proved(lambda x: avg_pool2d(x, **how, algorithm="own"), random(1, 1, 7, 5))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "ceil_mode"),
    [((2, 2), (2, 2), (0, 0), False), ((3, 2), (2, 1), (1, 1), False), ((3, 3), (2, 2), (1, 0), True)],
)
def test_same_as_the_loops(kernel, stride, padding, ceil_mode):
    x, size = random(2, 2, 6, 7), (6, 7)
    geometry = Geometry(kernel, stride, padding, ceil_mode=ceil_mode)
    y = max_pool.max_pool2d_forward(x, geometry)
    expected, where = oracles.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil_mode)
    assert torch.equal(y, expected)
    assert torch.equal(max_pool.max_pool2d_indices(x, geometry), where)
    g = random(*y.shape, seed=5)
    gradient = max_pool.max_pool2d_input_gradient(g, x, geometry)
    torch.testing.assert_close(gradient, oracles.max_pool2d_gradient(g, where, size))
    for counted in (True, False):
        divisor = pool.avg_pool2d_divisor(size, geometry, counted, None, x.device)
        mean = pool.avg_pool2d_forward(x, geometry, divisor)
        torch.testing.assert_close(mean, oracles.avg_pool2d(x, kernel, stride, padding, ceil_mode, counted))
    divisor = pool.avg_pool2d_divisor(size, geometry, True, None, x.device)
    shared = pool.avg_pool2d_input_gradient(g, size, geometry, divisor)
    torch.testing.assert_close(shared, oracles.avg_pool2d_gradient(g, size, kernel, stride, padding))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.data())
def test_same_as_torch_for_any_shape(data):
    kernel = tuple(data.draw(st.integers(1, 4)) for _ in range(2))
    stride, dilation = (tuple(data.draw(st.integers(1, 3)) for _ in range(2)) for _ in range(2))
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    ceil_mode = data.draw(st.booleans())
    x = random(
        data.draw(st.integers(1, 2)),
        2,
        *(data.draw(st.integers(d * (k - 1) + 1, 10)) for k, d in zip(kernel, dilation, strict=True)),
    )
    # Few different values, so that ties are common.
    x = x.round() if data.draw(st.booleans()) else x
    how = (kernel, stride, padding, dilation, ceil_mode, True)
    assert_same(lambda t: max_pool2d(t, *how, algorithm="own"), lambda t: F.max_pool2d(t, *how), x)
    mean = (kernel, stride, padding, ceil_mode, data.draw(st.booleans()))
    assert_same(lambda t: avg_pool2d(t, *mean, algorithm="own"), lambda t: F.avg_pool2d(t, *mean), x)


@pytest.mark.parametrize(("ours", "theirs"), OPERATORS)
def test_shapes_and_layouts(ours, theirs):
    x = random(2, 3, 8, 9)
    for view in (
        x[0],
        x[:0],
        x.transpose(2, 3),
        x[:, 1:, ::2],
        x.contiguous(memory_format=torch.channels_last),
        x[:, :1].expand(2, 4, 8, 9),
    ):
        assert_same(lambda t: ours(t, 3, 2, 1), lambda t: theirs(t, 3, 2, 1), view, second=view.numel() > 0)


@pytest.mark.parametrize(("ours", "theirs"), OPERATORS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_dtypes(ours, theirs, dtype):
    x = random(2, 3, 9, 9, dtype=dtype)
    tolerance = 4 * torch.finfo(dtype).eps
    assert_same(
        lambda t: ours(t, 3, 2, 1), lambda t: theirs(t, 3, 2, 1), x, second=False, rtol=tolerance, atol=tolerance
    )


@pytest.mark.parametrize(("ours", "theirs"), OPERATORS)
def test_arguments(ours, theirs):
    x = random(1, 2, 6, 6)
    for arguments in ((2, None), (2, []), ([2],), ((2, 1), (1, 2)), (2, (1,), [1])):
        torch.testing.assert_close(ours(x, *arguments), theirs(x, *arguments))


@pytest.mark.parametrize(("ours", "theirs"), OPERATORS)
def test_torch_func_transforms(ours, theirs):
    assert_transforms(lambda t: ours(t, 3, 2, 1), lambda t: theirs(t, 3, 2, 1), random(2, 2, 6, 5))


@pytest.mark.parametrize(("ours", "theirs"), OPERATORS)
def test_autocast_keeps_the_dtype(ours, theirs):
    x = random(1, 2, 4, 4, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ours(x, 2).dtype == theirs(x, 2).dtype == torch.float32
        assert ours(x.bfloat16(), 2).dtype == theirs(x.bfloat16(), 2).dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_max_of_integers(dtype):
    x = torch.randint(0, 9, (2, 3, 7, 7), dtype=dtype)
    ours = max_pool2d(x, 3, 2, 1, return_indices=True, algorithm="own")
    theirs = F.max_pool2d(x, 3, 2, 1, return_indices=True)
    assert torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[1], theirs[1])


def test_mean_of_integers_rounds_towards_zero():
    x = torch.tensor([[[[-3, 0], [0, 0]], [[7, 0], [0, 0]]]])
    assert torch.equal(avg_pool2d(x, 2, divisor_override=2), F.avg_pool2d(x, 2, divisor_override=2))
    assert avg_pool2d(x, 2, divisor_override=2).flatten().tolist() == [-1, 3]
    large = torch.full((1, 1, 1), 2**24 + 1)  # more digits than float32 has
    assert torch.equal(avg_pool2d(large, 1), large)


@pytest.mark.parametrize(
    "values",
    [
        [[1, 1], [1, 1]],
        [[0, 2], [2, 1]],
        [[NAN, 1], [2, 3]],
        [[1, NAN], [NAN, 3]],
        [[NAN, INF], [1, 2]],
        [[-INF, -INF], [-INF, -INF]],
        [[-INF, NAN], [-INF, -INF]],
        [[0.0, -0.0], [0.0, -0.0]],
    ],
)
@pytest.mark.parametrize("padding", [0, 1])
def test_ties_nan_and_infinity(values, padding):
    """The first of equals wins, the last NaN wins over all, and the padding never wins."""
    x = torch.tensor(values, dtype=torch.float64)[None]
    how = {"kernel_size": 2, "stride": 1, "padding": padding, "return_indices": True}
    assert_same(lambda t: max_pool2d(t, **how, algorithm="own"), lambda t: F.max_pool2d(t, **how), x)


def test_padding_never_wins_against_the_lowest_values():
    for x in (torch.full((1, 5, 5), -INF), torch.full((1, 5, 5), torch.iinfo(torch.int64).min)):
        for dilation in (1, 2):
            how = {"kernel_size": 2, "stride": 2, "padding": 1, "dilation": dilation, "return_indices": True}
            assert torch.equal(max_pool2d(x, **how, algorithm="own")[1], F.max_pool2d(x, **how)[1])


def test_a_window_in_the_padding_altogether():
    """Both elements of the one window are beside the image: its maximum is −∞, and nobody receives its gradient."""
    x = random(1, 1, 2, 5).requires_grad_()
    how = {"kernel_size": 2, "stride": 1, "padding": 1, "dilation": (3, 1)}
    y = max_pool2d(x, **how, algorithm="own")
    assert torch.equal(y, F.max_pool2d(x, **how))
    (gradient,) = torch.autograd.grad(y, x, torch.ones_like(y))
    assert torch.equal(gradient, torch.zeros_like(x))


def test_max_window_of_more_than_256_elements():
    x = random(1, 1, 40, 40)
    assert_same(lambda t: max_pool2d(t, 20, algorithm="own"), lambda t: F.max_pool2d(t, 20), x)


def test_max_in_blocks_of_the_batch(monkeypatch):
    """A large batch is handled a few images at a time; the last piece may be smaller."""
    monkeypatch.setattr(max_pool, "_BLOCK", 150)  # two images of 3·5·5
    x = random(5, 3, 5, 5)
    for how in ((2, 2), (3, 2, 1)):
        assert_same(lambda t: max_pool2d(t, *how, algorithm="own"), lambda t: F.max_pool2d(t, *how), x)  # noqa: B023


def test_nan_in_the_midst_of_numbers():
    """One window with a NaN does not change where the others' gradients go."""
    x = random(2, 2, 8, 8).relu()
    x[0, 1, 3, 4] = x[0, 1, 3, 5] = x[1, 0, 7, 7] = NAN
    for how in ((2, 2), (3, 2, 1), (3, 1)):
        assert_same(lambda t: max_pool2d(t, *how, algorithm="own"), lambda t: F.max_pool2d(t, *how), x)  # noqa: B023


def test_strides_far_beyond_the_input():
    x = random(1, 2, 5, 4)
    for how in ((2, 1000), (5, 1000, 2), ((1, 4), (3, 7))):
        assert_same(lambda t: max_pool2d(t, *how, algorithm="own"), lambda t: F.max_pool2d(t, *how), x)  # noqa: B023
        assert_same(lambda t: avg_pool2d(t, *how, algorithm="own"), lambda t: F.avg_pool2d(t, *how), x)  # noqa: B023


def bits(algorithm, layout):
    """Output and gradient of an average pool, to the last bit."""
    x = random(2, 3, 8, 8, dtype=torch.float32).to(memory_format=layout).requires_grad_()
    output = avg_pool2d(x, 3, 2, 1, algorithm=algorithm)
    grad_output = random(*output.shape, dtype=torch.float32).to(memory_format=layout)
    return output, *torch.autograd.grad(output, x, grad_output)


@pytest.mark.parametrize(
    ("layout", "takes"), [(torch.contiguous_format, "own"), (torch.channels_last, "vendor")], ids=["rows", "channels"]
)
def test_auto_averages_by_rule(layout, takes):
    found = {name: bits(name, layout) for name in ("auto", "own", "vendor")}
    assert not torch.equal(found["own"][0], found["vendor"][0])  # else nothing is seen here
    assert all(torch.equal(*pair) for pair in zip(found["auto"], found[takes], strict=True))


@pytest.mark.parametrize(
    ("settings", "differentiated", "own"),
    [((2,), False, True), ((2,), True, False), ((3, 1, 1), True, True), ((3, 1, 1), False, True)],
)
def test_auto_takes_the_maximum_by_rule(settings, differentiated, own, monkeypatch):
    called = []
    monkeypatch.setattr(max_pool, "_vendor", lambda *args: called.append("vendor") or max_pool._own(*args, False))
    max_pool2d(random(2, 3, 8, 8).requires_grad_(differentiated), *settings)
    assert called == ([] if own else ["vendor"])


def test_global_average_takes_no_memory_for_its_gradient():
    x = random(2, 3, 4, 5).requires_grad_()
    (gradient,) = torch.autograd.grad(avg_pool2d(x, (4, 5), algorithm="own").sum(), x)
    assert gradient.untyped_storage().nbytes() == 6 * 8
    assert torch.equal(gradient, torch.full_like(gradient, 1 / 20))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_memory_layout_is_kept(algorithm):
    x = random(2, 3, 8, 8).contiguous(memory_format=torch.channels_last).requires_grad_()
    for operator in (max_pool2d, avg_pool2d):
        y = operator(x, 2, algorithm=algorithm)
        (gradient,) = torch.autograd.grad(y, x, torch.ones_like(y))
        for tensor in (y, gradient):
            assert tensor.is_contiguous(memory_format=torch.channels_last)


def test_max_keeps_no_indices():
    """What is kept for the gradient is input and output, which the neighbouring layers keep anyway."""
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        x = random(2, 3, 8, 8).requires_grad_()
        max_pool2d(x, 2, algorithm="own")
    assert [t.data_ptr() for t in kept] == [x.data_ptr()]


def test_max_gradient_goes_to_the_winner_and_adds_where_windows_overlap():
    x = torch.tensor([[[1.0, 2.0, 3.0], [4.0, 9.0, 5.0], [6.0, 7.0, 8.0]]], requires_grad=True)
    y = max_pool2d(x, 2, 1, algorithm="own")
    assert y.tolist() == [[[9, 9], [9, 9]]]
    y.backward(torch.tensor([[[1.0, 10.0], [100.0, 1000.0]]]))
    assert x.grad is not None
    assert x.grad.tolist() == [[[0, 0, 0], [0, 1111, 0], [0, 0, 0]]]


def test_max_gradient_lets_no_infinity_leak():
    x = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]], requires_grad=True)
    max_pool2d(x, 2, algorithm="own").backward(torch.tensor([[[INF]]]))
    assert x.grad is not None
    assert x.grad.tolist() == [[[0, 0], [0, INF]]]


def test_mean_gradient_is_one_in_m():
    x = torch.arange(16.0).reshape(1, 4, 4).requires_grad_()
    y = avg_pool2d(x, 2, algorithm="own")
    assert y.tolist() == [[[2.5, 4.5], [10.5, 12.5]]]
    y.backward(torch.tensor([[[4.0, 8.0], [12.0, 16.0]]]))
    assert x.grad is not None
    assert x.grad.tolist() == [[[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]]


def test_pool_of_the_lecture():
    """CS231n's single depth slice, max-pooled 2×2 with stride 2."""
    x = torch.tensor([[[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]])
    for algorithm in ALGORITHMS:
        assert max_pool2d(x, 2, 2, algorithm=algorithm).tolist() == [[[6, 8], [3, 4]]]


def test_pool_of_alexnet():
    """3×3 windows with stride 2 make 27 of 55."""
    assert max_pool2d(random(1, 1, 55, 55), 3, 2).shape == (1, 1, 27, 27)


X = random(2, 3, 6, 6)
BOTH = [
    ((X[None], 2), {}),
    ((X[:, :0], 2), {}),
    ((X[:, :, :0], 2), {}),
    ((X, 0), {}),
    ((X, -1), {}),
    ((X, 2, 0), {}),
    ((X, 2, -1), {}),
    ((X, 2), {"padding": 2}),
    ((X, 2), {"padding": -1}),
    ((X, (4, 1)), {"padding": (1, 1)}),
    ((X, 7), {}),
    ((X[:0], 7), {}),
    ((X, (2, 2, 2)), {}),
    ((X, 2, (1, 1, 1)), {}),
    ((X, 2), {"padding": (1, 1, 1)}),
    ((X, 2.5), {}),
    ((X.bool(), 2), {}),
    ((X.to(torch.complex64), 2), {}),
    ((X.tolist(), 2), {}),
]
MAX_ONLY = [((X[0, 0], 2), {}), ((X, 2), {"dilation": 0}), ((X, 2), {"padding": 2, "dilation": 3})]
AVG_ONLY = [
    ((X, 2), {"divisor_override": 0}),
    ((X, 2), {"divisor_override": 2.5}),
    ((X.int(), 2), {}),
    ((X.to(torch.uint8), 2), {}),
]


@pytest.mark.parametrize(("arguments", "how"), BOTH + MAX_ONLY)
def test_max_refuses_what_torch_refuses(arguments, how):
    assert_rejected_alike(max_pool2d, F.max_pool2d, *arguments, **how)


@pytest.mark.parametrize(("arguments", "how"), BOTH + AVG_ONLY)
def test_avg_refuses_what_torch_refuses(arguments, how):
    assert_rejected_alike(avg_pool2d, F.avg_pool2d, *arguments, **how)


def test_an_unknown_algorithm_is_refused():
    for operator in (max_pool2d, avg_pool2d):
        with pytest.raises(ValueError, match=r"algorithm must be one of .*, got 'fast'"):
            operator(X, 2, algorithm="fast")


def test_avg_of_a_matrix_is_refused_as_max_does():
    """torch's avg_pool2d answers with an IndexError about dimensions; ours says what it needs."""
    with pytest.raises(RuntimeError, match=r"needs an input \(N, C, H, W\)"):
        avg_pool2d(X[0, 0], 2)


@pytest.mark.parametrize("algorithm", ["own", "vendor"])
def test_the_output_may_be_written_to(algorithm):
    """As a ReLU in place after the pool does."""
    assert_same(
        lambda x: max_pool2d(x, 2, algorithm=algorithm).relu_(),
        lambda x: F.max_pool2d(x, 2).relu_(),
        random(2, 3, 6, 6),
    )


@pytest.mark.parametrize(("size", "dtype"), [((9, 11), torch.int16), ((200, 180), torch.int32)])
def test_places_kept_in_fewer_bytes_give_the_same_gradients(size, dtype, monkeypatch):
    kept, shortened = [], max_pool._shortened

    def recorded(saved, dtype):
        short, places = shortened(saved, dtype)
        kept.extend([short.dtype] if places else [])
        return short, places

    monkeypatch.setattr(max_pool, "_SHORTENED_FROM", 0)
    monkeypatch.setattr(max_pool, "_shortened", recorded)
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    outcomes = []
    for pool2d in (max_pool2d, F.max_pool2d):
        y = pool2d(x, 3, 2, 1)
        (first,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), x)
        outcomes.append((y, first, second))
    for found, wanted in zip(*outcomes, strict=True):
        assert torch.equal(found, wanted)
    assert kept == [dtype]
    with torch.no_grad():
        max_pool2d(x, 3, 2, 1)
    torch.func.grad(lambda x: max_pool2d(x, 3, 2, 1).sum())(x.detach())
    assert kept == [dtype]


def test_somebody_elses_hooks_see_what_a_large_pool_keeps(monkeypatch):
    """As activation checkpointing and moving to the CPU rely on: torch calls the innermost hooks alone."""
    monkeypatch.setattr(max_pool, "_SHORTENED_FROM", 0)
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    seen = []
    for pool2d in (max_pool2d, F.max_pool2d):
        with torch.autograd.graph.saved_tensors_hooks(lambda kept: seen.append(kept.dtype) or kept, lambda kept: kept):
            pool2d(x, 2)
    assert seen[: len(seen) // 2] == seen[len(seen) // 2 :]
    assert torch.int64 in seen
    with torch.autograd.graph.disable_saved_tensors_hooks("none here"):
        max_pool2d(x, 2)
