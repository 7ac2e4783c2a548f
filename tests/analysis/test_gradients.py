"""The checker itself: right gradients pass, and each kind of error is seen by the column that should see it."""

import torch
from torch import nn

from repronet.analysis import gradients
from repronet.analysis.gradients import Case, Errors, check, check_network, relative_error, worst

X = {"x": torch.tensor([0.5, -1.5, 2.0], dtype=torch.float64)}


def cube(x):
    return x * x * x


class WrongGradient(torch.autograd.Function):
    """x³ with a gradient that is off by one part in a thousand."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 3.003 * x * x * grad


class WrongSecond(torch.autograd.Function):
    """x³ with the right gradient, which pretends to be linear in x."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 3 * x.detach() * x * grad


def errors_of(ours, naive=cube, vendor=cube) -> Errors:
    (errors,) = check(Case("test", "", ours, naive, vendor, X)).values()
    return errors


def test_a_right_gradient_passes():
    errors = errors_of(cube)
    assert errors.passed
    assert 0 < errors.numeric < 1e-8


def test_a_wrong_gradient_is_seen_by_all_three():
    errors = errors_of(WrongGradient.apply)
    assert not errors.passed
    for found in (errors.autograd, errors.numeric, errors.vendor):
        assert 0.9e-3 < found < 1.1e-3


def test_a_wrong_second_derivative_is_seen_though_the_first_is_right():
    errors = errors_of(WrongSecond.apply)
    assert errors.autograd < 1e-15
    assert errors.numeric < 1e-8
    assert errors.second > 0.1
    assert not errors.passed


def test_a_wrong_forward_with_a_right_gradient_is_seen():
    assert errors_of(lambda x: cube(x) + 1).autograd > 0.1


def test_a_nan_is_wrong():
    assert not errors_of(lambda x: cube(x) * torch.nan).passed


def test_without_a_vendor():
    errors = errors_of(cube, vendor=None)
    assert errors.vendor is None
    assert errors.passed


def test_the_worst_of_several():
    found = worst([Errors(1e-12, 1e-9, None, 0.0), Errors(1e-15, float("nan"), None, 1e-3)])
    assert (found.autograd, found.vendor, found.second) == (1e-12, None, 1e-3)
    assert found.numeric != found.numeric


def test_relative_error():
    assert relative_error(torch.tensor([1.0, 11.0]), torch.tensor([1.0, 10.0])) == 0.1
    assert relative_error(torch.tensor([0.5]), torch.tensor([0.0])) == 0.5
    assert relative_error(torch.ones(2), torch.ones(3)) != 0


def test_networks_are_compared_parameter_by_parameter():
    torch.manual_seed(0)
    network, twin = nn.Linear(3, 2).double(), nn.Linear(3, 2).double()
    twin.load_state_dict(network.state_dict())
    images = torch.randn(4, 3, dtype=torch.float64)
    assert check_network(network, twin, images) == {"logits": 0.0, "weight": 0.0, "bias": 0.0}
    twin.register_full_backward_pre_hook(lambda module, grads: (1.5 * grads[0],))
    errors = check_network(network, twin, images)
    assert errors["logits"] == 0
    assert errors["weight"] > 0.1


def test_limits_are_far_below_any_mistake():
    assert max(gradients.LIMITS.values()) <= 1e-6
