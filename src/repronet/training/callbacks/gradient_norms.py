"""Whether learning reaches every layer: the length of its gradient, and of its update beside its weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from repronet.training.callbacks.board import Board
from repronet.training.module import ImageClassifier
from repronet.visualization.layer_outputs import WEIGHTED, spread

POINTS = 300  # at most, of each curve over a run: a long one is drawn as finely as a short one
SELDOM = 5  # times as seldom as the training curve, or more so
LAYERS = 100  # at most; of more, some from the first to the last

LAYOUT = {
    "gradients and updates": {
        "length of the gradient, by layer": ["Multiline", ["gradient/.*"]],
        "update by weight, by layer (about 1e-3 is healthy)": ["Multiline", ["update/.*"]],
    },
    "dead units": {"share of maps that no image excites, by layer": ["Multiline", ["dead/.*"]]},
}


class GradientNorms(pl.Callback):
    """Draws ‖∂L/∂W‖ and ‖ΔW‖ / ‖W‖ of every layer, where ΔW is what one step changes.

    A gradient that falls by orders of magnitude from the last layer to the first vanishes; one that rises explodes. An
    update of about a thousandth of the weights is usual where training goes well.

    Args:
        every: steps between points, at least.
    """

    def __init__(self, writer: Board, every: int):
        self.writer = writer
        self.every = every
        self._step = 0
        self._point: dict[str, float] = {}  # what is drawn at that step

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, ImageClassifier)
        self.writer.add_layout(LAYOUT)
        steps = pl_module.steps_per_epoch * (trainer.max_epochs or 1)
        self.every = max(self.every, -(-steps // POINTS))
        weights = layer_weights(pl_module.network)
        self._weights = {name: weights[name] for name in spread(list(weights), LAYERS)}
        pl_module.around_update = self._around_update
        if pl_module.steps_done and self._step == trainer.global_step:
            self._draw()  # as of the training curve, from a checkpoint's own step on everything is drawn again

    @contextmanager
    def _around_update(self, number: int) -> Iterator[None]:
        if number % self.every:
            yield
            return
        trained = {name: weight for name, weight in self._weights.items() if weight.grad is not None}
        weights = [weight.detach() for weight in trained.values()]
        before = [weight.clone() for weight in weights]
        gradients = _lengths([weight.grad for weight in trained.values()])  # type: ignore[misc]
        yield
        shares = _lengths([after - weight for after, weight in zip(weights, before, strict=True)]) / _lengths(
            before
        ).clamp_min(1e-30)
        self._step = number
        for kind, values in (("gradient", gradients), ("update", shares)):
            names = (f"{kind}/{name}" for name in trained)
            self._point |= dict(zip(names, values.tolist(), strict=True))
        self._draw()

    def _draw(self) -> None:
        for tag, value in self._point.items():
            self.writer.add_scalar(tag, value, self._step)

    def state_dict(self) -> dict[str, Any]:
        return {"step": self._step, "point": self._point}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._step, self._point = state_dict["step"], state_dict["point"]


def layer_weights(network: nn.Module) -> dict[str, nn.Parameter]:
    """The trained weights of each layer, without biases; of a parametrized layer, what its weights are made of."""
    found = {}
    for name, layer in network.named_modules():
        if isinstance(layer, WEIGHTED):
            weights = [weight for key, weight in layer.named_parameters() if "bias" not in key and weight.ndim > 1]
            if weights:
                found[name] = weights[0]
    return found


def _lengths(tensors: list[Tensor]) -> Tensor:
    return torch.stack([tensor.norm() for tensor in tensors]).float() if tensors else torch.zeros(0)
