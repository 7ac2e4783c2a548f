"""The networks, one file per paper family, found by name.

A name is looked up in :data:`MODELS` and its file is imported only then, so that listing the names needs no torch.
"""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import TYPE_CHECKING

from repronet.errors import UserError

if TYPE_CHECKING:
    from torch import nn

MODELS: dict[str, str] = {
    # name: the file of its family, which holds a function of the same name
    "lenet5": "lenet",
    "lenet5_1998": "lenet",
}


def create(
    name: str,
    *,
    num_classes: int = 10,
    in_channels: int = 1,
    layers: str = "custom",
    normalization: str = "none",
) -> nn.Module:
    """Build the network ``name`` with fresh weights drawn from torch's global generator.

    Args:
        name: a key of :data:`MODELS`.
        num_classes: outputs of the last layer.
        in_channels: planes of the input image, 1 for grey and 3 for colour.
        layers: ``"custom"`` for this project's layers, ``"torch"`` for :mod:`torch.nn`'s. The same seed gives the same
            weights under both.
        normalization: which normalisation follows the convolutions, for the networks that leave the choice.

    Raises:
        UserError: for an unknown name or layer family, a count below one, or a normalization without a place.
    """
    if name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, n=1)
        hint = f"; nearest: {near[0]}" if near else ""
        raise UserError(f"model={name}: no such network{hint} (choices: {', '.join(MODELS)})")
    if num_classes < 1 or in_channels < 1:
        raise UserError(f"model={name}: num_classes={num_classes}, in_channels={in_channels}: both must be at least 1")
    build = getattr(import_module(f"repronet.models.{MODELS[name]}"), name)
    return build(
        num_classes=num_classes, in_channels=in_channels, layers=layer_family(layers), normalization=normalization
    )


def layer_family(name: str):
    """The module whose classes a network is built from: :mod:`repronet.layers` or :mod:`torch.nn`."""
    families = {"custom": "repronet.layers", "torch": "torch.nn"}
    if name not in families:
        raise UserError(f"layers={name}: no such layer family (choices: {', '.join(families)})")
    return import_module(families[name])
