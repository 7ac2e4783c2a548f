"""The norms of each layer's gradient and relative update, which show whether every layer learns."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.tensorboard.writer import SummaryWriter

from repronet.training.callbacks.tensorboard import draw, experiment
from repronet.training.module import network_of
from repronet.visualization.layer_outputs import WEIGHTED, spread

POINTS = 300  # at most, per curve: a long run gets no more points than a short one
LAYERS = 100  # at most; if there are more, evenly spaced ones from the first to the last


class GradientNorms(pl.Callback):
    """Draws ‖∂L/∂W‖ and ‖ΔW‖ / ‖W‖ of every layer, where ΔW is the change in one step.

    Gradients that shrink by orders of magnitude from the last layer to the first vanish; if they grow, they explode. An
    update of about a thousandth of the weights is usual when training goes well.

    Args:
        every: minimum number of steps between points.
    """

    def __init__(self, every: int):
        self.every = every
        self._weights: dict[str, nn.Parameter] = {}
        self._gradients: dict[str, Tensor] = {}  # of the step that is being drawn
        self._before: list[Tensor] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.every = max(self.every, int(-(-trainer.estimated_stepping_batches // POINTS)))
        weights = layer_weights(network_of(pl_module))
        self._weights = {name: weights[name] for name in spread(list(weights), LAYERS)}

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer) -> None:
        if (trainer.global_step + 1) % self.every or experiment(trainer) is None:
            return
        trained = {name: weight for name, weight in self._weights.items() if weight.grad is not None}
        self._gradients = dict(zip(trained, _norms([weight.grad for weight in trained.values()]), strict=True))  # type: ignore[misc]
        self._before = [weight.detach().clone() for weight in trained.values()]

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs, batch, batch_idx) -> None:
        if not self._before:
            return
        before, self._before = self._before, []
        after = [self._weights[name].detach() for name in self._gradients]
        changes = _norms([new - old for new, old in zip(after, before, strict=True)])
        shares = dict(zip(self._gradients, changes / _norms(before).clamp_min(1e-30), strict=True))
        draw(trainer, lambda writer: self._draw(writer, shares, trainer.global_step - 1))

    def _draw(self, writer: SummaryWriter, shares: dict[str, Tensor], step: int) -> None:
        for kind, values in (("watch_gradient", self._gradients), ("watch_update", shares)):
            for name, value in values.items():
                writer.add_scalar(f"{kind}/{name}", value.item(), step)


def layer_weights(network: nn.Module) -> dict[str, nn.Parameter]:
    """The weights of each layer, without biases; for a parametrized layer, its underlying parameter."""
    found = {}
    for name, layer in network.named_modules():
        if isinstance(layer, WEIGHTED):
            weights = [weight for key, weight in layer.named_parameters() if "bias" not in key and weight.ndim > 1]
            if weights:
                found[name] = weights[0]
    return found


def _norms(tensors: list[Tensor]) -> Tensor:
    return torch.stack([tensor.norm() for tensor in tensors]).float() if tensors else torch.zeros(0)
