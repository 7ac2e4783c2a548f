"""Batch normalisation, residual and ReLU as one operator, held against torch's three."""

from functools import partial

import pytest
import torch
from torch.nn import functional as F

from differential import NATIVE, assert_proved, assert_same, assert_transforms, derivatives, random
from repronet import native
from repronet.functional import batch_norm, batch_norm_relu, relu

C = 3
MODES = ["own", "vendor", "auto", *NATIVE]
needs_kernels = pytest.mark.skipif(not NATIVE, reason=f"no compiled kernels: {native.missing()}")


def theirs(x, weight=None, bias=None, residual=None):
    y = F.batch_norm(x, None, None, weight, bias, training=True)
    return F.relu(y if residual is None else y + residual)


def ours(algorithm):
    return lambda x, *given: batch_norm_relu(x, None, None, *given, training=True, algorithm=algorithm)


def layout(tensor, channels_last):
    return tensor.contiguous(memory_format=torch.channels_last) if channels_last else tensor


@pytest.mark.parametrize("algorithm", MODES)
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("shape", [(5, C), (4, C, 5), (2, C, 4, 3), (3, 70, 5, 5), (9, 300, 3, 2)])
def test_same_as_torch(shape, channels_last, algorithm):
    """Values, first and second derivatives; also where rows of many channels leave some pixels over."""
    last = channels_last and len(shape) == 4
    x, residual = layout(random(*shape), last), layout(random(*shape, seed=3), last)
    weight, bias = random(shape[1], seed=1), random(shape[1], seed=2)
    second = shape[1] == C
    assert_same(ours(algorithm), theirs, x, second=second)
    assert_same(ours(algorithm), theirs, x, weight, bias, second=second)
    assert_same(ours(algorithm), theirs, x, weight, bias, residual, second=second)


@pytest.mark.parametrize("algorithm", MODES)
def test_gradients_are_proved(algorithm):
    assert_proved(ours(algorithm), random(2, C, 2, 3), random(C), random(C), random(2, C, 2, 3, seed=3))
    assert_proved(ours(algorithm), random(3, C))


@pytest.mark.parametrize("algorithm", NATIVE)
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_one_kernel_gives_the_bits_of_the_parts(algorithm, last, threads):
    """So that a hook between the layers, for which they are computed apart, changes no training."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        x, residual = (layout(random(6, 20, 7, 5, dtype=torch.float32, seed=s), last) for s in (0, 1))
        operands = x, random(20, dtype=torch.float32), random(20, dtype=torch.float32, seed=1), residual

        def apart(x, weight, bias, residual):
            y = batch_norm(x, None, None, weight, bias, training=True, algorithm=algorithm)
            return relu(y + residual, algorithm=algorithm)

        both = zip(*(derivatives(f, operands, second=False) for f in (ours(algorithm), apart)), strict=True)
        assert all(torch.equal(one, other) for one, other in both)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("algorithm", NATIVE)
@pytest.mark.parametrize("last", [False, True])
def test_float32_is_as_exact_as_torchs(algorithm, last):
    """Against float64, also where the mean is large: not off by more than three times what torch's kernels are."""
    for mean in (0.0, 1e3):
        x = layout(random(8, 16, 7, 7, dtype=torch.float32) + mean, last)
        given = random(16, dtype=torch.float32), random(16, dtype=torch.float32, seed=1)
        exact = derivatives(theirs, (x.double(), *(value.double() for value in given)), second=False)

        def off(operator, x=x, given=given, exact=exact):
            found = derivatives(operator, (x, *given), second=False)
            return [((a - b).abs().mean() / b.abs().mean()).item() for a, b in zip(found, exact, strict=True)]

        eps = torch.finfo(torch.float32).eps
        assert all(a <= 3 * b + eps for a, b in zip(off(ours(algorithm)), off(theirs), strict=True))


@pytest.mark.parametrize("algorithm", NATIVE)
def test_nan_stays_and_lets_the_gradient_through_as_torchs_does(algorithm):
    x = random(4, C, 3, 3)
    x[0, 1, 0, 0] = torch.nan
    assert_same(ours(algorithm), theirs, x, second=False)


@pytest.mark.parametrize("algorithm", MODES)
def test_running_statistics_move_as_torchs(algorithm):
    found, expected = ((torch.zeros(C).double(), torch.ones(C).double()) for _ in range(2))
    batch_norm_relu(random(4, C, 3, 2), *found, training=True, momentum=0.3, algorithm=algorithm)
    F.batch_norm(random(4, C, 3, 2), *expected, training=True, momentum=0.3)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("algorithm", MODES)
def test_evaluation_takes_the_running_statistics(algorithm):
    x, mean, var = random(4, C, 3, 2), random(C), random(C).abs() + 1
    found = batch_norm_relu(x, mean, var, residual=x, algorithm=algorithm)
    torch.testing.assert_close(found, F.relu(F.batch_norm(x, mean, var) + x))


@pytest.mark.parametrize("algorithm", MODES)
def test_torch_func_transforms(algorithm):
    operands = random(4, C, 2, 2), random(C), random(C), random(4, C, 2, 2, seed=4)
    assert_transforms(ours(algorithm), theirs, *operands)


@pytest.mark.parametrize("algorithm", MODES)
@pytest.mark.parametrize("bad", ["weight", "rank", "single", "residual"])
def test_what_does_not_go_together_is_refused(algorithm, bad):
    x = {"rank": random(C), "single": random(1, C)}.get(bad, random(2, C, 2, 2))
    weight = random(C + 1) if bad == "weight" else None
    residual = random(5, 5, 5, 5) if bad == "residual" else None
    with pytest.raises((RuntimeError, ValueError)):
        batch_norm_relu(x, None, None, weight, None, residual, training=True, algorithm=algorithm)


@needs_kernels
def test_nothing_but_the_input_and_the_output_is_kept_for_backward():
    kept = {}

    def note(tensor):
        kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    x, residual = random(8, 16, 8, 8), random(8, 16, 8, 8, seed=1).requires_grad_()
    x.requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        y = partial(batch_norm_relu, training=True, algorithm="native")(x, None, None, None, None, residual)
    statistics = 2 * 16 * 8
    assert sum(kept.values()) == x.nbytes + y.nbytes + statistics
