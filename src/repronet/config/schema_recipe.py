"""What a config may say of the optimizer, its schedule, averaging and fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING

from repronet.config.fields import required, tag
from repronet.constraints import (
    BETAS,
    COUNT,
    FACTOR,
    LENGTHS,
    MILESTONES,
    NOT_NEGATIVE,
    OPEN_SHARE,
    POSITIVE,
    RATES,
    SHARE,
    one_of,
)


@dataclass
class Optimizer:
    """What every optimizer has."""

    lr: float = required(POSITIVE)
    weight_decay: float = required(NOT_NEGATIVE)
    decay: str = required(one_of("all", "weights"))


@dataclass
class Sgd(Optimizer):
    name: str = tag("sgd")
    momentum: float = required(SHARE)
    nesterov: bool = MISSING

    def conflict(self) -> str | None:
        wrong = self.nesterov and self.momentum == 0
        return f"optimizer.momentum={self.momentum}: Nesterov's method needs one above 0" if wrong else None


@dataclass
class Adam(Optimizer):
    name: str = tag("adam")
    betas: list[float] = required(BETAS)
    eps: float = required(POSITIVE)


@dataclass
class RmsProp(Optimizer):
    name: str = tag("rmsprop")
    alpha: float = required(SHARE)
    momentum: float = required(SHARE)
    eps: float = required(POSITIVE)


@dataclass
class Schedule:
    """What every schedule has."""

    warmup_epochs: float = required(NOT_NEGATIVE)
    warmup_start: float = required(FACTOR)
    warmup_shape: str = required(one_of("linear", "constant"))
    warmup_error: float | None = field(default=None, metadata={"rule": FACTOR})

    def conflict(self) -> str | None:
        wrong = self.warmup_error is not None and self.warmup_epochs > 0
        return f"schedule.warmup_error={self.warmup_error}: ends the warm-up; leave warmup_epochs=0" if wrong else None


@dataclass
class Constant(Schedule):
    name: str = tag("constant")


@dataclass
class Multistep(Schedule):
    name: str = tag("multistep")
    milestones: list[float] = required(MILESTONES)
    gamma: float = required(FACTOR)
    unit: str = required(one_of("epochs", "steps"))


@dataclass
class Exponential(Schedule):
    name: str = tag("exponential")
    gamma: float = required(FACTOR)
    every: float = required(POSITIVE)


@dataclass
class Polynomial(Schedule):
    name: str = tag("polynomial")
    power: float = required(POSITIVE)
    final_factor: float = required(SHARE)


@dataclass
class Plateau(Schedule):
    name: str = tag("plateau")
    gamma: float = required(FACTOR)
    patience: int = required(COUNT)
    least: float = required(NOT_NEGATIVE)


@dataclass
class Stages(Schedule):
    name: str = tag("stages")
    rates: list[float] = required(RATES)
    epochs_each: list[int] = required(LENGTHS)

    def conflict(self) -> str | None:
        rates, lengths = len(self.rates), len(self.epochs_each)
        wrong = f"schedule.epochs_each={self.epochs_each}: {lengths} lengths for {rates} rates; give each rate one"
        return wrong if rates != lengths else super().conflict()


@dataclass
class Cosine(Schedule):
    name: str = tag("cosine")
    final_factor: float = required(SHARE)


@dataclass
class OneCycle(Schedule):
    name: str = tag("one_cycle")
    warmup: float = required(SHARE)
    start_factor: float = required(FACTOR)
    final_factor: float = required(FACTOR)


@dataclass
class LatestWeights:
    name: str = tag("none")


@dataclass
class Polyak:
    name: str = tag("polyak")
    start: float = required(SHARE)


@dataclass
class Ema:
    name: str = tag("ema")
    decay: float = required(OPEN_SHARE)
    start: float = required(SHARE)


@dataclass
class Way:
    """A way of fine-tuning."""

    name: str = MISSING


@dataclass
class Discriminative(Way):
    factor: float = required(FACTOR)


@dataclass
class Gradual(Discriminative):
    epochs_each: int = required(COUNT)


@dataclass
class HeadThenAll(Discriminative):
    head_epochs: int = required(COUNT)


@dataclass
class WithoutForgetting(HeadThenAll):
    old_weight: float = required(POSITIVE)
    temperature: float = required(POSITIVE)
    old_classes: int | None = field(default=None, metadata={"rule": COUNT})
