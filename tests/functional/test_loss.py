import math

import pytest
import torch
from torch.nn import functional as F

from differential import assert_proved, assert_same, assert_transforms, random
from repronet.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    mse_loss,
    multiclass_hinge,
    rbf_loss,
)

X, Y = 3 * random(5, 4), torch.tensor([0, 3, 1, 1, 2])
W = random(4).abs() + 0.1


def loops(x, y, weight=None, smoothing=0.0, ignore=-100):
    """Cross-entropy as a sum over pictures and classes, in Python's numbers."""
    total = counted = 0.0
    for row, label in zip(x.tolist(), y.tolist(), strict=True):
        if label == ignore:
            continue
        w = [1.0] * len(row) if weight is None else weight.tolist()
        log_sum = math.log(sum(math.exp(v) for v in row))
        target = [smoothing / len(row) + (1 - smoothing) * (c == label) for c in range(len(row))]
        total += sum(w[c] * t * (log_sum - v) for c, (t, v) in enumerate(zip(target, row, strict=True)))
        counted += w[label]
    return total / counted


@pytest.mark.parametrize("weight", [None, W])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("ignore", [-100, 1])
def test_cross_entropy_same_as_the_loops(weight, smoothing, ignore):
    found = cross_entropy(X, Y, weight, ignore_index=ignore, label_smoothing=smoothing)
    assert found.item() == pytest.approx(loops(X, Y, weight, smoothing, ignore), rel=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("how", [{}, {"label_smoothing": 0.2}, {"weight": W}, {"ignore_index": 1}])
def test_cross_entropy_as_torchs(reduction, how):
    how = {**how, "reduction": reduction}
    assert_same(lambda x: cross_entropy(x, Y, **how), lambda x: F.cross_entropy(x, Y, **how), X)
    maps, labels = random(2, 4, 3, 2), torch.randint(4, (2, 3, 2), generator=torch.Generator().manual_seed(0))
    assert_same(lambda x: cross_entropy(x, labels, **how), lambda x: F.cross_entropy(x, labels, **how), maps)
    assert_same(lambda x: cross_entropy(x, Y[0], **how), lambda x: F.cross_entropy(x, Y[0], **how), X[0])


@pytest.mark.parametrize("how", [{}, {"label_smoothing": 0.2}, {"weight": W}, {"reduction": "sum"}])
def test_cross_entropy_with_shares(how):
    shares = random(5, 4).softmax(1)
    assert_same(lambda *t: cross_entropy(*t, **how), lambda *t: F.cross_entropy(*t, **how), X, shares)
    assert_proved(lambda *t: cross_entropy(*t, **how), X, shares)


def test_cross_entropy_is_proved():
    for how in ({}, {"weight": W, "label_smoothing": 0.1}, {"ignore_index": 1, "reduction": "none"}):
        assert_proved(lambda x, how=how: cross_entropy(x, Y, **how), X)


def test_the_gradient_is_softmax_minus_target():
    x = X.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cross_entropy(x, Y, reduction="sum"), x)
    torch.testing.assert_close(gradient, X.softmax(1) - F.one_hot(Y, 4))


def test_large_logits_do_not_overflow():
    x = torch.tensor([[1000.0, 0.0], [-1000.0, 0.0]], requires_grad=True)
    loss = cross_entropy(x, torch.tensor([1, 0]), reduction="none")
    assert loss.tolist() == [1000, 1000]
    loss.sum().backward()
    assert x.grad.tolist() == [[1, -1], [-1, 1]]


def test_a_label_that_is_no_class_is_refused():
    for label in (4, -1):
        with pytest.raises(IndexError, match=rf"labels from 0 to 3, got {label}"):
            cross_entropy(X, torch.full((5,), label))


@pytest.mark.parametrize(
    ("target", "how", "error", "message"),
    [
        (Y[:4], {}, ValueError, "differ in their batches"),
        (Y.int(), {}, RuntimeError, "labels must be int64 or uint8, got torch.int32"),
        (X.long(), {}, RuntimeError, "shares of classes must be floating point"),
        (Y, {"weight": W[:3]}, RuntimeError, r"weight must have shape \(4,\), one a class, got \(3,\)"),
        (Y, {"label_smoothing": 1.5}, RuntimeError, "label_smoothing must lie between 0 and 1, got 1.5"),
        (Y, {"reduction": "median"}, ValueError, "reduction must be 'mean', 'sum' or 'none', got 'median'"),
        ([0], {}, TypeError, "needs tensors, got Tensor and list"),
    ],
)
def test_cross_entropy_refuses(target, how, error, message):
    with pytest.raises(error, match=message):
        cross_entropy(X, target, **how)


