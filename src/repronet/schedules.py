"""Learning-rate schedules by the names that configs use, all counted in optimizer steps.

A schedule is built once the length of a run is known: ``build(optimizer, steps_per_epoch, epochs)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    LRScheduler,
    MultiStepLR,
)

ScheduleBuilder = Callable[[Optimizer, int, int], LRScheduler]


def constant() -> ScheduleBuilder:
    """The optimizer's rate from the first step to the last."""
    return lambda optimizer, steps_per_epoch, epochs: LambdaLR(optimizer, lambda step: 1.0)


def multistep(milestones: tuple[float, ...], gamma: float) -> ScheduleBuilder:
    """The rate times ``gamma`` after each of ``milestones``, in epochs."""

    def build(optimizer: Optimizer, steps_per_epoch: int, epochs: int) -> LRScheduler:
        steps = [round(milestone * steps_per_epoch) for milestone in milestones]
        return MultiStepLR(optimizer, steps, gamma)

    return build


def stages(rates: tuple[float, ...], epochs_each: tuple[int, ...]) -> ScheduleBuilder:
    """``rates[i]`` times the optimizer's rate for ``epochs_each[i]`` epochs; the last one lasts to the end."""

    def build(optimizer: Optimizer, steps_per_epoch: int, epochs: int) -> LRScheduler:
        def factor(step: int) -> float:
            end = 0
            for rate, length in zip(rates, epochs_each, strict=True):
                end += length * steps_per_epoch
                if step < end:
                    return rate
            return rates[-1]

        return LambdaLR(optimizer, factor)

    return build


def cosine(final_lr: float) -> ScheduleBuilder:
    """Half a cosine from the optimizer's rate down to ``final_lr`` over the whole run."""

    def build(optimizer: Optimizer, steps_per_epoch: int, epochs: int) -> LRScheduler:
        return CosineAnnealingLR(optimizer, T_max=steps_per_epoch * epochs, eta_min=final_lr)

    return build


def one_cycle(warmup: float, start_factor: float, final_factor: float) -> ScheduleBuilder:
    """Up to the optimizer's rate during the first ``warmup`` of the run, then down, both on half a cosine.

    The first step has the rate times ``start_factor``, the last the rate times ``final_factor``. L. N. Smith and
    N. Topin, "Super-Convergence", 2018. The momentum stays as the optimizer has it.
    """

    def build(optimizer: Optimizer, steps_per_epoch: int, epochs: int) -> LRScheduler:
        last = max(steps_per_epoch * epochs - 1, 1)
        peak = warmup * last

        def factor(step: int) -> float:
            if step < peak:
                return _half_cosine(start_factor, 1.0, step / peak)
            return _half_cosine(1.0, final_factor, min((step - peak) / (last - peak), 1.0))

        return LambdaLR(optimizer, factor)

    return build


def _half_cosine(start: float, end: float, share: float) -> float:
    """From ``start`` at share 0 to ``end`` at share 1."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


SCHEDULES: dict[str, Callable[..., ScheduleBuilder]] = {
    "constant": constant,
    "multistep": multistep,
    "stages": stages,
    "cosine": cosine,
    "one_cycle": one_cycle,
}
