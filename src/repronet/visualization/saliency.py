"""Saliency: where in an image the evidence for a class lies."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from repronet.errors import UserError
from repronet.visualization.layer_outputs import has_places, watched

BATCH = 32


def input_gradient(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """∂ score of the class / ∂ pixel, by the backward rule of the network's rectifiers; the shape of ``images``.

    K. Simonyan, A. Vedaldi, A. Zisserman, "Deep Inside Convolutional Networks", ICLR 2014 workshop, section 3, with the
    gradient; Springenberg et al. 2015 with the guided rule.

    Args:
        network: from :func:`repronet.visualization.rectifiers.probe_with`.
        images: network inputs (N, C, H, W).
        labels: (N,).
    """
    found = []
    for part, its_labels in zip(images.split(BATCH), labels.split(BATCH), strict=True):
        pixels = part.clone().requires_grad_()
        with torch.enable_grad():
            scores = network(pixels).gather(1, its_labels[:, None])  # (N, classes) → (N, 1)
        found.append(torch.autograd.grad(scores.sum(), pixels)[0])
    return torch.cat(found)


def gradcam(network: nn.Module, images: Tensor, labels: Tensor, layer: str | None = None) -> Tensor:
    """Which places of the last maps are evidence for a class: (N, h, w), values from 0 to 1.

    L^c = max(Σ_k α_k A^k, 0) with α_k = the mean over places of ∂ score_c / ∂ A^k (R. R. Selvaraju et al., "Grad-CAM",
    ICCV 2017, equations 1 and 2), divided by its largest value.

    Args:
        network: from :func:`repronet.visualization.layer_outputs.probe`.
        images: network inputs (N, C, H, W).
        labels: (N,), the classes to explain.
        layer: the layer whose maps are used; None for the last maps before global pooling or flattening.

    Raises:
        UserError: if the layer or the network has no spatial maps.
    """
    found = []
    for part, its_labels in zip(images.split(BATCH), labels.split(BATCH), strict=True):
        with torch.enable_grad(), watched(network) as outputs:
            scores = network(part.clone().requires_grad_()).gather(1, its_labels[:, None])  # → (N, 1)
        maps = outputs.last_maps if layer is None else outputs.of.get(layer)
        if maps is None or not has_places(maps):
            raise UserError("the layers of this network have no spatial maps; gradcam has nothing to show")
        gradient = torch.autograd.grad(scores.sum(), maps)[0]  # (N, K, h, w)
        alpha = gradient.mean(dim=(2, 3), keepdim=True)  # → (N, K, 1, 1)
        evidence = (alpha * maps.detach()).sum(dim=1).clamp(min=0)  # → (N, h, w)
        found.append(evidence / evidence.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12))
    return torch.cat(found)


@torch.no_grad()
def occlusion(
    network: nn.Module,
    image: Tensor,
    label: int,
    side: int,
    stride: int,
    advance: Callable[[int], None] = lambda views: None,
) -> tuple[Tensor, Tensor]:
    """The class's probability and the likeliest class, with a grey square at each place: two of (rows, columns).

    M. D. Zeiler, R. Fergus 2014, section 4.2 and figure 7 (d, e). The square has the image's mean colour. Its centre
    moves from edge to edge, so near the edges a part of it lies outside the image.

    Args:
        network: in evaluation mode.
        image: one network input (C, H, W).
        side, stride: the square's side and its step, in pixels.
        advance: called with the number of places just covered.
    """
    height, width = image.shape[-2:]
    grey = image.mean(dim=(1, 2), keepdim=True)  # (C, 1, 1)
    middles = [(y, x) for y in range(0, height, stride) for x in range(0, width, stride)]
    views = []
    for y, x in middles:
        view = image.clone()
        top, left = max(y - side // 2, 0), max(x - side // 2, 0)
        view[:, top : y - side // 2 + side, left : x - side // 2 + side] = grey
        views.append(view)
    likely, likeliest = [], []
    for part in torch.stack(views).split(BATCH):
        chances = F.softmax(network(part), dim=1)  # (n, classes)
        likely.append(chances[:, label])
        likeliest.append(chances.argmax(dim=1))
        advance(len(part))
    shape = (len(range(0, height, stride)), len(range(0, width, stride)))
    return torch.cat(likely).reshape(shape), torch.cat(likeliest).reshape(shape)
