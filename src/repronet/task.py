"""The LightningModule: one network that tells images apart, and how it is trained and judged."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NoReturn

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from repronet.data.batches import Batch
from repronet.errors import UserError
from repronet.finite import explain
from repronet.losses import Loss
from repronet.metrics import RunningTraining, SplitEvaluation
from repronet.optimizers import OptimizerBuilder, parameter_groups
from repronet.schedules import Plateau, ScheduleBuilder


class ImageClassifier(pl.LightningModule):
    """Trains ``network`` on chunks of batches and judges it by loss, error and accuracy.

    The optimization loop is written out in :meth:`training_step`, the five lines of the textbook, because a chunk holds
    several batches: Lightning's bookkeeping is then paid once a chunk, not once a step.

    Args:
        network: images (N, C, H, W) → logits (N, classes), or in training a NamedTuple with these and the logits of
            auxiliary heads, and then an `aux_weight` for the losses of these.
        num_classes: classes that are told apart.
        loss: (logits, labels) → mean loss.
        optimizer: builds the optimizer for the network's parameters.
        schedule: builds the learning-rate schedule, which is stepped after every optimizer step.
        decay: which parameters the optimizer decays; see :func:`repronet.optimizers.parameter_groups`.
        label_smoothing: share of the target that all classes have alike in training; for cross-entropy alone.
        clip_norm: the length that the whole gradient is cut to; None leaves it.
        config: plain values that describe the run; stored in every checkpoint, so that a checkpoint stands alone.
    """

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        loss: Loss,
        optimizer: OptimizerBuilder,
        schedule: ScheduleBuilder,
        config: dict[str, Any] | None = None,
        *,
        decay: str = "all",
        label_smoothing: float = 0.0,
        clip_norm: float | None = None,
    ):
        super().__init__()
        self.automatic_optimization = False
        self.network = network
        self.loss = loss
        self.training_loss: Loss = loss
        if label_smoothing:
            self.training_loss = partial(loss, label_smoothing=label_smoothing)  # type: ignore[call-arg]
        self.decay = decay
        self.clip_norm = clip_norm
        self.build_optimizer = optimizer
        self.build_schedule = schedule
        self.running = RunningTraining()
        self.last_lr = 0.0  # the rate of the latest step, before the schedule moved it
        self.evaluation = SplitEvaluation(num_classes)
        self.save_hyperparameters({"config": config or {}}, logger=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)

    @property
    def parameter_count(self) -> int:
        """Trainable parameters of the network."""
        return sum(p.numel() for p in self.network.parameters() if p.requires_grad)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in one pass over the training split."""
        return self.trainer.datamodule.train_dataloader().steps  # type: ignore[attr-defined]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = self.build_optimizer(parameter_groups(self.network, self.decay))
        schedule = self.build_schedule(optimizer, self.steps_per_epoch, self.trainer.max_epochs or 1)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def training_step(self, chunk: list[Batch], chunk_index: int) -> None:
        optimizer: Optimizer = self.optimizers()  # type: ignore[assignment]
        schedule: LRScheduler = self.lr_schedulers()  # type: ignore[assignment]
        losses, answers = [], []
        for images, labels in chunk:
            logits, loss = self._training_loss(self.network(images), labels)
            if loss.device.type == "cpu" and not math.isfinite(loss.item()):
                self._stop(images, self.trainer.global_step + 1)  # before the weights take it up
            optimizer.zero_grad()
            self.manual_backward(loss)
            if self.clip_norm is not None:
                nn.utils.clip_grad_norm_(self.network.parameters(), self.clip_norm)
            self.last_lr = optimizer.param_groups[0]["lr"]
            optimizer.step()
            schedule.step()
            losses.append(loss.detach())
            answers.append(logits.detach())
        self.running.update(losses, answers, [labels for _, labels in chunk])
        if not math.isfinite(self.running.loss):  # elsewhere once a chunk, since asking stops the device
            bad = [math.isfinite(loss) for loss in torch.stack(losses).tolist()].index(False)
            self._stop(chunk[bad][0], self.trainer.global_step - len(losses) + bad + 1)

    def _stop(self, images: Tensor, step: int) -> NoReturn:
        """Raises: UserError, that names the step and the layer which went bad."""
        reason = explain(self.network, images)
        raise UserError(f"the loss is no longer finite at step {step}: {reason}; lower optimizer.lr")

    def _training_loss(self, answer: Tensor | tuple[Tensor, ...], labels: Tensor) -> tuple[Tensor, Tensor]:
        """The logits, and their loss plus that of every auxiliary head times the network's `aux_weight`."""
        if isinstance(answer, Tensor):
            return answer, self.training_loss(answer, labels)
        heads = answer._asdict()  # type: ignore[attr-defined]  # a NamedTuple: heads are known by name, not by place
        logits = heads.pop("logits")
        weight = float(self.network.aux_weight)  # type: ignore[arg-type]
        auxiliary = sum(self.training_loss(head, labels) for head in heads.values())
        return logits, self.training_loss(logits, labels) + weight * auxiliary

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        self._evaluate(batch)

    def test_step(self, batch: Batch, batch_index: int) -> None:
        self._evaluate(batch)

    def _evaluate(self, batch: Batch) -> None:
        images, labels = batch
        logits = self.network(images)
        self.evaluation.update(self.loss(logits, labels), logits, labels)

    def on_train_epoch_start(self) -> None:
        self.running.reset()

    def on_validation_epoch_start(self) -> None:
        self.evaluation.reset()

    def on_test_epoch_start(self) -> None:
        self.evaluation.reset()

    def on_validation_epoch_end(self) -> None:
        # For callbacks that watch a metric, as early stopping does; curves and records come from the counts.
        figures = self.evaluation.compute()
        self.log_dict({f"val_{name}": value for name, value in figures.items()}, logger=False)
        schedule = self.lr_schedulers()
        if isinstance(schedule, Plateau) and self.trainer.state.fn == "fit":
            schedule.report(figures["error"])

    def on_test_epoch_end(self) -> None:
        self.log_dict({f"test_{name}": value for name, value in self.evaluation.compute().items()}, logger=False)
