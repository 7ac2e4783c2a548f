"""The losses of each element by itself, Euclidean and sigmoid cross-entropy; and what all losses refuse."""

import math

import pytest
import torch
from torch.nn import functional as F

import oracles
from differential import assert_proved, assert_rejected_alike, assert_same, assert_transforms, random
from repronet.functional import (
    binary_cross_entropy_with_logits,
    mse_loss,
    multiclass_hinge,
    rbf_loss,
)

SHAPES = [(), (5,), (2, 3), (2, 3, 4), (0, 3), (3, 0)]
REDUCTIONS = ["none", "mean", "sum"]
bce, torch_bce, torch_hinge = (
    binary_cross_entropy_with_logits,
    F.binary_cross_entropy_with_logits,
    F.multi_margin_loss,
)
ELEMENTWISE = pytest.mark.parametrize(("ours", "theirs"), [(mse_loss, F.mse_loss), (bce, torch_bce)])
every_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)


def targets(*shape, dtype=torch.float64):
    """Numbers from 0 to 1."""
    return random(*shape, seed=5).sigmoid().to(dtype)


@ELEMENTWISE
@pytest.mark.parametrize("shape", SHAPES)
@every_reduction
def test_elementwise_same_as_torch(ours, theirs, shape, reduction):
    assert_same(
        lambda *t: ours(*t, reduction=reduction),
        lambda *t: theirs(*t, reduction=reduction),
        random(*shape) * 3,
        targets(*shape),
        second=0 not in shape,
    )


@pytest.mark.parametrize("weight", [(), (1,), (3,), (2, 1), (2, 3)])
@pytest.mark.parametrize("pos_weight", [None, (), (3,), (2, 3)])
@every_reduction
def test_bce_weights_same_as_torch(weight, pos_weight, reduction):
    w, v = targets(*weight), None if pos_weight is None else 3 * targets(*pos_weight)
    how = {"weight": w, "pos_weight": v, "reduction": reduction}
    assert_same(lambda *t: bce(*t, **how), lambda *t: torch_bce(*t, **how), random(2, 3), targets(2, 3))


@every_reduction
def test_mse_weight_same_as_torch(reduction):
    """It has a gradient too."""
    assert_same(
        lambda x, t, w: mse_loss(x, t, weight=w, reduction=reduction),
        lambda x, t, w: F.mse_loss(x, t, weight=w, reduction=reduction),
        random(2, 3),
        targets(2, 3),
        targets(2, 3) + 1,
    )


@pytest.mark.parametrize(("x", "t"), [((2, 3), (3,)), ((3,), (2, 3)), ((2, 1), (1, 3)), ((2, 3), ())])
@every_reduction
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_mse_broadcasts_with_a_warning(x, t, reduction):
    with pytest.warns(UserWarning, match="mse_loss broadcasts"):
        assert_same(
            lambda *tensors: mse_loss(*tensors, reduction=reduction),
            lambda *tensors: F.mse_loss(*tensors, reduction=reduction),
            random(*x),
            random(*t, seed=4),
        )


@every_reduction
def test_elementwise_gradients_are_proved(reduction):
    x, t, w = random(2, 3), targets(2, 3), targets(2, 3) + 1
    assert_proved(lambda *tensors: mse_loss(*tensors, reduction=reduction), x, t)
    assert_proved(lambda x, t, w: mse_loss(x, t, weight=w, reduction=reduction), x, t, w)
    assert_proved(lambda *tensors: bce(*tensors, reduction=reduction), x, t)
    assert_proved(lambda *tensors: bce(*tensors, w, pos_weight=3 * w, reduction=reduction), x, t)


def test_elementwise_same_as_the_loops():
    x, t = random(2, 3), targets(2, 3)
    torch.testing.assert_close(bce(x, t, reduction="none"), oracles.binary_cross_entropy_with_logits(x, t))
    expected = oracles.binary_cross_entropy_with_logits(x, t, 2.5)
    torch.testing.assert_close(bce(x, t, reduction="none", pos_weight=torch.tensor(2.5)), expected)
    squares = [(a - b) ** 2 for a, b in zip(x.flatten().tolist(), t.flatten().tolist(), strict=True)]
    assert mse_loss(x, t).item() == pytest.approx(sum(squares) / 6)


def test_mse_by_hand():
    x = torch.tensor([1.0, 4.0], requires_grad=True)
    loss = mse_loss(x, torch.tensor([3.0, 3.0]))
    loss.backward()
    assert loss.item() == 2.5
    assert x.grad is not None
    assert x.grad.tolist() == [-2, 1]
    assert mse_loss(x, torch.tensor([3.0, 3.0]), weight=torch.tensor([3.0, 1.0])).item() == 13 / 4


def test_bce_by_hand():
    x = torch.tensor([0.0, math.log(3.0)], requires_grad=True)  # σ = 1/2, 3/4
    loss = bce(x, torch.tensor([1.0, 0.0]), reduction="sum")
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2) + math.log(4))
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.tensor([-0.5, 0.75]))  # σ − target


