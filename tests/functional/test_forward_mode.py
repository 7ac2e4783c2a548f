"""Derivatives along a direction, which torch.func.jvp, jacfwd and hessian are made of."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.func import grad, jvp

from repronet import functional, layers
from repronet.analysis.gradient_cases import all_cases

# torch.func.jvp loads what torch has compiled in a way that it warns of.
pytestmark = [pytest.mark.field, pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:FutureWarning")]

CASES = all_cases("own", seed=0)
by_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.layer}, {case.label}")


@by_case
def test_the_derivative_along_a_direction_is_that_of_central_differences(case):
    inputs = [tensor.clone().requires_grad_() for tensor in case.inputs.values()]
    backward: dict[str, Any] = {"check_backward_ad": False, "check_batched_grad": False, "check_undefined_grad": False}
    assert gradcheck(case.ours, inputs, check_forward_ad=True, fast_mode=True, **backward)
    # And so is the gradient's.
    along: dict[str, Any] = {"check_fwd_over_rev": True, "check_rev_over_rev": False, "check_undefined_grad": False}
    assert gradgradcheck(case.ours, inputs, fast_mode=True, check_batched_grad=False, **along)


@by_case
def test_both_modes_give_the_same_second_derivatives_in_whatever_order(case):
    first, *rest = case.inputs.values()
    direction = torch.rand_like(first)

    def cubed(step: Tensor) -> Tensor:
        return case.ours(first + step * direction, *rest).pow(3).sum()

    at, one = torch.zeros((), dtype=first.dtype), torch.ones((), dtype=first.dtype)

    def forward(function):
        return lambda step: jvp(function, (step,), (one,))[1]

    expected = grad(grad(cubed))(at)
    for outer, inner in ((forward, grad), (grad, forward), (forward, forward)):
        torch.testing.assert_close(outer(inner(cubed))(at), expected)


def test_a_direction_of_some_arguments_leaves_the_others_where_they_are():
    x, w, t = torch.randn(2, 3, 5, 5), torch.randn(4, 3, 3, 3), torch.randn(2, 3, 5, 5)
    along = jvp(lambda x: functional.conv2d(x, w, algorithm="im2col"), (x,), (t,))[1]
    torch.testing.assert_close(along, torch.nn.functional.conv2d(t, w), atol=1e-5, rtol=1e-5)


def test_a_direction_of_what_has_no_gradient_is_refused():
    x, labels, w = torch.randn(4, 3), torch.tensor([0, 1, 2, 0]), torch.ones(3)
    with pytest.raises(RuntimeError, match="no gradient for weight"):
        jvp(lambda w: functional.cross_entropy(x, labels, w), (w,), (w,))
    with pytest.raises(RuntimeError, match="running_mean is a constant"):
        jvp(lambda mean: functional.batch_norm(x, mean, torch.ones(3)), (w,), (w,))


def test_writing_in_place_moves_the_tangent_along():
    x, t = torch.randn(5), torch.randn(5)
    for layer in (layers.ReLU(inplace=True, algorithm="own"), layers.ELU(inplace=True), layers.SiLU(inplace=True)):
        with torch.no_grad(), forward_ad.dual_level():
            dual = forward_ad.make_dual(x.clone(), t.clone())
            layer(dual)
            found = forward_ad.unpack_dual(dual).tangent
        layer.inplace = False
        torch.testing.assert_close(found, jvp(layer, (x,), (t,))[1])


def test_a_network_goes_forward_as_on_torch():
    def network(of) -> torch.nn.Sequential:
        convolution = of.Conv2d(3, 4, 3, padding=1), of.BatchNorm2d(4), of.ReLU(), of.MaxPool2d(2)
        return torch.nn.Sequential(*convolution, torch.nn.Flatten(), of.Linear(64, 5))

    ours, theirs = network(layers).eval(), network(torch.nn).eval()
    theirs.load_state_dict(ours.state_dict())
    x, t = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
    found, expected = (jvp(net, (x,), (t,)) for net in (ours, theirs))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