def test_rbf_loss_is_equation_9():
    distances, labels, j = torch.tensor([[1.0, 4.0, 9.0], [0.5, 0.25, 2.0]]).double(), torch.tensor([0, 2]), 3.0
    wanted = sum(
        row[label] + math.log(math.exp(-j) + sum(math.exp(-y) for y in row))
        for row, label in zip(distances.tolist(), labels.tolist(), strict=True)
    )
    assert rbf_loss(-distances, labels, rubbish=j).item() == pytest.approx(wanted / 2, rel=1e-12)
    assert_proved(lambda x: rbf_loss(x, labels, rubbish=2.0), -distances)


def test_rbf_loss_does_not_push_what_is_farther_than_the_rubbish_class():
    distances = torch.tensor([[1.0, 500.0]], requires_grad=True)
    rbf_loss(-distances, torch.tensor([0])).backward()
    assert distances.grad[0, 1].abs() < 1e-6


def test_the_rubbish_class_is_never_right():
    with pytest.raises(IndexError, match="labels from 0 to 2, got 3"):
        rbf_loss(random(1, 3), torch.tensor([3]))
    with pytest.raises(RuntimeError, match=r"needs \(N, C\) and \(N,\), got \(3,\) and \(\)"):
        rbf_loss(random(3), torch.tensor(0))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_mse_as_torchs(reduction):
    x, t = random(3, 4), random(3, 4, seed=1)
    assert_same(lambda *a: mse_loss(*a, reduction=reduction), lambda *a: F.mse_loss(*a, reduction=reduction), x, t)
    assert_proved(lambda *a: mse_loss(*a, reduction=reduction), x, t[0])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("how", [{}, {"weight": W}, {"pos_weight": 3 * W}, {"weight": W, "pos_weight": 3 * W}])
def test_binary_cross_entropy_as_torchs(reduction, how):
    how, t = {**how, "reduction": reduction}, random(5, 4).sigmoid()
    ours, theirs = binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits
    assert_same(lambda x, t: ours(x, t, **how), lambda x, t: theirs(x, t, **how), X, t)
    assert_proved(lambda x, t: ours(x, t, **how), X[:2], t[:2])


def test_binary_cross_entropy_does_not_overflow():
    x = torch.tensor([1000.0, -1000.0], requires_grad=True)
    loss = binary_cross_entropy_with_logits(x, torch.tensor([0.0, 1.0]), reduction="none")
    assert loss.tolist() == [1000, 1000]
    loss.sum().backward()
    assert x.grad.tolist() == [1, -1]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("how", [{}, {"p": 2}, {"margin": 0.3}, {"weight": W}])
def test_hinge_as_torchs(reduction, how):
    how = {**how, "reduction": reduction}
    assert_same(lambda x: multiclass_hinge(x, Y, **how), lambda x: F.multi_margin_loss(x, Y, **how), X, second=False)
    assert_proved(lambda x: multiclass_hinge(x, Y, **how), X)


def test_the_hinge_of_the_lecture():
    """Cat 3.2, car 5.1, frog −1.7, and it is a cat: max(0, 5.1 − 3.2 + 1) + max(0, −1.7 − 3.2 + 1) = 2.9."""
    scores = torch.tensor([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])
    found = multiclass_hinge(scores, torch.tensor([0, 1, 2]), reduction="none", mean_over_classes=False)
    torch.testing.assert_close(found, torch.tensor([2.9, 0.0, 12.9]))


@pytest.mark.parametrize(
    ("arguments", "how", "error", "message"),
    [
        ((X, Y), {"p": 3}, ValueError, "needs p=1 or p=2, got 3"),
        ((X, Y[:3]), {}, RuntimeError, "needs scores"),
        ((X, Y + 2), {}, IndexError, "labels from 0 to 3, got 5"),
        ((X, Y), {"weight": W[:2]}, RuntimeError, "weight must have shape"),
    ],
)
def test_hinge_refuses(arguments, how, error, message):
    with pytest.raises(error, match=message):
        multiclass_hinge(*arguments, **how)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dtypes(dtype):
    x, t = X.to(dtype), random(5, 4, dtype=dtype).sigmoid()
    tolerance = 8 * torch.finfo(dtype).eps
    how = {"second": False, "rtol": tolerance, "atol": tolerance}
    assert_same(lambda x: cross_entropy(x, Y), lambda x: F.cross_entropy(x, Y), x, **how)
    assert_same(lambda x: mse_loss(x, t), lambda x: F.mse_loss(x, t), x, **how)
    bce = F.binary_cross_entropy_with_logits
    assert_same(lambda x: binary_cross_entropy_with_logits(x, t), lambda x: bce(x, t), x, **how)


def test_torch_func_transforms():
    assert_transforms(lambda x: cross_entropy(x, Y), lambda x: F.cross_entropy(x, Y), X)
    assert_transforms(mse_loss, F.mse_loss, X, random(5, 4, seed=9))
