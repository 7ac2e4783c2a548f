"""The multiclass hinge, and the loss of LeNet-5."""

import math

import pytest
import torch
from torch.nn import functional as F

import oracles
from differential import assert_proved, assert_rejected_alike, assert_same, random
from repronet.functional import cross_entropy, multiclass_hinge, rbf_loss

INF = float("inf")
X, LABELS = random(2, 3), torch.tensor([0, 2])
torch_hinge = F.multi_margin_loss
every_reduction = pytest.mark.parametrize("reduction", ["none", "mean", "sum"])


def targets(*shape):
    """Numbers from 0 to 1."""
    return random(*shape, seed=5).sigmoid()


@pytest.mark.parametrize(
    ("x", "labels"), [((5, 4), (5,)), ((4,), ()), ((4,), (1,)), ((), ()), ((1, 4), ()), ((3, 1), (3,))]
)
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("margin", [1.0, 0.3, -3.14, 0])
@every_reduction
def test_hinge_same_as_torch(x, labels, p, margin, reduction):
    """torch's has no second derivative."""
    x = random(*x)
    target = torch.arange(math.prod(labels)).reshape(labels) % (x.shape[-1] if x.dim() else 1)
    for weight in (None, targets(x.shape[-1] if x.dim() else 1)):
        assert_same(
            lambda x, w=weight: multiclass_hinge(x, target, p, margin, w, reduction=reduction),
            lambda x, w=weight: torch_hinge(x, target, p, margin, w, reduction=reduction),
            x,
            second=False,
        )


@pytest.mark.parametrize("p", [1, 2])
@every_reduction
def test_hinge_gradients_are_proved(p, reduction):
    labels, w = torch.tensor([0, 3, 3, 1, 2]), targets(4)
    assert_proved(lambda x: multiclass_hinge(x, labels, p, weight=w, reduction=reduction), random(5, 4))


@pytest.mark.parametrize("p", [1, 2])
def test_hinge_same_as_the_loops(p):
    x, labels = random(5, 4), torch.tensor([0, 3, 3, 1, 2])
    expected = oracles.multiclass_hinge(x, labels, p, 0.7)
    found = multiclass_hinge(x, labels, p, 0.7, reduction="none", mean_over_classes=False)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(multiclass_hinge(x, labels, p, 0.7, reduction="none"), expected / 4)


def test_hinge_of_the_lectures():
    """CS231n: a cat, a car and a frog lose 2.9, 0 and 12.9, in the mean 5.27."""
    scores = torch.tensor([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]], requires_grad=True)
    labels = torch.tensor([0, 1, 2])
    losses = multiclass_hinge(scores, labels, reduction="none", mean_over_classes=False)
    torch.testing.assert_close(losses, torch.tensor([2.9, 0.0, 12.9]))
    losses.sum().backward()
    assert scores.grad is not None
    assert scores.grad.tolist() == [[-1, 1, 0], [0, 0, 0], [1, 1, -2]]  # 1 for each class that violates the margin


def test_hinge_has_no_gradient_on_the_margin():
    """As torch's: a class that keeps the margin exactly is not pushed."""
    x = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    assert_same(
        lambda x: multiclass_hinge(x, torch.tensor([0])), lambda x: torch_hinge(x, torch.tensor([0])), x, second=False
    )


def test_hinge_of_nothing():
    """torch's mean is whatever the memory holds."""
    x, labels = torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)
    assert multiclass_hinge(x, labels).item() == 0
    assert multiclass_hinge(x, labels, reduction="sum").item() == 0
    assert multiclass_hinge(x, labels, reduction="none").shape == (0,)


def test_hinge_transforms():
    """torch's goes through none."""
    x, labels, w = random(5, 2, 3), torch.tensor([[0, 2]]).expand(5, 2), targets(3)

    def gradient(x, labels):
        return torch.func.grad(lambda x: multiclass_hinge(x, labels, 2, weight=w))(x)

    one_by_one = torch.stack([gradient(*pair) for pair in zip(x, labels, strict=True)])
    torch.testing.assert_close(torch.func.vmap(gradient)(x, labels), one_by_one)
    found = torch.func.vmap(gradient, (None, 0))(x[0], labels)
    torch.testing.assert_close(found, one_by_one[:1].expand(5, 2, 3))


