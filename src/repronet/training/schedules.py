"""Learning-rate schedules, by their names in configs.

A schedule is a function of the step only: once the length of a run is known, ``make(steps_per_epoch, total_steps)``
returns a function step → factor of the optimizer's rate; optimizer steps are counted from 0. Epochs may be fractional.
The only exception is :class:`Watching`, which also depends on errors.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from repronet.training import collective
from repronet.training.tables import row_of

Share = Callable[[int], float]  # step → factor of the optimizer's rate
MakeShare = Callable[[int, int], Share]  # steps per epoch, steps of the run → the factor of each step
Length = Callable[[], tuple[int, int]]  # () → steps per epoch and steps of the run, once they are known
ScheduleBuilder = Callable[[Optimizer, Length], LRScheduler]


def constant() -> MakeShare:
    """The optimizer's rate at every step."""
    return lambda steps_per_epoch, total_steps: lambda step: 1.0


def multistep(milestones: tuple[float, ...], gamma: float = 0.1, unit: str = "epochs") -> MakeShare:
    """Multiply the rate by ``gamma`` after each of ``milestones``, in epochs or in steps."""

    def make(steps_per_epoch: int, total_steps: int) -> Share:
        length = steps_per_epoch if unit == "epochs" else 1
        steps = [round(milestone * length) for milestone in milestones]
        return lambda step: gamma ** bisect_right(steps, step)

    return make


def exponential(gamma: float = 0.96, every: float = 8.0) -> MakeShare:
    """Multiply the rate by ``gamma`` every ``every`` epochs, as GoogLeNet: 4 % less every 8 epochs."""
    return lambda steps_per_epoch, total_steps: lambda step: gamma ** int(step / (every * steps_per_epoch) + 1e-9)


def polynomial(power: float = 1.0, final_factor: float = 0.0) -> MakeShare:
    """Decay as (1 − t)^``power`` from 1 to ``final_factor``, where t is the finished fraction of the run."""

    def make(steps_per_epoch: int, total_steps: int) -> Share:
        return lambda step: final_factor + (1 - final_factor) * (1 - min(step / total_steps, 1.0)) ** power

    return make


def stages(rates: tuple[float, ...], epochs_each: tuple[int, ...]) -> MakeShare:
    """``rates[i]`` times the optimizer's rate for ``epochs_each[i]`` epochs; the last one holds to the end."""

    def make(steps_per_epoch: int, total_steps: int) -> Share:
        ends = [end * steps_per_epoch for end in accumulate(epochs_each)]
        return lambda step: rates[min(bisect_right(ends, step), len(rates) - 1)]

    return make


def cosine(final_factor: float = 0.0) -> MakeShare:
    """Decay along half a cosine, over the whole run, from the optimizer's rate to ``final_factor`` times it."""

    def make(steps_per_epoch: int, total_steps: int) -> Share:
        return lambda step: _half_cosine(1.0, final_factor, min(step / total_steps, 1.0))

    return make


def one_cycle(warmup: float = 0.2, start_factor: float = 0.1, final_factor: float = 1e-3) -> MakeShare:
    """Rise to the optimizer's rate in the first ``warmup`` fraction of the run, then fall, both along half a cosine.

    The first step has the rate times ``start_factor``, the last the rate times ``final_factor``. L. N. Smith and
    N. Topin, "Super-Convergence", 2018. The momentum stays constant.
    """

    def make(steps_per_epoch: int, total_steps: int) -> Share:
        last = max(total_steps - 1, 1)
        peak = warmup * last

        def share(step: int) -> float:
            if step < peak:
                return _half_cosine(start_factor, 1.0, step / peak)
            return _half_cosine(1.0, final_factor, min((step - peak) / (last - peak), 1.0))

        return share

    return make


