"""The LightningModule: one network that tells images apart, and how it is trained and judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import count
from typing import Any, NamedTuple, NoReturn

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel

from repronet.data.batches import Batch
from repronet.data.randomness import counter_seed
from repronet.errors import UserError
from repronet.training.distillation import LearningWithoutForgetting
from repronet.training.finetune import Tuning
from repronet.training.losses import Loss
from repronet.training.metrics import RunningTraining, SplitEvaluation
from repronet.training.nonfinite import any_infinite, explain, first_bad_gradient
from repronet.training.optimizers import OptimizerBuilder, parameter_groups
from repronet.training.recipe import Recipe, cap_filters, filters_of
from repronet.training.schedules import ScheduleBuilder, Watching


class Answered(NamedTuple):
    """What is left of a step until it is counted."""

    images: Tensor  # (N, C, H, W)
    labels: Tensor  # (N,) or (N, classes)
    logits: Tensor  # (N, classes)
    loss: Tensor  # ()
    overflow: Tensor  # (), 1 where the loss or a gradient was not finite


class ImageClassifier(pl.LightningModule):
    """Trains ``network`` on chunks of batches and judges it by loss, error and accuracy.

    The optimization loop is written out in :meth:`_step`, the five lines of the textbook, because a chunk holds several
    batches: Lightning's bookkeeping is then paid once a chunk, not once a step.

    Args:
        network: images (N, C, H, W) → logits (N, classes), or in training a NamedTuple with these and the logits of
            auxiliary heads, and then an `aux_weight` for the losses of these.
        num_classes: classes that are told apart.
        loss: (logits, labels) → mean loss.
        optimizer: builds the optimizer for the network's parameters.
        schedule: builds the learning-rate schedule, which is stepped after every optimizer step.
        recipe: what else is done in training.
        tuning: which stages are trained when, and at which share of the rate; None trains all alike.
        keeping: of an old task, whose loss is added once more than the head is trained.
        config: plain values that describe the run; stored in every checkpoint, so that a checkpoint stands alone.

    Attributes:
        between_steps: called before every training step and evaluation batch; it may save, or raise to stop.
        around_update: a context for the weights' update in the step of that number, when the gradients are there.
        steps_done: optimizer steps of the current epoch.
    """

    averaged: AveragedModel | None

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        loss: Loss,
        optimizer: OptimizerBuilder,
        schedule: ScheduleBuilder,
        recipe: Recipe | None = None,
        tuning: Tuning | None = None,
        keeping: LearningWithoutForgetting | None = None,
        config: dict[str, Any] | None = None,
    ):
        super().__init__()
        self.automatic_optimization = False
        self.recipe = recipe or Recipe()
        self.tuning = tuning
        self.keeping = keeping
        self.network = network.to(memory_format=torch.channels_last) if self.recipe.channels_last else network
        self.averaged = self.recipe.averaging.copy_of(network) if self.recipe.averaging else None
        self.loss = loss
        self.training_loss: Loss = loss
        if self.recipe.label_smoothing:
            self.training_loss = partial(loss, label_smoothing=self.recipe.label_smoothing)  # type: ignore[call-arg]
        self.build_optimizer = optimizer
        self.build_schedule = schedule
        self.between_steps: Callable[[], None] = lambda: None
        self.around_update: Callable[[int], AbstractContextManager[None]] = lambda number: nullcontext()
        self.steps_done = 0
        self.running = RunningTraining()
        self._uncounted: list[Answered] = []
        self.last_lr = 0.0  # the rate of the latest step, before the schedule moved it
        self.evaluation = SplitEvaluation(num_classes)
        self.save_hyperparameters({"config": config or {}}, logger=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.judged(images)

    @property
    def judged(self) -> nn.Module:
        """The network that is validated and tested: that of the averaged weights, where there are any."""
        if self.averaged is None or int(self.averaged.n_averaged) == 0:
            return self.network
        return self.averaged.module

    @property
    def parameter_count(self) -> int:
        """Parameters of the network, frozen ones too."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def trained_parameter_count(self) -> int:
        """Those that are trained sooner or later."""
        return self.tuning.trained_size if self.tuning else self.parameter_count

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in one pass over the training split."""
        return self.trainer.datamodule.train_dataloader().steps  # type: ignore[attr-defined]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        steps, epochs = self.steps_per_epoch, self.trainer.max_epochs or 1
        whole = [(self.network, 1.0)]
        kept = [(self.keeping.old_head, 1.0)] if self.keeping else []
        optimizer = self.build_optimizer(
            [
                {**group, "share": share}
                for part, share in [*(self.tuning.groups() if self.tuning else whole), *kept]
                for group in parameter_groups(part.parameters(), self.recipe.decay)
            ]
        )
        for group in optimizer.param_groups:
            group["lr"] *= group["share"]
        schedule = self.build_schedule(optimizer, steps, epochs)
        self._filters = filters_of(self.network) if self.recipe.filter_rms else []
        self._first_averaged = (self.recipe.averaging.start if self.recipe.averaging else 0) * steps * epochs
        # None where gradients are scaled for half precision: there one that overflows is skipped, not a fault.
        self._scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def training_step(self, chunk: list[Batch], chunk_index: int) -> None:
        # What Lightning looks up through several layers is asked for once a chunk.
        optimizer: Optimizer = self.optimizers()  # type: ignore[assignment]
        schedule: LRScheduler = self.lr_schedulers()  # type: ignore[assignment]
        step = self.trainer.global_step
        if self.tuning:
            self.tuning.hold()
        for number, (images, labels) in enumerate(chunk, start=step + 1):
            self.between_steps()
            self._step(optimizer, schedule, images, labels, number)
        self.settle()

    def _step(self, optimizer: Optimizer, schedule: LRScheduler, images: Tensor, labels: Tensor, number: int) -> None:
        """The ``number``-th step of the run, counted from 1."""
        self._seed_dropout(number, images.device)
        optimizer.zero_grad()
        logits, loss = self._gradients(images, labels)
        done = Answered(images, labels, logits, loss, self._checked_gradients(optimizer, loss))
        if done.overflow.device.type == "cpu" and done.overflow.item():
            self._stop_at(done, number)  # before the weights take it up
        self.last_lr = optimizer.param_groups[-1]["lr"]  # the head's, where stages have rates of their own
        with self.around_update(number):
            optimizer.step()
        if isinstance(schedule, Watching):
            schedule.observe(logits, labels)
        schedule.step()
        if self.recipe.filter_rms:
            cap_filters(self._filters, self.recipe.filter_rms)
        if self.averaged is not None and number > self._first_averaged:
            self.averaged.update_parameters(self.network)
        self.steps_done += 1
        self._uncounted.append(done)

    def _seed_dropout(self, number: int, device: torch.device) -> None:
        """Make what a step draws a function of its number, so that it is the same after an interruption."""
        seed = counter_seed("dropout", self.recipe.seed, number)
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _gradients(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Add the gradients of the mean loss to the parameters; returns logits (N, classes) and that loss."""
        answers, losses = [], []
        for part, its_labels in self._parts(images, labels):
            logits, loss = self.answer_and_loss(self.network(part), its_labels)
            if self.keeping and not (self.tuning and self.tuning.only_the_head):
                loss = loss + self.keeping.loss(part)
            loss = loss * (len(part) / len(images)) if len(part) < len(images) else loss
            # Lightning's own call adds a scale for half precision, and hooks that take 3 % of a LeNet's step.
            loss.backward() if self._scaler is None else self.manual_backward(loss)
            answers.append(logits.detach())
            losses.append(loss.detach())
        if len(answers) == 1:
            return answers[0], losses[0]
        return torch.cat(answers), torch.stack(losses).sum()

    def _parts(self, images: Tensor, labels: Tensor) -> Iterator[Batch]:
        if self.recipe.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        pieces = min(self.recipe.parts, len(images))
        return zip(images.tensor_split(pieces), labels.tensor_split(pieces), strict=True)

    def _checked_gradients(self, optimizer: Optimizer, loss: Tensor) -> Tensor:
        """Whether the loss or a gradient is not finite, 0 or 1; then they are cut as the recipe says."""
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        if self._scaler is None:
            overflow = any_infinite([loss, *(weight.grad for weight in weights if weight.grad is not None)])
        else:
            self._scaler.unscale_(getattr(optimizer, "optimizer", optimizer))
            overflow = any_infinite([loss])  # the scaler looks at the gradients itself, and leaves the step out
        if self.recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(weights, self.recipe.clip_norm)
        return overflow

    def settle(self) -> None:
        """Count the answers of the steps since the last call.

        Elsewhere than on the CPU this is where a loss or gradient that is not finite is found, since asking for it
        makes the device wait.

        Raises:
            UserError: that names the step and what went bad.
        """
        done, self._uncounted = self._uncounted, []
        if not done:
            return
        losses = torch.stack([step.loss for step in done]).tolist()
        self.running.update(losses, [step.logits for step in done], [step.labels for step in done])
        if self.device.type == "cpu":
            return
        first = self.trainer.global_step - len(done) + 1
        overflows = torch.stack([step.overflow for step in done]).tolist()
        for number, step, overflow in zip(count(first), done, overflows, strict=False):
            if overflow:
                self._stop_at(step, number)

    def _stop_at(self, step: Answered, number: int) -> NoReturn:
        """Raises: UserError, that names the step and the layer which went bad."""
        if math.isfinite(step.loss.item()):
            what, reason = "gradient", f"that of {first_bad_gradient(self.network)} is the first that is not"
        else:
            what, reason = "loss", explain(self.network, step.images)
        raise UserError(f"the {what} is no longer finite at step {number}: {reason}; lower optimizer.lr")

    def answer_and_loss(self, answer: Tensor | tuple[Tensor, ...], labels: Tensor) -> tuple[Tensor, Tensor]:
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
        self.between_steps()
        images, labels = batch
        logits = self.judged(images)
        self.evaluation.update(self.loss(logits, labels), logits, labels)

    def on_train_epoch_start(self) -> None:
        self.trainer.datamodule.leave_out(self.steps_done)  # type: ignore[attr-defined]
        if self.tuning:
            self.tuning.begin_epoch(self.current_epoch)

    def on_train_epoch_end(self) -> None:
        self.steps_done = 0
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
        if isinstance(schedule, Watching) and self.trainer.state.fn == "fit":
            schedule.validated(figures["error"])

    def on_test_epoch_end(self) -> None:
        self.log_dict({f"test_{name}": value for name, value in self.evaluation.compute().items()}, logger=False)
