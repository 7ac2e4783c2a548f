"""Activation layers."""

import torch
from torch import Tensor

from repronet.functional.activation import relu, tanh


class ReLU(torch.nn.ReLU):
    """torch.nn.ReLU computed by `repronet.functional.relu`: any shape."""

    def forward(self, input: Tensor) -> Tensor:
        return relu(input, self.inplace)


class Tanh(torch.nn.Tanh):
    """torch.nn.Tanh computed by `repronet.functional.tanh`: any shape."""

    def forward(self, input: Tensor) -> Tensor:
        return tanh(input)
