"""Another share of dropout than a network's own."""

from __future__ import annotations

import torch
from torch import nn

from repronet.errors import UserError
from repronet.functional import dropout


class _DropBefore:
    """A hook that drops numbers before they enter a layer, in training; state-dict keys stay as they are."""

    def __init__(self, p: float):
        self.p = p

    def __call__(self, layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return dropout(inputs[0], self.p, layer.training)


def set_dropout(network: nn.Module, p: float) -> None:
    """Let every dropout layer drop with probability ``p``; where there is none, drop before the last linear layer.

    Raises:
        UserError: when the network has neither.
    """
    places = [module for module in network.modules() if isinstance(module, nn.Dropout)]
    for place in places:
        place.p = p
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not places and not linear:
        raise UserError(f"dropout={p}: {network.architecture} has no dropout layer to set; keep dropout=null")
    if not places:
        linear[-1].register_forward_pre_hook(_DropBefore(p))
