"""The weights of the first layer, which are images themselves."""

from __future__ import annotations

import math

from torch import Tensor, nn

from repronet.visualization.layer_outputs import WEIGHTED


def first_filters(network: nn.Module) -> Tensor | None:
    """The kernels of the first layer as images (filters, 1 or 3, k, k); None where they are no images.

    Those over other than one or three planes come plane by plane, and those of a linear layer over square images as
    the images that they are.
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
