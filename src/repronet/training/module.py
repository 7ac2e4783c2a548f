"""The LightningModule: a network that classifies images, with its training and evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from repronet import models
from repronet.data.batches import Batch
from repronet.data.eval_transform import probabilities_of
from repronet.data.module import ImageDataModule
from repronet.errors import UserError
from repronet.training.callbacks.finetuning import FineTuning
from repronet.training.distillation import LearningWithoutForgetting
from repronet.training.finetune import StagePlan, stage_plan
from repronet.training.losses import (
    MULTILABEL,
    Loss,
    logits_of,
    loss_function,
    loss_of_heads,
    share_in_mean,
    training_loss,
)
from repronet.training.metrics import TOP5_SHOWN, LossAndError, Outputs, SplitEvaluation, to_be_low
from repronet.training.multilabel import MultilabelEvaluation, MultilabelLossAndError
from repronet.training.optimizers import OptimizerBuilder, optimizer_builder, parameter_groups, rate_of
from repronet.training.schedules import ScheduleBuilder, Watching, schedule_builder

Values = Mapping[str, Any]
"""A row of a table with its values: ``{"name": "sgd", "lr": 0.1}``. A name alone takes the defaults."""


class ImageClassifier(pl.LightningModule):
    """A network with its loss, optimizer and schedule, for any Trainer and any loader of (images, labels).

    It logs ``train/loss`` and ``train/error`` every ``log_every_n_steps`` steps, as means since the last point, and
    ``val/loss``, ``val/error``, ``val/accuracy``, with more than five classes also ``val/error_top5``; the same under
    ``test/``; with 20 or more classes ``train/error_top5``. After an epoch, callbacks find its means under ``train/``.
    Lightning's LearningRateMonitor calls the rate ``train/lr``. With several labels per image there is no top-5 error,
    an image is wrong unless all its labels are right, and ``val/map`` is the mean average precision.

    Args:
        network: images (N, C, H, W) → logits (N, classes); a name in :data:`repronet.models.MODELS`, the arguments of
            :func:`repronet.models.create`, or any module. In training it may return a NamedTuple with ``logits`` and
            the logits of auxiliary heads, whose losses are weighted by ``network.aux_weight``.
        num_classes: the number of classes; ignored for a network that comes with its own number.
        loss: a name in :data:`repronet.training.losses.LOSSES`, or a function (logits, labels) → mean loss.
        optimizer: an entry of :data:`repronet.training.optimizers.OPTIMIZERS`, or a function of parameter groups. Its
            ``decay`` selects the parameters with weight decay, "all" or "weights".
        schedule: an entry of :data:`repronet.training.schedules.SHARES` or "plateau", stepped after every optimizer
            step; or a function of the optimizer and ``length``; ``length()`` is (steps per epoch, steps in total).
        label_smoothing: fraction of the training target that is spread evenly over all classes; for cross-entropy only.
        finetune: an entry of :data:`repronet.training.finetune.PLANS`: when each stage is trained; None trains all.
        distillation: preserves the outputs for an old task; its loss is added unless only the head is trained.
        channels_last: keep images and weights in the channels-last memory format.
        multilabel: labels are zeros and ones (N, classes), several per image; needs a loss for that, such as "binary".
        class_weights: weight of each class in the training loss, see :func:`repronet.training.losses.training_loss`.

    Raises:
        UserError: for unknown names and values.
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
        multilabel: bool = False,
        class_weights: Sequence[float] | None = None,
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
                "multilabel": multilabel,
                "class_weights": None if class_weights is None else list(class_weights),
            }
        )
        if channels_last:
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.channels_last = channels_last
        if multilabel and isinstance(loss, str) and loss not in MULTILABEL:
            raise UserError(f"loss={loss}: needs one label for each image; for several, use {' or '.join(MULTILABEL)}")
        self.multilabel = multilabel
        self.loss = loss_function(loss)
        self.training_loss = training_loss(self.loss, label_smoothing, class_weights)
        self.build_optimizer, self.decay = optimizer_builder(optimizer)
        self.lr = rate_of(self.build_optimizer)  # the attribute that Lightning's lr_find sets
        self.build_schedule = schedule_builder(schedule)
        self.stage_plan: StagePlan | None = None if finetune is None else stage_plan(self.network, finetune)
        self.distillation = distillation
        one_label = LossAndError(top5=num_classes >= TOP5_SHOWN)
        self.train_metrics = MultilabelLossAndError() if multilabel else one_label
        self.evaluation = (MultilabelEvaluation if multilabel else SplitEvaluation)(num_classes)
        self.test_outputs = Outputs()
        # the sums at the latest logged point of the training curves
        self._since: dict[str, Any] = {"loss_sum": 0.0, "wrong": 0, "wrong_top5": 0, "count": 0}

    def forward(self, images: Tensor) -> Tensor:
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return self.network(images)

    @property
    def parameter_count(self) -> int:
        """The number of parameters of the network, including frozen ones."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def trained_parameter_count(self) -> int:
        """The number of parameters that are trained in some epoch."""
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
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step", "name": "train/lr"}}

    def _length(self) -> tuple[int, int]:
        """Optimizer steps per epoch and of the whole run; 2³¹ if unknown."""
        total = self.trainer.estimated_stepping_batches
        steps = self.trainer.num_training_batches / self.trainer.accumulate_grad_batches
        return math.ceil(min(steps, 2**31)), int(min(total, 2**31))

    @torch.compiler.disable  # in a compiled module the network is compiled, but not counting and logging
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # type: ignore[override]
        images, labels = batch
        output = self(images)
        loss = loss_of_heads(self.network, output, labels, self.training_loss)
        if self.distillation and not (self.stage_plan and self.stage_plan.only_the_head):
            loss = loss + self.distillation.loss(images)
        logits = logits_of(output).detach()
        mean, loss = self._of_all_processes(loss, output, labels, batch_idx)
        self.train_metrics.update(mean, logits, labels)
        schedule = self.lr_schedulers()
        if isinstance(schedule, Watching):
            schedule.observe(logits, labels, self._ends_step(batch_idx))
        if self._point_is_due(batch_idx):
            self._draw_point(self.trainer.global_step)
        return loss

    def _of_all_processes(
        self, loss: Tensor, output: Tensor | tuple[Tensor, ...], labels: Tensor, batch_idx: int
    ) -> tuple[Tensor, Tensor]:
        """The loss that the metrics count for this process's images, and the loss for its backward pass.

        The mean of the latter over processes is the loss of all images; a process without an image contributes 0.
        """
        data, processes = getattr(self.trainer, "datamodule", None), self.trainer.world_size
        if processes == 1 or not isinstance(data, ImageDataModule):
            return loss.detach(), loss
        images = data.images_in_batch(batch_idx)
        share = share_in_mean(self.training_loss, labels, images, processes)
        if not len(labels):
            heads = [output] if isinstance(output, Tensor) else list(output)
            nothing = torch.stack([head.sum() for head in heads]).sum() * 0.0
            return nothing.detach(), nothing
        return loss.detach() * (share * images / (processes * len(labels))), loss * share

    def _ends_step(self, batch_idx: int) -> bool:
        """Whether the optimizer steps after this batch; it always does after an epoch's last batch."""
        return self.trainer.is_last_batch or (batch_idx + 1) % self.trainer.accumulate_grad_batches == 0

    def _point_is_due(self, batch_idx: int) -> bool:
        """Whether the training curves get a point: every ``log_every_n_steps`` steps, and at the end of an epoch."""
        if self.trainer.is_last_batch:
            return True
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        return every > 0 and self._ends_step(batch_idx) and (self.trainer.global_step + 1) % every == 0

    def _draw_point(self, step: int) -> None:
        """Log the means since the latest point; callbacks get these too or, after an epoch, the means of the epoch.

        The loggers get them at once: values from `self.log` are written after checkpoints, so a run that is killed in
        between and resumed would lose the point. `self.log` also costs time in every later step of the epoch; within an
        epoch callbacks get the values directly, as Lightning's LearningRateMonitor does with its own.
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
        self._since = {name: type(value)(0) for name, value in self._since.items()}

    def on_train_epoch_end(self) -> None:
        if self.train_metrics.sums() != self._since:  # the Trainer stopped within the epoch
            self._draw_point(self.trainer.global_step - 1)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.test_outputs.update(self._evaluate(batch), batch[1])

    def predict_step(self, batch: Batch | Tensor, batch_idx: int) -> Tensor:
        """Class probabilities (N, classes) of images (N, C, H, W); a batch may contain labels or not."""
        images = batch if isinstance(batch, Tensor) else batch[0]
        return probabilities_of(self(images), self.multilabel)

    def _evaluate(self, batch: Batch) -> Tensor:
        images, labels = batch
        logits = self(images)
        loss = self.loss(logits, labels) if len(labels) else logits.sum()  # 0 for a process without images of the batch
        self.evaluation.update(loss, logits, labels)
        return logits

    def on_validation_epoch_start(self) -> None:
        self.evaluation.reset()

    def on_test_epoch_start(self) -> None:
        self.evaluation.reset()
        self.test_outputs.reset()

    def on_validation_epoch_end(self) -> None:
        self.evaluation.merge()
        figures = self.evaluation.compute()
        for name, value in figures.items():
            self.log(f"val/{name}", value, prog_bar=name == "error")
        if self.trainer.state.fn == "fit" and not self.trainer.sanity_checking:
            schedule = self.lr_schedulers()
            if isinstance(schedule, Watching):
                schedule.validated(to_be_low(figures), self.trainer.current_epoch + 1)

    def on_test_epoch_end(self) -> None:
        self.evaluation.merge()
        self.test_outputs.merge()
        self.log_dict({f"test/{name}": value for name, value in self.evaluation.compute().items()})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["training_sums"] = {"epoch": self.train_metrics.sums(), "drawn": self._since}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if "training_sums" in checkpoint:
            first = int(self.trainer.global_rank == 0) if self._trainer is not None else 1
            self.train_metrics.load_sums(checkpoint["training_sums"]["epoch"], share=first)
            self._since = checkpoint["training_sums"]["drawn"]
        if self.distillation is None:  # lets a checkpoint load without the old task's network and head
            weights = checkpoint["state_dict"]
            checkpoint["state_dict"] = {k: v for k, v in weights.items() if not k.startswith("distillation.")}


def network_of(module: pl.LightningModule) -> nn.Module:
    """The network of an :class:`ImageClassifier`, which callbacks receive typed as a LightningModule."""
    assert isinstance(module, ImageClassifier)
    return module.network


def _built(network: str | Values | nn.Module | None, num_classes: int) -> nn.Module:
    if isinstance(network, nn.Module):
        return network
    if isinstance(network, str):
        return models.create(network, num_classes=num_classes)
    if network is None:
        raise UserError("the checkpoint names no network, since it was given as a module; give it again: network=…")
    return models.create(**{"num_classes": num_classes, **network})


def _plain(value: Any) -> Any:
    """An argument as a checkpoint can store it: names and values; None for a function."""
    if isinstance(value, Mapping):
        return {str(key): list(item) if isinstance(item, tuple) else item for key, item in value.items()}
    return value if isinstance(value, str) else None
