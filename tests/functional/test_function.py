"""The declaration of an operator: what its gradients receive, and what is kept for them."""

import pytest
import torch
from torch import Tensor

from repronet.functional.function import differentiable


def forward(input: Tensor, weight: Tensor | None, factor: float | Tensor, name: str) -> Tensor:
    return input * factor if weight is None else input * weight * factor


def kept(operator, *args) -> list[Tensor]:
    saved: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: (saved.append(tensor), tensor)[1], lambda tensor: tensor
    ):
        operator(*args)
    return saved


def test_a_gradient_receives_what_it_names_and_nothing_else_is_kept():
    received = []

    def gradient(grad, name, factor, weight_shape, output, input_dtype):
        received.append((grad, name, factor, weight_shape, output, input_dtype))
        return grad

    operator = differentiable(forward, input=gradient)
    x, w = torch.ones(2, 3, requires_grad=True), torch.full((3,), 2.0)
    y = operator(x, w, 5.0, "a")
    y.sum().backward()
    grad, *rest, output, dtype = received[0]
    assert torch.equal(grad, torch.ones(2, 3))
    assert rest == ["a", 5.0, w.shape]
    assert torch.equal(output, y)
    assert dtype == torch.float32
    assert [tensor.shape for tensor in kept(operator, x, w, 5.0, "a")] == [y.shape]


@pytest.mark.parametrize("factor", [3.0, torch.tensor(3.0)])
def test_what_may_be_a_tensor_or_a_number_is_kept_as_what_it_is(factor):
    operator = differentiable(forward, input=lambda grad, factor: grad * factor)
    x = torch.ones(2, requires_grad=True)
    operator(x, None, factor, "").sum().backward()
    assert torch.equal(x.grad, torch.full((2,), 3.0))
    assert len(kept(operator, x, None, factor, "")) == isinstance(factor, Tensor)


def test_only_needed_gradients_are_computed():
    def refuse(grad):
        raise AssertionError

    operator = differentiable(forward, input=lambda grad, factor: grad * factor, weight=refuse)
    x = torch.ones(2, requires_grad=True)
    operator(x, torch.ones(2), 2.0, "").sum().backward()
    assert torch.equal(x.grad, torch.full((2,), 2.0))


def test_one_function_for_all_gradients_learns_what_is_needed():
    told = []

    def gradients(grad, input, weight, needs):
        told.append(needs)
        return grad * weight, grad * input

    operator = differentiable(forward, gradients)
    x, w = torch.full((2,), 3.0, requires_grad=True), torch.full((2,), 4.0)
    operator(x, w, 1.0, "").sum().backward()
    assert torch.equal(x.grad, w)
    assert told == [(True, False, False, False)]


def test_an_output_that_nothing_depends_on_has_no_gradient():
    def double(input: Tensor) -> tuple[Tensor, Tensor]:
        return input * 2, input * 3

    def gradient(grad_first, grad_second):
        assert grad_first is None
        return grad_second * 3

    operator = differentiable(double, outputs=("first", "second"), input=gradient)
    x = torch.ones(2, requires_grad=True)
    operator(x)[1].sum().backward()
    assert torch.equal(x.grad, torch.full((2,), 3.0))


def test_refuses_names_that_the_forward_does_not_know():
    with pytest.raises(TypeError, match="forward takes input, weight, factor, name, got gradients of bias"):
        differentiable(forward, bias=lambda grad: grad)
    with pytest.raises(TypeError, match="a gradient asks for bias_shape, but the forward knows only input, weight"):
        differentiable(forward, input=lambda grad, bias_shape: grad)
    with pytest.raises(TypeError, match="forward takes no keywords, got name"):
        differentiable(forward, input=lambda grad: grad)(torch.ones(2), None, 1.0, name="")
