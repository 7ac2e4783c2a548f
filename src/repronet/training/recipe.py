"""What a recipe does to weights and gradients besides loss, optimizer and schedule."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


@dataclass(frozen=True)
class Averaging:
    """The mean of the weights along the way, which is validated, tested and kept in place of the latest ones.

    Args:
        decay: w̄ ← decay · w̄ + (1 − decay) · w after every step, an exponential mean; None for the plain mean of all
            steps (Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992).
        start: share of the run's steps before the first that counts.
    """

    decay: float | None
    start: float = 0.0

    def copy_of(self, network: nn.Module) -> AveragedModel:
        """The mean of no weights yet; running statistics of batch normalisation are averaged alike."""
        average = None if self.decay is None else get_ema_multi_avg_fn(self.decay)
        return AveragedModel(network, multi_avg_fn=average, use_buffers=True)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Args:
        decay: which parameters the optimizer decays; see :func:`repronet.training.optimizers.parameter_groups`.
        label_smoothing: share of the target that all classes have alike in training; for cross-entropy alone.
        clip_norm: the length that the whole gradient is cut to; None leaves it.
        filter_rms: the root mean square that no filter's weights exceed after a step; None leaves them.
        parts: pieces that a batch goes through the network in, one after another, before one step; saves memory.
            Batch normalisation sees each piece by itself.
        averaging: of the weights; None for none.
        channels_last: keep images and weights with the channels innermost.
        seed: of dropout, with the number of the step.
    """

    decay: str = "all"
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    filter_rms: float | None = None
    parts: int = 1
    averaging: Averaging | None = None
    channels_last: bool = False
    seed: int = 0


@torch.no_grad()
def cap_filters(weights: list[Tensor], rms: float) -> None:
    """Scale every filter down to a root mean square of ``rms`` that exceeds it.

    Zeiler and Fergus 2014, section 3.1, with 0.1: it keeps a few filters of the first layer from dominating.

    Args:
        weights: of convolutions, (out, in, k, k) each; changed in place.
    """
    for weight in weights:
        found = weight.flatten(1).square().mean(dim=1).sqrt()  # (out, in, k, k) → (out,)
        weight.mul_((rms / found.clamp_min(1e-30)).clamp_max(1)[:, None, None, None])


def filters_of(network: nn.Module) -> list[Tensor]:
    """The weights of the network's convolutions that are parameters themselves."""
    weights = [module.weight for module in network.modules() if isinstance(module, nn.Conv2d)]
    return [weight for weight in weights if isinstance(weight, nn.Parameter)]
