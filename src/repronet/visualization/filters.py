"""The weights of the first layer, which can be shown as images."""

from __future__ import annotations

import math

from torch import Tensor, nn

from repronet.visualization.layer_outputs import WEIGHTED


def first_filters(network: nn.Module) -> Tensor | None:
    """The kernels of the first layer as images (filters, 1 or 3, k, k); None if they have no image form.

    Kernels with neither one nor three input channels are split into single channels; the weights of a linear layer over
    square images are reshaped into images.
    """
    first = next((layer for layer in network.modules() if isinstance(layer, WEIGHTED)), None)
    if isinstance(first, nn.Conv2d):
        kernels = first.weight.detach()  # (O, C, k, k)
        return kernels if kernels.shape[1] in (1, 3) else kernels.flatten(0, 1).unsqueeze(1)
    if not isinstance(first, nn.Linear):
        return None
    for channels in (1, 3):
        side = math.isqrt(first.in_features // channels)
        if channels * side * side == first.in_features:
            return first.weight.detach().reshape(-1, channels, side, side)
    return None
