"""Networks computed by a student's functions."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace

import in_numpy
import in_torch
import pytest
import torch
from torch import nn

from repronet import layers, models
from repronet.errors import UserError
from repronet.exercises.layers import compute_with
from repronet.exercises.submission import read


@pytest.mark.parametrize("style", [in_numpy, in_torch])
def test_a_network_gives_the_same_logits_and_gradients(style):
    torch.manual_seed(0)
    ours = models.create("lenet5", num_classes=10, in_channels=1)
    theirs = copy.deepcopy(ours)
    own, missing = compute_with(theirs, style, read(Path(style.__file__), ""))
    assert {"conv2d_forward", "conv2d_input_gradient", "linear_forward"} <= {*own, *missing}
    assert own
    assert missing
    assert not set(own) & set(missing)
    images = torch.randn(2, 1, 32, 32)
    for network in (ours, theirs):
        network(images).square().sum().backward()
    torch.testing.assert_close(theirs(images), ours(images), rtol=1e-4, atol=1e-5)
    for one, other in zip(theirs.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-4)


def test_the_students_functions_are_what_computes():
    module = SimpleNamespace(relu_forward=lambda x: -x, relu_input_gradient=lambda grad_output, output: 7 * grad_output)
    student = SimpleNamespace(names=(*vars(module),), takes_tensors=True, unwritten=())
    network = nn.Sequential(layers.ReLU())
    assert compute_with(network, module, student) == ([*student.names], [])  # type: ignore[arg-type]
    x = torch.ones(2, requires_grad=True)
    copy.deepcopy(network)(x).sum().backward()
    assert network(x).tolist() == [-1, -1]
    assert x.grad is not None
    assert x.grad.tolist() == [7, 7]


@pytest.mark.parametrize("takes_tensors", [True, False])
def test_a_gradient_of_another_shape_is_said_in_one_line(takes_tensors):
    module = SimpleNamespace(linear_bias_gradient=lambda grad_output: grad_output)  # not summed over the batch
    student = SimpleNamespace(names=(*vars(module),), takes_tensors=takes_tensors, unwritten=(), file=Path("mine.py"))
    network = nn.Sequential(layers.Linear(3, 2))
    compute_with(network, module, student)  # type: ignore[arg-type]
    message = r"^exercises=mine.py: linear_bias_gradient returned shape \(5, 2\), expected \(2,\); `repronet check mine"
    with pytest.raises(UserError, match=message):
        network(torch.ones(5, 3)).sum().backward()


def test_settings_that_the_function_does_not_take_are_computed_by_ours():
    """in_numpy's convolution knows no groups; a stride by axis is no exercise at all."""
    torch.manual_seed(0)
    convolutions = [layers.Conv2d(2, 2, 3, groups=2), layers.Conv2d(2, 2, 3, stride=(1, 2)), layers.Conv2d(2, 2, 3)]
    x = torch.randn(1, 2, 6, 6)
    expected = [convolution(x) for convolution in convolutions]
    compute_with(nn.ModuleList(convolutions), in_numpy, read(Path(in_numpy.__file__), ""))
    assert [type(convolution) is layers.Conv2d for convolution in convolutions] == [False, True, False]
    for convolution, y in zip(convolutions, expected, strict=True):
        torch.testing.assert_close(convolution(x), y)
