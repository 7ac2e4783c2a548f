"""The LightningModule: one network that tells images apart, and how it is trained and evaluated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from repronet import models
from repronet.data.batches import Batch
from repronet.errors import UserError
from repronet.training.callbacks.finetuning import FineTuning
from repronet.training.distillation import LearningWithoutForgetting
from repronet.training.finetune import StagePlan, stage_plan
from repronet.training.losses import Loss, logits_of, loss_function, loss_of_heads, training_loss
from repronet.training.metrics import TOP5_SHOWN, LossAndError, SplitEvaluation
from repronet.training.optimizers import OptimizerBuilder, optimizer_builder, parameter_groups, rate_of
from repronet.training.schedules import ScheduleBuilder, Watching, schedule_builder

Values = Mapping[str, Any]
"""A row of a table with its values: ``{"name": "sgd", "lr": 0.1}``. A name alone takes the defaults."""


class ImageClassifier(pl.LightningModule):
    """A network with its loss, optimizer and schedule, for any Trainer and any loader of (images, labels).

    It logs ``train/loss`` and ``train/error`` as means since the last point, every ``log_every_n_steps`` steps, and
    ``val/loss``, ``val/error``, ``val/accuracy``, with more than five classes also ``val/error_top5``; the same under
    ``test/``. From 20 classes on there is ``train/error_top5`` too. At the end of an epoch callbacks find the means
    over the whole epoch under ``train/``.

    Args:
        network: images (N, C, H, W) → logits (N, classes); a name of :data:`repronet.models.MODELS`, the arguments of
            :func:`repronet.models.create`, or any module. In training it may return a NamedTuple with ``logits`` and
            those of auxiliary heads, whose losses count ``network.aux_weight``.
        num_classes: classes that are told apart. Ignored for a network that came with its own number.
        loss: a name of :data:`repronet.training.losses.LOSSES`, or (logits, labels) → mean loss.
        optimizer: a row of :data:`repronet.training.optimizers.OPTIMIZERS`, or a function of parameter groups. Its
            ``decay`` says which parameters are decayed, "all" or "weights".
        schedule: a row of :data:`repronet.training.schedules.SHARES` or "plateau", stepped after every optimizer step;
            or a function of the optimizer and of ``length``, which gives steps an epoch and steps in all when called.
        label_smoothing: share of the target that all classes have alike in training; for cross-entropy alone.
        finetune: a row of :data:`repronet.training.finetune.PLANS`: which stages are trained when; None trains all.
        distillation: what keeps the answers for an old task, whose loss is added once more than the head is trained.
        channels_last: keep images and weights with the channels innermost.

    Raises:
        UserError: for names and values that the tables do not have.
    """

    def __init__(
        self,
        network: str | Values | nn.Module = "lenet5",
        num_classes: int = 10,
        *,
        loss: str | Loss = "cross_entropy",
        optimizer: str | Values | OptimizerBuilder = "sgd",
        schedule: str | Values | ScheduleBuilder = "constant",
        label_smoothing: float = 0.0,
        finetune: str | Values | None = None,
        distillation: LearningWithoutForgetting | None = None,
        channels_last: bool = False,
    ):
        super().__init__()
        self.network = _built(network, num_classes)
        blueprint = getattr(self.network, "blueprint", None)
        num_classes = (blueprint or {}).get("num_classes") or num_classes
        given = {"loss": loss, "optimizer": optimizer, "schedule": schedule, "finetune": finetune}
        self.save_hyperparameters(
            {
                "network": blueprint,
                "num_classes": num_classes,
                **{key: _plain(value) for key, value in given.items() if not callable(value)},
                "label_smoothing": label_smoothing,
                "channels_last": channels_last,
            }
        )
        if channels_last:
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.channels_last = channels_last
        self.loss = loss_function(loss)
        self.training_loss = training_loss(self.loss, label_smoothing)
        self.build_optimizer, self.decay = optimizer_builder(optimizer)
        self.lr = rate_of(self.build_optimizer)  # what Lightning's lr_find sets
        self.build_schedule = schedule_builder(schedule)
        self.stage_plan: StagePlan | None = None if finetune is None else stage_plan(self.network, finetune)
        self.distillation = distillation
        self.train_metrics = LossAndError(top5=num_classes >= TOP5_SHOWN)
        self.evaluation = SplitEvaluation(num_classes)
        self._since = self.train_metrics.sums()  # the sums at the latest point of the training curves

    def forward(self, images: Tensor) -> Tensor:
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return self.network(images)

    @property
    def parameter_count(self) -> int:
        """Parameters of the network, frozen ones too."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def trained_parameter_count(self) -> int:
        """Those that are trained sooner or later."""
        return self.stage_plan.trained_size if self.stage_plan else self.parameter_count

    def configure_callbacks(self) -> list[pl.Callback]:
        return [FineTuning(self.stage_plan)] if self.stage_plan else []

    def configure_optimizers(self) -> OptimizerLRScheduler:
        if self.stage_plan:  # an earlier fit may have left stages frozen
            self.network.requires_grad_(True)
        parts = self.stage_plan.groups() if self.stage_plan else [(self.network, 1.0)]
        if self.distillation:
            parts = [*parts, (self.distillation.old_head, 1.0)]
        optimizer = self.build_optimizer(
            [
                {**group, "share": share}
                for part, share in parts
                for group in parameter_groups(part.parameters(), self.decay)
            ]
        )
        for group in optimizer.param_groups:
            group["lr"] = self.lr * group.pop("share")
        schedule = self.build_schedule(optimizer, self._length)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _length(self) -> tuple[int, int]:
        """Optimizer steps of an epoch and of the run; 2³¹ where nobody knows."""
        total = self.trainer.estimated_stepping_batches
        steps = self.trainer.num_training_batches / self.trainer.accumulate_grad_batches
        return math.ceil(min(steps, 2**31)), int(min(total, 2**31))

    @torch.compiler.disable  # the network in it is compiled, when the module is; counting and logging is not
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # type: ignore[override]
        images, labels = batch
        output = self(images)
        loss = loss_of_heads(self.network, output, labels, self.training_loss)
        if self.distillation and not (self.stage_plan and self.stage_plan.only_the_head):
            loss = loss + self.distillation.loss(images)
        logits = logits_of(output).detach()
        self.train_metrics.update(loss.detach(), logits, labels)
        schedule = self.lr_schedulers()
        if isinstance(schedule, Watching):
            schedule.observe(logits, labels, self._ends_step(batch_idx))
        if self._point_is_due(batch_idx):
            self._draw_point(self.trainer.global_step)
        return loss

    def _ends_step(self, batch_idx: int) -> bool:
        """Whether the optimizer steps after this batch; also after an epoch's last, however many it has gathered."""
        return self.trainer.is_last_batch or (batch_idx + 1) % self.trainer.accumulate_grad_batches == 0

    def _point_is_due(self, batch_idx: int) -> bool:
        """Whether this step has a point of the training curves: every ``log_every_n_steps``, and at an epoch's end."""
        if self.trainer.is_last_batch:
            return True
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        return every > 0 and self._ends_step(batch_idx) and (self.trainer.global_step + 1) % every == 0

    def _draw_point(self, step: int) -> None:
        """Give the loggers the means since the latest point, and callbacks these or, after an epoch, its means.

        The loggers get them at once: what `self.log` collects is written after checkpoints are, so a run that is killed
        between the two and resumed would lose the point. It also costs time in every later step of the epoch; within an
        epoch callbacks are given the values directly, as Lightning's LearningRateMonitor gives them its own.
        """
        sums, since = self.train_metrics.sums(), self._since
        count = sums["count"] - since["count"]
        names = {"loss": "loss_sum", "error": "wrong"} | (
            {"error_top5": "wrong_top5"} if self.train_metrics.top5 else {}
        )
        point = {f"train/{name}": (sums[key] - since[key]) / count for name, key in names.items()}
        self._since = sums
        for logger in self.trainer.loggers:
            logger.log_metrics(point, step=step)
        if not self.trainer.is_last_batch:
            self.trainer.callback_metrics.update({name: torch.tensor(value) for name, value in point.items()})
            self.trainer.progress_bar_metrics["train/loss"] = point["train/loss"]
            return
        means = self.train_metrics.compute()
        for name in names:
            self.log(f"train/{name}", means[name], prog_bar=name == "loss", logger=False)

    def on_train_epoch_start(self) -> None:
        self.train_metrics.reset()
        self._since = self.train_metrics.sums()

    def on_train_epoch_end(self) -> None:
        if self.train_metrics.sums() != self._since:  # the Trainer stopped within the epoch
            self._draw_point(self.trainer.global_step - 1)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate(batch)

    def predict_step(self, batch: Batch | Tensor, batch_idx: int) -> Tensor:
        """Probabilities (N, classes) of images (N, C, H, W), with labels beside them or without."""
        images = batch if isinstance(batch, Tensor) else batch[0]
        return self(images).softmax(dim=1)

    def _evaluate(self, batch: Batch) -> None:
        images, labels = batch
        logits = self(images)
        self.evaluation.update(self.loss(logits, labels), logits, labels)

    def on_validation_epoch_start(self) -> None:
        self.evaluation.reset()

    def on_test_epoch_start(self) -> None:
        self.evaluation.reset()

    def on_validation_epoch_end(self) -> None:
        figures = self.evaluation.compute()
        for name, value in figures.items():
            self.log(f"val/{name}", value, prog_bar=name == "error")
        if self.trainer.state.fn == "fit" and not self.trainer.sanity_checking:
            schedule = self.lr_schedulers()
            if isinstance(schedule, Watching):
                schedule.validated(figures["error"], self.trainer.current_epoch + 1)

    def on_test_epoch_end(self) -> None:
        self.log_dict({f"test/{name}": value for name, value in self.evaluation.compute().items()})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["training_sums"] = {"epoch": self.train_metrics.sums(), "drawn": self._since}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if "training_sums" in checkpoint:
            self.train_metrics.load_sums(checkpoint["training_sums"]["epoch"])
            self._since = checkpoint["training_sums"]["drawn"]
        if self.distillation is None:  # a checkpoint stands alone, without the old task that it was trained beside
            weights = checkpoint["state_dict"]
            checkpoint["state_dict"] = {k: v for k, v in weights.items() if not k.startswith("distillation.")}


def _built(network: str | Values | nn.Module | None, num_classes: int) -> nn.Module:
    if isinstance(network, nn.Module):
        return network
    if isinstance(network, str):
        return models.create(network, num_classes=num_classes)
    if network is None:
        raise UserError("the checkpoint names no network, since it was given as a module; give it again: network=…")
    return models.create(**{"num_classes": num_classes, **network})


def _plain(value: Any) -> Any:
    """What a checkpoint can hold of an argument: names and values; None of a function."""
    if isinstance(value, Mapping):
        return {str(key): list(item) if isinstance(item, tuple) else item for key, item in value.items()}
    return value if isinstance(value, str) else None
