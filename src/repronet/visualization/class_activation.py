"""Class activation maps: how much each place of an image adds to the score of each class."""

from __future__ import annotations

from contextlib import ExitStack

import torch
from torch import Tensor, nn

from repronet.visualization.embedding import head_name

AGREEMENT = 1e-4  # the largest difference of scores and the means of their maps, relative to the largest score


class WithEvidence(nn.Module):
    """A network that ends in global average pooling and a linear layer, with its class activation maps.

    M[n, c, y, x] = Σ_k w[c, k]·A[n, k, y, x] + b[c], whose mean over the places is the score of class c (B. Zhou,
    A. Khosla, A. Lapedriza, A. Oliva, A. Torralba, "Learning Deep Features for Discriminative Localization", CVPR 2016,
    equations 1 and 2, with a mean instead of their sum, and with the bias).

    Shapes: images (N, C, H, W) → logits (N, classes) and maps (N, classes, h, w).

    Args:
        network: in evaluation mode.
        pool: the path of the layer that takes the mean.
        head: the path of the linear layer; None if the maps A are already the maps of the classes.
    """

    def __init__(self, network: nn.Module, pool: str, head: str | None):
        super().__init__()
        self.network, self.pool, self.head = network, pool, head

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        seen: list[Tensor] = []
        pool = self.network.get_submodule(self.pool)
        with pool.register_forward_pre_hook(lambda module, given: seen.append(given[0])):
            logits = self.network(images)
        maps = seen[0]  # (N, K, h, w)
        if self.head is None:
            return logits, maps
        head = self.network.get_submodule(self.head)
        return logits, head(maps.movedim(1, -1)).movedim(-1, 1)  # (N, h, w, K) → (N, h, w, classes), channels first


@torch.no_grad()
def with_evidence(network: nn.Module, images: Tensor) -> WithEvidence | None:
    """The network with its class activation maps, or None if it ends in another way, as LeNet-5 and VGG do.

    Whether the maps give the scores is tested on ``images``.

    Args:
        network: in evaluation mode.
        images: network inputs (N, C, H, W).
    """
    called: list[str] = []
    pools = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.AdaptiveAvgPool2d)]
    with ExitStack() as hooks:
        for name, pool in pools:
            hooks.enter_context(pool.register_forward_hook(lambda *_, name=name: called.append(name)))
        logits = network(images)
    if not called:
        return None
    head = head_name(network)
    found = WithEvidence(network, called[-1], head if isinstance(network.get_submodule(head), nn.Linear) else None)
    try:
        maps = found(images)[1]
    except RuntimeError:  # the head does not take these maps
        return None
    if maps.shape[:2] != logits.shape:
        return None
    apart = (maps.mean(dim=(2, 3)) - logits).abs().max()
    return found if apart <= AGREEMENT * logits.abs().max().clamp_min(1.0) else None