def _half_cosine(start: float, end: float, share: float) -> float:
    """Half a cosine from ``start`` at share 0 to ``end`` at share 1."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def warmed_up(make: MakeShare, epochs: float, start: float, shape: str) -> MakeShare:
    """``make`` with a warmup of ``epochs``: its rate times ``start`` throughout, or times a factor rising from it to 1.

    ResNet-110 uses 0.1 of its rate for about 400 steps (He et al. 2016, section 4.2), shape "constant".
    """

    def warmed(steps_per_epoch: int, total_steps: int) -> Share:
        share, length = make(steps_per_epoch, total_steps), epochs * steps_per_epoch

        def at(step: int) -> float:
            if step >= length:
                return share(step)
            return share(step) * (start if shape == "constant" else start + (1 - start) * step / length)

        return at

    return warmed


class Plateau(NamedTuple):
    """Multiply the rate by ``gamma`` when the validation error has not fallen by ``least`` for ``patience`` epochs.

    "Divided by 10 when the validation error rate stopped improving": Krizhevsky et al. 2012, section 5.
    """

    gamma: float = 0.1
    patience: int = 5
    least: float = 0.0005


class WarmUntil(NamedTuple):
    """Multiply the rate by ``start`` until the training error over the last 50 steps is below ``error``.

    ResNet-110: 0.1 of the rate until the training error is below 80 %, about 400 steps (He et al. 2016, section 4.2).
    """

    error: float
    start: float


WATCHED_STEPS = 50
READ_EVERY = 10  # batches between reads on a GPU, since reading makes it wait; on the CPU every batch is read


class Watching(LambdaLR):
    """A schedule of the step, ``share``, times factors that depend on training or validation errors."""

    def __init__(self, optimizer: Optimizer, share: Share, plateau: Plateau | None, warmup: WarmUntil | None):
        self.plateau, self.warmup = plateau, warmup
        self.best, self.since, self.factor = math.inf, 0, 1.0  # since: the epoch of the latest improvement or decay
        self.warm = warmup is None
        self.recent: list[float] = []  # training errors of the latest steps, during the warmup
        self.parts: list[float] = []  # errors of the current step's batches, over all processes
        # For each batch: wrong predictions (on the device), number of images, and whether a step ended with it.
        self._unread: list[tuple[Tensor, int, bool]] = []
        start = warmup.start if warmup else 1.0
        super().__init__(optimizer, lambda step: share(step) * self.factor * (1.0 if self.warm else start))

    def validated(self, error: float, epoch: int) -> None:
        """Record the validation error of ``epoch``, counted from 1; epochs may be skipped."""
        if self.plateau is None:
            return
        if error <= self.best - self.plateau.least:
            self.best, self.since = error, epoch
        elif epoch - self.since >= self.plateau.patience:
            self.factor, self.since = self.factor * self.plateau.gamma, epoch

    def observe(self, logits: Tensor, labels: Tensor, ends_step: bool = True) -> None:
        """Record the predictions for a training batch: logits (N, classes), labels (N,) or probabilities (N, classes).

        Args:
            ends_step: whether the optimizer steps after this batch; if not, it accumulates more gradients.
        """
        if self.warmup is None or self.warm:
            return
        right = labels.argmax(dim=1) if labels.ndim == 2 else labels  # (N, classes) → (N,)
        self._unread.append(((logits.argmax(dim=1) != right).sum(), len(right), ends_step))
        if right.is_cpu or (ends_step and len(self._unread) >= READ_EVERY):
            self._read()

    def _read(self) -> None:
        """Read the errors that the device has counted, in one copy."""
        unread, self._unread = self._unread, []
        if not unread:
            return
        wrong = torch.stack([wrong for wrong, _, _ in unread]).tolist()
        found = collective.total([*wrong, *(count for _, count, _ in unread)])
        for index, (_, _, ends_step) in enumerate(unread):
            self.parts.append(found[index] / found[len(unread) + index])
            if ends_step and not self.warm:
                self._take_up(sum(self.parts) / len(self.parts))

    def _take_up(self, error: float) -> None:
        """Record the error of a whole step, and end the warmup when the mean error is low enough."""
        assert self.warmup is not None
        self.recent, self.parts = [*self.recent[1 - WATCHED_STEPS :], error], []
        if len(self.recent) == WATCHED_STEPS and sum(self.recent) / WATCHED_STEPS < self.warmup.error:
            self.warm, self.recent = True, []

    def state_dict(self) -> dict[str, Any]:
        """The state as plain values; the settings of the schedule come from the config."""
        self._read()
        without = ("plateau", "warmup", "_unread")
        return {key: value for key, value in super().state_dict().items() if key not in without}


SHARES: dict[str, Callable[..., MakeShare]] = {
    "constant": constant,
    "multistep": multistep,
    "exponential": exponential,
    "polynomial": polynomial,
    "stages": stages,
    "cosine": cosine,
    "one_cycle": one_cycle,
}


def known_later(make: MakeShare, length: Length) -> Share:
    """The factor of each step; ``length`` is first called after step 0.

    The factor of step 0 is the same for every length. Lightning knows the length once it has prepared the loader; if
    asked earlier, while optimizers are set up, it would prepare the loader without the state of a checkpoint.
    """
    made: list[Share] = []

    def share(step: int) -> float:
        if step == 0:
            return make(2**20, 2**40)(0)
        if not made:
            made.append(make(*length()))
        return made[0](step)

    return share


def by_share(make: MakeShare) -> ScheduleBuilder:
    """A schedule that is a function of the step only."""
    return lambda optimizer, length: LambdaLR(optimizer, known_later(make, length))


def watching(make: MakeShare, plateau: Plateau | None, warmup: WarmUntil | None) -> ScheduleBuilder:
    """A schedule that also depends on errors."""
    return lambda optimizer, length: Watching(optimizer, known_later(make, length), plateau, warmup)


def schedule_builder(chosen: str | Mapping[str, Any] | ScheduleBuilder) -> ScheduleBuilder:
    """The schedule builder from an entry of :data:`SHARES`, or "plateau".

    Args:
        chosen: a name, or a mapping with ``name``, the entry's own values and ``warmup_epochs``, ``warmup_start``,
            ``warmup_shape`` ("linear" or "constant") or ``warmup_error``; a function is returned unchanged.

    Raises:
        UserError: for an unknown name, or values that the entry does not take.
    """
    if callable(chosen):
        return chosen
    values: dict[str, Any] = {"name": chosen} if isinstance(chosen, str) else dict(chosen)
    epochs, start = values.pop("warmup_epochs", 0.0), values.pop("warmup_start", 0.1)
    shape, error = values.pop("warmup_shape", "linear"), values.pop("warmup_error", None)
    made: MakeShare | Plateau = row_of({**SHARES, "plateau": Plateau}, "schedule", values.pop("name", None), values)
    falling = made if isinstance(made, Plateau) else None
    share = warmed_up(constant() if isinstance(made, Plateau) else made, epochs, start, shape)
    warming = None if error is None else WarmUntil(error, start)
    return watching(share, falling, warming) if falling or warming else by_share(share)
