"""Dropout of numbers and of whole maps: the same draws as torch's on a CPU."""

import pytest
import torch
from torch.nn import functional as F

from differential import assert_proved, assert_rejected_alike, assert_same, assert_transforms, random
from repronet.functional.dropout import dropout, dropout2d

BOTH = pytest.mark.parametrize(("ours", "theirs"), [(dropout, F.dropout), (dropout2d, F.dropout2d)])
SHAPE = (3, 4, 5, 6)


def seeded(operator, *settings, **how):
    """The operator with the same draws at every call."""

    def apply(x):
        torch.manual_seed(3)
        return operator(x, *settings, **how)

    return apply


@BOTH
@pytest.mark.parametrize("p", [0, 0.0, 0.2, 0.5, 0.9, 1, 1.0])
@pytest.mark.parametrize("training", [True, False])
def test_same_as_torch(ours, theirs, p, training):
    assert_same(seeded(ours, p, training), seeded(theirs, p, training), random(*SHAPE))


@BOTH
def test_leaves_the_generator_as_torch_does(ours, theirs):
    """So that what is drawn afterwards is the same too."""
    for p in (0.0, 0.5, 1.0):
        states = []
        for operator in (ours, theirs):
            seeded(operator, p)(random(*SHAPE))
            states.append(torch.get_rng_state())
        assert torch.equal(*states)


@BOTH
def test_gradients_are_proved(ours, theirs):
    assert_proved(seeded(ours), random(2, 3, 2, 2))


@BOTH
def test_memory_layouts(ours, theirs):
    x = random(*SHAPE)
    for view in (x.transpose(1, 3), x[:, ::2], x.contiguous(memory_format=torch.channels_last), x[:1].expand(SHAPE)):
        assert_same(seeded(ours), seeded(theirs), view)


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_dtypes(ours, theirs, dtype):
    assert_same(seeded(ours, 0.3), seeded(theirs, 0.3), random(*SHAPE, dtype=dtype), second=False)


@BOTH
def test_autocast_keeps_the_dtype(ours, theirs):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for dtype in (torch.float32, torch.bfloat16):
            x = torch.ones(SHAPE, dtype=dtype)
            assert ours(x).dtype == theirs(x).dtype == dtype


@pytest.mark.parametrize("shape", [(0, 3, 2, 2), (2, 0, 2, 2), (2, 3, 0, 2)])
@BOTH
def test_nothing_to_drop(ours, theirs, shape):
    assert_same(seeded(ours), seeded(theirs), random(*shape))


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (2, 3, 4), (1, 2, 3, 4, 5)])
def test_dropout_of_any_shape(shape):
    assert_same(seeded(dropout), seeded(F.dropout), random(*shape))


@BOTH
def test_evaluation_returns_the_input_itself(ours, theirs):
    x = torch.ones(SHAPE)
    assert ours(x, training=False) is x
    assert ours(x, 0.0) is x
    integers = torch.ones(SHAPE, dtype=torch.int64)
    assert ours(integers, training=False) is integers


def test_by_hand():
    """What stays is divided by 1 − p; what goes has no gradient."""
    x = torch.ones(10_000, requires_grad=True)
    torch.manual_seed(0)
    y = dropout(x, 0.75)
    assert set(y.tolist()) == {0, 4}
    assert abs(y.mean().item() - 1) < 0.1
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, y)


def test_whole_maps_are_dropped():
    torch.manual_seed(0)
    y = dropout2d(torch.ones(50, 20, 3, 3), 0.5)
    per_map = y.flatten(2)
    assert torch.equal(per_map.amin(2), per_map.amax(2))
    assert set(y.unique().tolist()) == {0, 2}
    assert 400 < (per_map[:, :, 0] == 0).sum() < 600


@BOTH
def test_in_place(ours, theirs):
    x = random(*SHAPE)
    expected = seeded(theirs)(x)
    assert seeded(ours, inplace=True)(x) is x
    torch.testing.assert_close(x, expected)
    w = random(*SHAPE, seed=5)
    how = {"inplace": True}
    assert_same(lambda x: seeded(ours, **how)(x * w) * x, lambda x: seeded(theirs, **how)(x * w) * x, random(*SHAPE))
    evaluated = torch.ones(SHAPE, requires_grad=True)
    assert ours(evaluated, training=False, inplace=True) is evaluated


@BOTH
def test_in_place_refuses_what_torch_refuses(ours, theirs):
    leaf = torch.ones(2, 2, 2, 2, requires_grad=True)
    for target in (leaf, leaf[:1], torch.ones(1).expand(2, 2, 2, 2)):
        assert_rejected_alike(ours, theirs, target, inplace=True)
    assert (leaf == 1).all()


@BOTH
def test_torch_func_transforms(ours, theirs):
    x = random(*SHAPE)

    def gradient(operator):
        return torch.func.grad(lambda x: seeded(operator)(x).pow(3).sum())(x)

    torch.testing.assert_close(gradient(ours), gradient(theirs))
    many = torch.ones(100, 2, 3, 2, 2)
    dropped = torch.func.vmap(ours, randomness="different")(many)
    assert set(dropped.unique().tolist()) == {0, 2}
    assert len({tuple(one.flatten().tolist()) for one in dropped}) > 10
    with pytest.raises(RuntimeError, match="randomness"):
        torch.func.vmap(ours)(many)


def test_transforms_in_evaluation():
    assert_transforms(lambda x: dropout(x, training=False), lambda x: F.dropout(x, training=False), random(3, 4))


@BOTH
@pytest.mark.parametrize(
    ("arguments", "how"),
    [
        ((torch.ones(SHAPE), 1.5), {}),
        ((torch.ones(SHAPE), -0.1), {}),
        ((torch.ones(SHAPE), 1.5), {"training": False}),
        ((torch.ones(SHAPE), "0.5"), {}),
        ((torch.ones(SHAPE), None), {}),
        ((torch.ones(SHAPE, dtype=torch.int64),), {}),
        ((torch.ones(SHAPE) > 0,), {}),
    ],
)
def test_refuses_what_torch_refuses(ours, theirs, arguments, how):
    assert_rejected_alike(ours, theirs, *arguments, **how)


@BOTH
def test_refuses(ours, theirs):
    with pytest.raises(TypeError, match="needs a tensor and a probability, got int"):
        ours(5)
    with pytest.raises(NotImplementedError, match="written for real tensors"):
        ours(torch.ones(SHAPE) * 1j)
    with pytest.raises(ValueError, match="p must be from 0 to 1, got nan"):
        ours(torch.ones(SHAPE), float("nan"))


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 5), (2, 3, 4, 5, 6)])
def test_other_shapes_are_taken_for_maps_with_a_warning(shape):
    results = []
    for operator in (dropout2d, F.dropout2d):
        with pytest.warns(UserWarning, match="dropout2d"):
            results.append(seeded(operator)(random(*shape)))
    torch.testing.assert_close(*results)


def test_maps_need_two_dimensions():
    for operator in (dropout2d, F.dropout2d):
        with (
            pytest.warns(UserWarning, match="dropout2d"),
            pytest.raises(RuntimeError, match=r"dimensions|needs an input"),
        ):
            operator(torch.ones(4))