def test_bce_of_large_scores_does_not_overflow():
    x = torch.tensor([1e4, -1e4, 1e4, -1e4], requires_grad=True)
    loss = bce(x, torch.tensor([0.0, 1.0, 1.0, 0.0]), reduction="none")
    loss.sum().backward()
    assert loss.tolist() == [1e4, 1e4, 0, 0]
    assert x.grad is not None
    assert x.grad.tolist() == [1, -1, 0, 0]


@ELEMENTWISE
def test_elementwise_memory_layouts(ours, theirs):
    x, t = random(2, 3, 4, 5), targets(2, 3, 4, 5)
    for view in (x.contiguous(memory_format=torch.channels_last), random(5, 4, 3, 2).permute(3, 2, 1, 0)):
        assert_same(ours, theirs, view, t)
    assert_same(ours, theirs, random(3, 8)[:, ::2], targets(1, 4).expand(3, 4))


@ELEMENTWISE
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@every_reduction
def test_elementwise_dtypes(ours, theirs, dtype, reduction):
    tolerance = 3 * torch.finfo(dtype).eps
    assert_same(
        lambda *t: ours(*t, reduction=reduction),
        lambda *t: theirs(*t, reduction=reduction),
        random(50, dtype=dtype),
        targets(50, dtype=dtype),
        second=False,
        rtol=tolerance,
        atol=tolerance,
    )


def test_the_halves_are_summed_in_float32():
    ones = torch.ones(5000, dtype=torch.bfloat16)
    assert mse_loss(ones, 0 * ones).item() == 1  # in bfloat16 the sum stops at 256


@ELEMENTWISE
@pytest.mark.parametrize("dtypes", [(torch.float32, torch.float64), (torch.float64, torch.float32)])
def test_elementwise_mixed_dtypes(ours, theirs, dtypes):
    x, t = random(6, dtype=dtypes[0]), targets(6, dtype=dtypes[1])
    assert_same(ours, theirs, x, t, second=False, rtol=1e-5, atol=1e-5)


def test_mse_of_integers_and_floats():
    x, t = torch.arange(3), torch.tensor([0.5, 1.0, 4.0])
    torch.testing.assert_close(mse_loss(x, t), F.mse_loss(x, t))


@ELEMENTWISE
def test_elementwise_transforms(ours, theirs):
    assert_transforms(ours, theirs, random(2, 3), targets(2, 3))


def test_weighted_transforms():
    w, v = targets(3), 3 * targets(2, 3)
    assert_transforms(
        lambda x, t: bce(x, t, w, pos_weight=v),
        lambda x, t: torch_bce(x, t, w, pos_weight=v),
        random(2, 3),
        targets(2, 3),
    )
    assert_transforms(
        lambda x, t, w: mse_loss(x, t, weight=w),
        lambda x, t, w: F.mse_loss(x, t, weight=w),
        random(2, 3),
        targets(2, 3),
        targets(2, 3),
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "target"),
    [(mse_loss, F.mse_loss, targets(2, 3)), (bce, torch_bce, targets(2, 3)), (multiclass_hinge, torch_hinge, None)],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_autocast(ours, theirs, target, dtype):
    x = random(2, 3, dtype=dtype)
    t = torch.tensor([0, 2]) if target is None else target.to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, expected = ours(x, t), theirs(x, t)
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found, expected)


X, T, LABELS = random(2, 3), targets(2, 3), torch.tensor([0, 2])


@pytest.mark.parametrize(
    ("arguments", "how"),
    [
        ((X, random(2)), {}),
        ((X, random(2, 4)), {}),
        ((X.long(), T.long()), {}),
        ((X.bool(), T.bool()), {}),
        ((X.to(torch.complex64), T), {}),
        ((X, T), {"reduction": "average"}),
        ((X, T), {"reduction": None}),
        ((X, T), {"weight": random(3)}),
        ((X, T), {"weight": T, "reduction": "average"}),
        ((X,), {}),
    ],
)
@pytest.mark.filterwarnings("ignore:Using a target size", "ignore:mse_loss broadcasts")
def test_mse_refuses_what_torch_refuses(arguments, how):
    assert_rejected_alike(mse_loss, F.mse_loss, *arguments, **how)


@pytest.mark.parametrize(
    ("arguments", "how"),
    [
        ((X, T[0]), {}),
        ((X.long(), T.long()), {}),
        ((X.to(torch.complex64), T), {}),
        ((X, T, random(2)), {}),
        ((X, T, random(4, 2, 3)), {}),
        ((X, T, [1.0]), {}),
        ((X, T, random(3).requires_grad_()), {}),
        ((X, T), {"pos_weight": random(2)}),
        ((X, T), {"pos_weight": random(4, 1, 1)}),
        ((X, T), {"pos_weight": random(3).requires_grad_()}),
        ((X, T), {"reduction": "average"}),
        ((X,), {}),
    ],
)
def test_bce_refuses_what_torch_refuses(arguments, how):
    assert_rejected_alike(bce, torch_bce, *arguments, **how)


@pytest.mark.parametrize("loss", [mse_loss, bce, multiclass_hinge, rbf_loss])
@pytest.mark.parametrize("arguments", [([1.0], T), (X, None), (X, 1.0)])
def test_refuses_what_is_no_tensor(loss, arguments):
    """torch trips over a missing attribute in some of these."""
    with pytest.raises(TypeError, match="needs a tensor"):
        loss(*arguments)
