"""Dropout layers."""

import torch
from torch import Tensor

from repronet.functional.dropout import dropout, dropout2d
from repronet.layers.layer import Layer


class Dropout(Layer, torch.nn.Dropout):
    """torch.nn.Dropout computed by `repronet.functional.dropout`: any shape."""

    def forward(self, input: Tensor) -> Tensor:
        return dropout(input, self.p, self.training, self.inplace)


class Dropout2d(Layer, torch.nn.Dropout2d):
    """torch.nn.Dropout2d computed by `repronet.functional.dropout2d`: (N, C, H, W), drops whole maps."""

    def forward(self, input: Tensor) -> Tensor:
        return dropout2d(input, self.p, self.training, self.inplace)
