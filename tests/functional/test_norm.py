from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

import oracles
from differential import (
    NATIVE,
    assert_proved,
    assert_rejected_alike,
    assert_same,
    assert_transforms,
    derivatives,
    random,
)
from repronet.functional import norm
from repronet.functional.norm import batch_norm

C = 3
MEAN, VAR = random(C), random(C).abs() + 0.5


def training(operator, **how):
    """The operator as a function of input, weight and bias, on its batch's own statistics."""
    return lambda x, weight=None, bias=None: operator(x, None, None, weight, bias, training=True, **how)


def evaluation(operator, dtype=torch.float64, **how):
    mean, var = MEAN.to(dtype), VAR.to(dtype)
    return lambda x, weight=None, bias=None: operator(x, mean, var, weight, bias, **how)


def by(algorithm):
    """Training, ours by an algorithm."""
    return lambda operator, **how: training(
        operator if operator is F.batch_norm else partial(operator, algorithm=algorithm), **how
    )


def evaluated_by(algorithm):
    """Evaluation, ours by an algorithm."""
    return lambda operator, **how: evaluation(
        operator if operator is F.batch_norm else partial(operator, algorithm=algorithm), **how
    )


ALGORITHMS = ["own", "vendor", "auto", *NATIVE]
MODES = [
    *(pytest.param(by(name), id=f"training-{name}") for name in ALGORITHMS),
    *(pytest.param(evaluated_by(name), id=f"evaluation-{name}") for name in ALGORITHMS),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(5, C), (4, C, 5), (2, C, 4, 3), (2, C, 2, 3, 2)])
def test_same_as_torch(mode, shape):
    operands = random(*shape), random(C, seed=1), random(C, seed=2)
    for count in (1, 2, 3):
        assert_same(mode(batch_norm), mode(F.batch_norm), *operands[:count])


@pytest.mark.parametrize("mode", MODES)
def test_bias_without_weight(mode):
    x, bias = random(2, C, 4, 3), random(C)
    ours, theirs = mode(batch_norm), mode(F.batch_norm)
    # torch fails to find a second derivative here, so only ours is asked for it.
    assert_same(lambda x, b: ours(x, None, b), lambda x, b: theirs(x, None, b), x, bias, second=False)
    assert_proved(lambda x, b: ours(x, None, b), random(2, C, 2, 2), bias)


@pytest.mark.parametrize("mode", MODES)
def test_gradients_are_proved(mode):
    assert_proved(mode(batch_norm), random(2, C, 2, 3), random(C), random(C))
    assert_proved(mode(batch_norm), random(3, C))


def test_statistics_gradients_are_proved():
    """Mean and variance, which only second derivatives go through, have gradients of their own."""
    x = random(2, C, 2, 2).requires_grad_()
    for algorithm in ALGORITHMS:
        statistics = lambda t, a=algorithm: norm._batch_norm(t, None, None, None, None, 0.0, 1e-5, a)  # noqa: E731
        assert torch.autograd.gradcheck(statistics, (x,))
        assert torch.autograd.gradcheck(lambda t, f=statistics: f(t)[2], (x,))


def test_same_as_the_loops():
    x, weight, bias = random(3, C, 4, 2) * 2 + 5, random(C), random(C)
    expected, mean, variance = oracles.batch_norm(x, weight, bias, 1e-3)
    torch.testing.assert_close(batch_norm(x, None, None, weight, bias, True, eps=1e-3), expected)
    torch.testing.assert_close(norm.batch_statistics(x)[:2], (mean, variance))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(1, 3), st.integers(1, 3), st.lists(st.integers(1, 3), max_size=2), st.booleans())
def test_same_as_torch_for_any_shape(batch, channels, rest, train):
    x, weight, bias = random(batch + (not rest), channels, *rest), random(channels), random(channels)
    mean, var = random(channels), random(channels).abs() + 0.1
    train = train and x.numel() > channels

    def run(operator):
        return lambda *t: operator(t[0], mean.clone(), var.clone(), *t[1:], training=train, eps=0.1)

    assert_same(run(batch_norm), run(F.batch_norm), x, weight, bias)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("momentum", [0.1, 0.0, 1.0, 0.3])
def test_running_statistics_move_as_torchs(momentum, algorithm):
    found, expected = (MEAN.clone(), VAR.clone()), (MEAN.clone(), VAR.clone())
    for seed in range(3):
        x = random(4, C, 3, 2, seed=seed)
        batch_norm(x, *found, training=True, momentum=momentum, algorithm=algorithm)
        F.batch_norm(x, *expected, training=True, momentum=momentum)
    torch.testing.assert_close(found, expected)


