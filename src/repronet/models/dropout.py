"""Set a dropout probability other than a network's own."""

from __future__ import annotations

import torch
from torch import nn

from repronet.errors import UserError
from repronet.functional import dropout


class _DropBefore:
    """A forward pre-hook that applies dropout to a layer's input in training; state-dict keys stay as they are."""

    def __init__(self, p: float):
        self.p = p

    def __call__(self, layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return dropout(inputs[0], self.p, layer.training)


def set_dropout(network: nn.Module, p: float) -> None:
    """Set all dropout layers to probability ``p``; if there are none, add dropout before the last linear layer.

    Raises:
        UserError: if the network has neither dropout nor linear layers.
    """
    places = [module for module in network.modules() if isinstance(module, nn.Dropout)]
    for place in places:
        place.p = p
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not places and not linear:
        raise UserError(f"dropout={p}: {network.architecture} has no dropout layer to set; keep dropout=null")
    if not places:
        linear[-1].register_forward_pre_hook(_DropBefore(p))