def test_hinge_memory_layouts():
    labels = torch.tensor([0, 2, 1])
    for view in (random(4, 3).t(), random(3, 8)[:, ::2], random(1, 4).expand(3, 4)):
        assert_same(lambda x: multiclass_hinge(x, labels), lambda x: torch_hinge(x, labels), view, second=False)


@pytest.mark.parametrize("rubbish", [10.0, 0.5, 3])
def test_rbf_same_as_the_loops(rubbish):
    distances, labels = random(5, 4).square(), torch.tensor([0, 3, 3, 1, 2])
    expected = oracles.rbf_map(distances, labels, rubbish)
    torch.testing.assert_close(rbf_loss(-distances, labels, rubbish, reduction="none"), expected)
    torch.testing.assert_close(rbf_loss(-distances, labels, rubbish), expected.mean())
    torch.testing.assert_close(rbf_loss(-distances[0], labels[0], rubbish), expected[0])


@every_reduction
def test_rbf_gradients_are_proved(reduction):
    labels = torch.tensor([0, 3, 3, 1, 2])
    assert_proved(lambda x: rbf_loss(x, labels, 2.0, reduction=reduction), -random(5, 4).square())


def test_rbf_gradient_by_hand():
    """[i = D] − e^−y / (e^−j + Σ e^−y) with distances log 1, log 2 and j = log 4: powers 1, 1/2 and 1/4 of 7/4."""
    y = torch.tensor([[0.0, math.log(2)]], requires_grad=True)
    rbf_loss(-y, torch.tensor([1]), rubbish=math.log(4)).backward()
    assert y.grad is not None
    torch.testing.assert_close(y.grad, torch.tensor([[-4 / 7, 1 - 2 / 7]]))


def test_rbf_does_not_push_what_is_farther_than_the_rubbish_class():
    distances = torch.tensor([[1.0, 500.0]], requires_grad=True)
    rbf_loss(-distances, torch.tensor([0]), rubbish=10.0).backward()
    assert distances.grad is not None
    assert distances.grad[0, 1].abs() < 1e-6


def test_rbf_without_a_rubbish_class_is_the_cross_entropy():
    x, labels = random(5, 4), torch.tensor([0, 3, 3, 1, 2])
    assert_same(lambda x: rbf_loss(x, labels, INF), lambda x: cross_entropy(x, labels), x)


def test_the_rubbish_class_is_never_right():
    with pytest.raises(IndexError, match="rbf_loss needs labels from 0 to 3, got 4"):
        rbf_loss(random(2, 4), torch.tensor([0, 4]))


@pytest.mark.parametrize(
    ("arguments", "how"),
    [
        ((X, torch.tensor([0, 3])), {}),
        ((X, torch.tensor([0, -1])), {}),
        ((X, torch.tensor([0, 1, 2])), {}),
        ((X, LABELS[:, None]), {}),
        ((X, LABELS[0]), {}),
        ((X[0], LABELS), {}),
        ((X[:1], LABELS[:1, None]), {}),
        ((random(2, 3, 4), LABELS), {}),
        ((random(2, 0), LABELS), {}),
        ((random(0), LABELS[0]), {}),
        ((X, LABELS.int()), {}),
        ((X, LABELS.to(torch.uint8)), {}),
        ((X.half(), LABELS), {}),
        ((X.long(), LABELS), {}),
        ((X.to(torch.complex64), LABELS), {}),
        ((X, LABELS, 3), {}),
        ((X, LABELS, "1"), {}),
        ((X, LABELS, 1, "1"), {}),
        ((X, LABELS, 1, None), {}),
        ((X, LABELS), {"weight": random(2)}),
        ((X, LABELS), {"weight": random(1, 3)}),
        ((X, LABELS), {"weight": random(3).float()}),
        ((X, LABELS), {"weight": random(3).requires_grad_()}),
        ((X, LABELS), {"reduction": "average"}),
        (([1.0, 2.0], LABELS), {}),
        ((X, None), {}),
    ],
)
def test_hinge_refuses_what_torch_refuses(arguments, how):
    assert_rejected_alike(multiclass_hinge, torch_hinge, *arguments, **how)


def test_the_halves_have_a_hinge_under_autocast_alone():
    with pytest.raises(NotImplementedError, match="needs float32 or float64"):
        multiclass_hinge(X.bfloat16(), LABELS)
