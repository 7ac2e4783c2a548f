"""The fully connected layer."""

import torch
from torch import Tensor

from repronet.functional.linear import linear
from repronet.layers.has_algorithm import HasAlgorithm


class Linear(HasAlgorithm, torch.nn.Linear):
    """torch.nn.Linear computed by `repronet.functional.linear`: (…, I) → (…, O)."""

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias, self.algorithm)