def test_evaluation_leaves_running_statistics_alone():
    mean, var = MEAN.clone(), VAR.clone()
    batch_norm(random(4, C), mean, var)
    assert torch.equal(mean, MEAN)
    assert torch.equal(var, VAR)


@pytest.mark.parametrize("shape", [(0, C, 4, 3), (0, C), (2, C, 0, 3)])
@pytest.mark.parametrize("train", [True, False])
def test_empty_batch(shape, train):
    mean, var = MEAN.clone(), VAR.clone()
    x = random(*shape).requires_grad_()
    weight, bias = random(C).requires_grad_(), random(C).requires_grad_()
    y = batch_norm(x, mean, var, weight, bias, training=train)
    assert y.shape == shape
    y.sum().backward()
    assert torch.equal(mean, MEAN)  # there was nothing to learn from
    assert torch.equal(var, VAR)
    assert bias.grad is not None
    assert bias.grad.tolist() == [0] * C


@pytest.mark.parametrize("mode", MODES)
def test_memory_layouts(mode):
    x, weight, bias = random(2, C, 4, 5), random(2 * C)[::2], random(C).flip(0)
    views = (x.transpose(2, 3), x[:, :, ::2], x.contiguous(memory_format=torch.channels_last), x[:1].expand(3, C, 4, 5))
    for view in views:
        assert_same(mode(batch_norm), mode(F.batch_norm), view, weight, bias)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("parameters", ["float32", "same"])
def test_dtypes(dtype, parameters):
    parameter_dtype = torch.float32 if parameters == "float32" else dtype
    operands = random(4, C, 5, 5, dtype=dtype), random(C, dtype=parameter_dtype), random(C, dtype=parameter_dtype)
    tolerance = 8 * torch.finfo(dtype).eps
    how = {"second": False, "rtol": tolerance, "atol": tolerance * 8}
    assert_same(training(batch_norm), training(F.batch_norm), *operands, **how)
    constant = (evaluation(operator, parameter_dtype) for operator in (batch_norm, F.batch_norm))
    assert_same(*constant, *operands, **how)


@pytest.mark.parametrize("shape", [(8, 16, 7, 7), (64, 16)])
@pytest.mark.parametrize("mean", [1e3, 1e4])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_large_mean_does_not_cancel(algorithm, mean, shape):
    """Neither in the output nor in the gradients, none of which is off by half a digit more than torch's."""
    x, w = random(*shape, dtype=torch.float32) + mean, random(16, dtype=torch.float32)
    exact = derivatives(training(F.batch_norm), (x.double(), w.double()), second=False)

    def errors(operator):
        found = derivatives(operator, (x, w), second=False)
        return [((a - b).abs().max() / b.abs().max()).item() for a, b in zip(found, exact, strict=True)]

    pairs = zip(errors(by(algorithm)(batch_norm)), errors(training(F.batch_norm)), strict=True)
    assert all(ours <= 3 * theirs for ours, theirs in pairs)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_tiny_variance_is_kept(algorithm):
    x = 1e-7 * random(8, C, 4, 4, dtype=torch.float32)
    found, expected = torch.zeros(C), torch.zeros(C)
    batch_norm(x, torch.zeros(C), found, training=True, momentum=1.0, algorithm=algorithm)
    F.batch_norm(x, torch.zeros(C), expected, training=True, momentum=1.0)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("algorithm", ["own", "vendor", *NATIVE])
def test_the_input_is_left_alone(algorithm):
    """The fast formulas write into memory of their own."""
    x, g = random(4, C, 3, 3).requires_grad_(), random(4, C, 3, 3, seed=1)
    kept = x.detach().clone(), g.clone()
    batch_norm(x, None, None, random(C), random(C), training=True, algorithm=algorithm).backward(g)
    assert torch.equal(x, kept[0])
    assert torch.equal(g, kept[1])


@pytest.mark.parametrize("train", [True, False])
def test_an_unknown_algorithm_is_refused(train):
    with pytest.raises(ValueError, match=r"algorithm must be one of auto, own, vendor, .* got 'fast'"):
        batch_norm(random(4, C), MEAN.clone(), VAR.clone(), training=train, algorithm="fast")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (0, 2)])
def test_only_the_gradients_that_are_wanted(mode, wanted):
    """Frozen parameters, as in fine-tuning."""
    found = []
    for operator in (batch_norm, F.batch_norm):
        operands = random(4, C, 2, 2), random(C), random(C, seed=1)
        leaves = [operands[i].requires_grad_() for i in wanted]
        found.append(torch.autograd.grad(mode(operator)(*operands), leaves, random(4, C, 2, 2, seed=2)))
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("mode", MODES)
def test_torch_func_transforms(mode):
    assert_transforms(mode(batch_norm), mode(F.batch_norm), random(4, C, 2, 3), random(C), random(C))


