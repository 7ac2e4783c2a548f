"""Run a network with a student's functions: each forward with its gradients becomes an autograd operator.

Functions that the student has not written are replaced by ours. Layers with settings that no exercise has, such as a
different stride per axis, stay unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from inspect import signature
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from repronet import layers
from repronet.errors import UserError
from repronet.exercises.catalogue import OPTIONAL, exercises
from repronet.exercises.reference import RIGHT
from repronet.exercises.submission import Submission
from repronet.functional.function import Operator, differentiable
from repronet.functional.windows import size_in

Functions = Mapping[str, Callable[..., Any]]
Settings = tuple[Any, ...]
TOPICS = {layers.Conv2d: "conv2d", layers.MaxPool2d: "max_pool2d", layers.Linear: "linear", layers.ReLU: "relu"}


def compute_with(network: nn.Module, module: ModuleType, submission: Submission) -> tuple[list[str], list[str]]:
    """Make the layers of a network use a student's functions, in place.

    Returns:
        Names of the functions that the network calls: the student's, and those of ours that replace missing ones.
    """
    own = {
        name: _as_ours(name, getattr(module, name), submission)
        for name in submission.names
        if exercises()[name].topic in TOPICS.values() and name not in submission.unwritten
    }
    classes = _classes({**RIGHT, **own})
    topics = set()
    for layer in network.modules():
        kind = type(layer)
        if kind in TOPICS and _settings(layer) is not None:
            layer.__class__ = classes[kind]
            topics.add(TOPICS[kind])
    called = [exercise.name for exercise in exercises().values() if exercise.topic in topics]
    return [name for name in called if name in own], [name for name in called if name not in own]


def _as_ours(name: str, function: Callable[..., Any], submission: Submission) -> Callable[..., Tensor]:
    """Give a student's function our interface: it takes tensors and all arguments, and returns a tensor of their type.

    The wrapped function raises UserError if the answer's shape differs from ours.
    """
    arguments = exercises()[name].arguments
    left_out = [word in OPTIONAL and word not in signature(function).parameters for word in arguments]

    def call(*values: Any) -> Tensor:
        if any(out and value != 1 for out, value in zip(left_out, values, strict=True)):
            return RIGHT[name](*values)
        plain = [value.detach() if isinstance(value, Tensor) else value for value in values]
        given = [value for out, value in zip(left_out, plain, strict=True) if not out]
        if submission.takes_tensors:
            with torch.enable_grad():  # autograd is off here, but a student may use it
                answer = torch.as_tensor(function(*given), dtype=values[0].dtype).detach()
        else:
            found = function(*(value.numpy() if isinstance(value, Tensor) else value for value in given))
            answer = torch.as_tensor(np.array(found, order="C"), dtype=values[0].dtype)
        due = _shape(name, *(value.shape if isinstance(value, Tensor) else value for value in values))
        if answer.shape != due:
            file, shapes = submission.file, f"returned shape {tuple(answer.shape)}, expected {tuple(due)}"
            raise UserError(f"exercises={file}: {name} {shapes}; `repronet check {file}` shows the smallest case")
        return answer

    return call


@cache
def _shape(name: str, *values: Any) -> torch.Size:
    """The shape that our function returns for tensors of these shapes and the other arguments unchanged."""
    given = (torch.empty(value, device="meta") if isinstance(value, torch.Size) else value for value in values)
    return RIGHT[name](*given).shape


def _settings(layer: nn.Module) -> Settings | None:
    """The settings of a layer in the form that the exercises take; None if they cannot express them."""
    if isinstance(layer, nn.Conv2d):
        pairs = layer.stride, layer.padding, layer.dilation
        if isinstance(layer.padding, str) or layer.padding_mode != "zeros" or any(a != b for a, b in pairs):
            return None
        return (*(a for a, _ in pairs), layer.groups)
    if isinstance(layer, nn.MaxPool2d):
        sides = layer.kernel_size, layer.stride, layer.padding
        plain = layer.dilation == 1 and not layer.ceil_mode and not layer.return_indices
        return ((sides[0], sides[0]), *sides[1:]) if plain and all(isinstance(side, int) for side in sides) else None
    return ()


def _classes(f: Functions) -> dict[type[nn.Module], type[nn.Module]]:
    """Subclasses of our layers that compute with the given functions."""
    conv2d, max_pool2d, linear, relu = _conv2d(f), _max_pool2d(f), _linear(f), _relu(f)
    forwards: dict[type[nn.Module], Callable[[Any, Tensor], Tensor]] = {
        layers.Conv2d: lambda self, input: conv2d(input, self.weight, self.bias, _settings(self)),
        layers.MaxPool2d: lambda self, input: max_pool2d(input, _settings(self)),
        layers.Linear: lambda self, input: linear(input, self.weight, self.bias),
        layers.ReLU: lambda self, input: relu(input),
    }
    return {kind: type(kind.__name__, (kind,), {"forward": forward}) for kind, forward in forwards.items()}


def _bias(bias: Tensor | None, weight: Tensor) -> Tensor:
    return weight.new_zeros(len(weight)) if bias is None else bias


def _conv2d(f: Functions) -> Operator[..., Tensor]:
    def forward(input: Tensor, weight: Tensor, bias: Tensor | None, settings: Settings) -> Tensor:
        return f["conv2d_forward"](input, weight, _bias(bias, weight), *settings)

    return differentiable(
        forward,
        input=lambda grad, weight, input_shape, settings: f["conv2d_input_gradient"](
            grad, weight, size_in(input_shape), *settings
        ),
        weight=lambda grad, input, weight_shape, settings: f["conv2d_weight_gradient"](
            grad, input, size_in(weight_shape), *settings
        ),
        bias=lambda grad: f["conv2d_bias_gradient"](grad),
    )


def _max_pool2d(f: Functions) -> Operator[..., Tensor]:
    def forward(input: Tensor, settings: Settings) -> Tensor:
        return f["max_pool2d_forward"](input, *settings)

    gradient = f["max_pool2d_input_gradient"]
    return differentiable(forward, input=lambda grad, input, settings: gradient(grad, input, *settings))


def _linear(f: Functions) -> Operator[..., Tensor]:
    def forward(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return f["linear_forward"](input, weight, _bias(bias, weight))

    return differentiable(
        forward,
        input=lambda grad, weight: f["linear_input_gradient"](grad, weight),
        weight=lambda grad, input: f["linear_weight_gradient"](grad, input),
        bias=lambda grad: f["linear_bias_gradient"](grad),
    )


def _relu(f: Functions) -> Operator[..., Tensor]:
    def forward(input: Tensor) -> Tensor:
        return f["relu_forward"](input)

    return differentiable(forward, input=lambda grad, output: f["relu_input_gradient"](grad, output))
