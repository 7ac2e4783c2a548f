"""Learning-rate schedules by the names that configs use, all counted in optimizer steps.

A schedule is built once the length of a run is known: ``build(optimizer, steps_per_epoch, epochs)``.
"""

from __future__ import annotations

from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
)

from repronet.errors import UserError

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
    """``rates[i]`` times the optimizer's rate for ``epochs_each[i]`` epochs; the last one lasts to the end.

    Raises:
        UserError: when there are not as many rates as lengths.
    """
    if len(rates) != len(epochs_each) or not rates:
        raise UserError(f"schedule=stages: {len(rates)} rates for {len(epochs_each)} lengths; give one length a rate")

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

    Starts at the rate times ``start_factor`` and ends at the rate times ``final_factor``. L. N. Smith and N. Topin,
    "Super-Convergence", 2018. The momentum stays as the optimizer has it.
    """

    def build(optimizer: Optimizer, steps_per_epoch: int, epochs: int) -> LRScheduler:
        return OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            total_steps=steps_per_epoch * epochs + 1,  # the run asks for one rate more than it takes steps
            pct_start=warmup,
            div_factor=1 / start_factor,
            final_div_factor=start_factor / final_factor,
            cycle_momentum=False,
        )

    return build


SCHEDULES: dict[str, Callable[..., ScheduleBuilder]] = {
    "constant": constant,
    "multistep": multistep,
    "stages": stages,
    "cosine": cosine,
    "one_cycle": one_cycle,
}
