"""The image that a class answers to most strongly."""

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
    """Gradient ascent on the scores of classes, one image each, from noise: (len(labels), C, H, W).

    K. Simonyan et al. 2014, section 2, arg max S_c(I) − λ‖I‖², and the blurring of J. Yosinski et al., "Understanding
    Neural Networks Through Deep Visualization", 2015, section 3; besides, the image is moved by up to a sixteenth at
    every step, so that nothing depends on a pixel's exact place.

    Args:
        network: from :func:`repronet.visualization.layer_outputs.probe`.
        labels: (N,).
        shape: (C, H, W) of a network input.
        rate: of each step, in units of the inputs, along the gradient of length 1 (root mean square).
        decay: the share of the image that is taken off at each step, λ.
        blur_every: so many steps the image is blurred a little; 0 for never.
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