def test_autocast_keeps_the_input_dtype():
    x, weight, bias = (random(*shape, dtype=torch.float32) for shape in ((4, C, 2, 2), (C,), (C,)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for t in (x, x.bfloat16()):
            assert (
                training(batch_norm)(t, weight, bias).dtype == training(F.batch_norm)(t, weight, bias).dtype == t.dtype
            )


X, W, B = random(2, C, 4, 4), random(C), random(C)


@pytest.mark.parametrize(
    ("arguments", "how"),
    [
        ((X, None, None), {}),
        ((X, MEAN, None), {}),
        ((X, MEAN, None), {"training": True}),
        ((random(1, C, 1, 1), MEAN, VAR), {"training": True}),
        ((random(1, C), MEAN, VAR), {"training": True}),
        ((random(C), MEAN, VAR), {}),
        ((X, MEAN[:2], VAR), {}),
        ((X, MEAN, VAR[:2]), {"training": True}),
        ((X, MEAN, VAR, W[:2]), {}),
        ((X, MEAN, VAR, W, B[:2]), {"training": True}),
        ((X.float(), MEAN, VAR), {}),
        ((X, MEAN, VAR, W.float(), B.float()), {}),
        ((X, MEAN, VAR.float()), {}),
        ((X.bfloat16(), MEAN, VAR), {}),
        ((X.bfloat16(), MEAN.float(), VAR.float(), W.bfloat16(), B.bfloat16()), {}),
        ((X.float(), MEAN.bfloat16(), VAR.bfloat16()), {}),
        ((X.long(), MEAN, VAR), {}),
        ((X, MEAN, VAR), {"eps": -1.0}),
        ((X, MEAN, VAR), {"momentum": None}),
        ((X, MEAN.clone().requires_grad_(), VAR), {"training": True}),
        ((X, MEAN, VAR.clone().requires_grad_()), {}),
    ],
)
def test_refuses_what_torch_refuses(arguments, how):
    assert_rejected_alike(batch_norm, F.batch_norm, *arguments, **how)


def test_by_hand():
    """1, 3 has mean 2 and variance 1; γ = 10 and β = 5 give −5, 15."""
    x = torch.tensor([[1.0], [3.0]])
    mean, var = torch.zeros(1), torch.zeros(1)
    y = batch_norm(x, mean, var, torch.tensor([10.0]), torch.tensor([5.0]), training=True, momentum=0.5, eps=1e-30)
    assert y.tolist() == [[-5], [15]]
    assert mean.tolist() == [1]
    assert var.tolist() == [1]  # the unbiased variance is 2


def test_gradient_ignores_shift_and_scale_of_the_batch():
    """Adding a constant to a channel or stretching it changes nothing, so ∂L/∂x is orthogonal to 1 and to x̂."""
    x = random(4, C, 3, 3).requires_grad_()
    y = batch_norm(x, None, None, training=True, eps=1e-30)
    (gradient,) = torch.autograd.grad((y * random(4, C, 3, 3, seed=9)).sum(), x)
    torch.testing.assert_close(gradient.sum((0, 2, 3)), torch.zeros(C).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close((gradient * y).sum((0, 2, 3)), torch.zeros(C).double(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_half_types_are_summed_in_float32(layout, train, algorithm):
    """Also where input and gradient lie in memory in two ways, where torch's kernel sums in bfloat16."""
    x, g = random(8, 16, 9, 7, dtype=torch.bfloat16), random(8, 16, 9, 7, dtype=torch.bfloat16, seed=1)
    x, parameters = x.contiguous(memory_format=layout), [torch.ones(16).requires_grad_() for _ in range(2)]
    y = batch_norm(x, torch.zeros(16), torch.ones(16), *parameters, training=train, algorithm=algorithm)
    _, of_bias = torch.autograd.grad(y, parameters, g)
    torch.testing.assert_close(of_bias, g.double().sum((0, 2, 3)).float(), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_keep_no_more_for_backward_than_torch_does(dtype, training):
    input = torch.randn(4, 3, 16, 16, dtype=dtype, requires_grad=True)
    kept = []
    for function in (batch_norm, F.batch_norm):
        found: dict[int, torch.UntypedStorage] = {}

        def keep(tensor: torch.Tensor, found: dict[int, torch.UntypedStorage] = found) -> torch.Tensor:
            found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            weight, bias = torch.ones(3, requires_grad=True), torch.zeros(3, requires_grad=True)
            function(input, torch.zeros(3), torch.ones(3), weight, bias, training=training)
        kept.append(sum(storage.nbytes() for storage in found.values()))
    assert kept[0] <= kept[1] + 100  # a few numbers a channel
