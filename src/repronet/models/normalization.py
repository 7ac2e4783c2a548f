"""Which normalisation layer follows a convolution, for the networks that leave the choice."""

from __future__ import annotations

from types import ModuleType

from torch import nn

from repronet.errors import UserError

NORMALIZATIONS = ("none", "batch")


def normalization_2d(name: str, channels: int, layers: ModuleType) -> nn.Module:
    """The layer called ``name`` for (N, ``channels``, H, W); ``none`` is the identity, which holds no parameters."""
    if name == "none":
        return nn.Identity()
    if name == "batch":
        return layers.BatchNorm2d(channels)
    raise UserError(f"normalization={name}: no such layer (choices: {', '.join(NORMALIZATIONS)})")
