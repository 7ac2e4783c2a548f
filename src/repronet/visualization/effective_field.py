"""The effective receptive field: how strongly each pixel influences a unit, within its receptive field."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from repronet.visualization.layer_outputs import watched

BATCH = 16


def effective_field(network: nn.Module, images: Tensor, layers: list[str]) -> dict[str, Tensor]:
    """By layer, (H, W): abs(∂ Σ middle units / ∂ pixel), summed over images and channels, scaled to a maximum of 1.

    W. Luo, Y. Li, R. Urtasun, R. Zemel, "Understanding the Effective Receptive Field in Deep Convolutional Neural
    Networks", NIPS 2016, section 3.

    Args:
        network: from :func:`repronet.visualization.layer_outputs.probe`.
        images: network inputs (N, C, H, W).
        layers: paths of the layers; each gets a field of its own.
    """
    sums = {layer: torch.zeros(images.shape[-2:]) for layer in layers}
    for part in images.split(BATCH):
        pixels = part.clone().requires_grad_()
        with torch.enable_grad(), watched(network, layers) as outputs:
            network(pixels)
        for layer in layers:
            output = outputs.of[layer]
            middle = output[:, :, output.shape[2] // 2, output.shape[3] // 2] if output.ndim == 4 else output
            gradient = torch.autograd.grad(middle.sum(), pixels, retain_graph=layer != layers[-1])[0]
            sums[layer] += gradient.abs().sum(dim=(0, 1))  # (N, C, H, W) → (H, W)
    return {layer: total / total.max().clamp_min(1e-30) for layer, total in sums.items()}
