"""Activation maximisation: the image that gives a class its highest score."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import gaussian_blur


def maximize(
    network: nn.Module,
    labels: Tensor,
    shape: tuple[int, int, int],
    steps: int = 160,
    rate: float = 0.1,
    decay: float = 1e-2,
    blur_every: int = 4,
    seed: int = 0,
    advance: Callable[[int], None] = lambda steps: None,
) -> Tensor:
    """Gradient ascent on class scores from noise, one image per class: (len(labels), C, H, W).

    K. Simonyan et al. 2014, section 2, arg max S_c(I) − λ‖I‖², and the blurring of J. Yosinski et al., "Understanding
    Neural Networks Through Deep Visualization", 2015, section 3; in addition, every step shifts the image by up to a
    sixteenth of its width, so that nothing depends on a pixel's exact place.

    Args:
        network: from :func:`repronet.visualization.layer_outputs.probe`.
        labels: (N,).
        shape: (C, H, W) of a network input.
        rate: step size in units of the inputs, along the gradient normalised to a root mean square of 1.
        decay: the share of the image that is subtracted at each step, λ.
        blur_every: the number of steps between slight blurs of the image; 0 for none.
        advance: called at every step.
    """
    drawn = torch.Generator().manual_seed(seed)
    images = torch.randn(len(labels), *shape, generator=drawn) * 0.1
    reach = max(shape[-1] // 16, 1)
    for step in range(1, steps + 1):
        down, right = torch.randint(-reach, reach + 1, (2,), generator=drawn).tolist()
        moved = images.roll((down, right), (-2, -1)).requires_grad_()
        with torch.enable_grad():
            scores = network(moved).gather(1, labels[:, None])  # (N, classes) → (N, 1)
        gradient = torch.autograd.grad(scores.sum(), moved)[0]
        length = gradient.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)
        images = (moved.detach() + rate * gradient / length).roll((-down, -right), (-2, -1)) * (1 - decay)
        if blur_every and step % blur_every == 0 and step < steps:
            images = gaussian_blur(images, [3, 3], [0.5, 0.5])
        advance(1)
    return images
