"""What a config may say of the optimizer, its schedule and the trainer."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING

from repronet.cli.fields import fixed, value
from repronet.rules import (
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
    Rule,
    one_of,
)


@dataclass
class Optimizer:
    """What every optimizer has."""

    lr: float = value(POSITIVE)
    weight_decay: float = value(NOT_NEGATIVE)
    decay: str = value(one_of("all", "weights"))


@dataclass
class Sgd(Optimizer):
    name: str = fixed("sgd")
    momentum: float = value(SHARE)
    nesterov: bool = MISSING

    def conflict(self) -> str | None:
        wrong = self.nesterov and self.momentum == 0
        return f"optimizer.momentum={self.momentum}: Nesterov's method needs one above 0" if wrong else None


@dataclass
class Adam(Optimizer):
    name: str = fixed("adam")
    betas: list[float] = value(BETAS)
    eps: float = value(POSITIVE)


@dataclass
class RmsProp(Optimizer):
    name: str = fixed("rmsprop")
    alpha: float = value(SHARE)
    momentum: float = value(SHARE)
    eps: float = value(POSITIVE)


@dataclass
class Schedule:
    """What every schedule has."""

    warmup_epochs: float = value(NOT_NEGATIVE)
    warmup_start: float = value(FACTOR)
    warmup_shape: str = value(one_of("linear", "constant"))
    warmup_error: float | None = field(default=None, metadata={"rule": FACTOR})

    def conflict(self) -> str | None:
        wrong = self.warmup_error is not None and self.warmup_epochs > 0
        return f"schedule.warmup_error={self.warmup_error}: ends the warm-up; leave warmup_epochs=0" if wrong else None


@dataclass
class Constant(Schedule):
    name: str = fixed("constant")


@dataclass
class Multistep(Schedule):
    name: str = fixed("multistep")
    milestones: list[float] = value(MILESTONES)
    gamma: float = value(FACTOR)
    unit: str = value(one_of("epochs", "steps"))


@dataclass
class Exponential(Schedule):
    name: str = fixed("exponential")
    gamma: float = value(FACTOR)
    every: float = value(POSITIVE)


@dataclass
class Polynomial(Schedule):
    name: str = fixed("polynomial")
    power: float = value(POSITIVE)
    final_factor: float = value(SHARE)


@dataclass
class Plateau(Schedule):
    name: str = fixed("plateau")
    gamma: float = value(FACTOR)
    patience: int = value(COUNT)
    least: float = value(NOT_NEGATIVE)


@dataclass
class Stages(Schedule):
    name: str = fixed("stages")
    rates: list[float] = value(RATES)
    epochs_each: list[int] = value(LENGTHS)

    def conflict(self) -> str | None:
        rates, lengths = len(self.rates), len(self.epochs_each)
        wrong = f"schedule.epochs_each={self.epochs_each}: {lengths} lengths for {rates} rates; give each rate one"
        return wrong if rates != lengths else super().conflict()


@dataclass
class Cosine(Schedule):
    name: str = fixed("cosine")
    final_factor: float = value(SHARE)


@dataclass
class OneCycle(Schedule):
    name: str = fixed("one_cycle")
    warmup: float = value(SHARE)
    start_factor: float = value(FACTOR)
    final_factor: float = value(FACTOR)


@dataclass
class LatestWeights:
    name: str = fixed("none")


@dataclass
class Polyak:
    name: str = fixed("polyak")
    start: float = value(SHARE)


@dataclass
class Ema:
    name: str = fixed("ema")
    decay: float = value(OPEN_SHARE)
    start: float = value(SHARE)


@dataclass
class Way:
    """A way of fine-tuning."""

    name: str = MISSING


@dataclass
class Discriminative(Way):
    factor: float = value(FACTOR)


@dataclass
class Gradual(Discriminative):
    epochs_each: int = value(COUNT)


@dataclass
class HeadThenAll(Discriminative):
    head_epochs: int = value(COUNT)


@dataclass
class WithoutForgetting(HeadThenAll):
    old_weight: float = value(POSITIVE)
    temperature: float = value(POSITIVE)
    old_classes: int | None = field(default=None, metadata={"rule": COUNT})


STEPS = Rule(lambda x: 0 <= x <= 1000, "a whole number from 0 to 1000")


@dataclass
class Trainer:
    max_epochs: int = value(COUNT)
    accelerator: str = value(one_of("auto", "cpu", "gpu"))
    precision: str = value(one_of("32-true", "bf16-mixed", "16-mixed"))
    clip_norm: float | None = field(default=None, metadata={"rule": POSITIVE})
    log_every_n_steps: int = value(COUNT)
    threads: int | None = field(default=None, metadata={"rule": COUNT})
    accumulate: int = value(COUNT)
    channels_last: bool = MISSING
    compile: bool = MISSING
    filter_rms: float | None = field(default=None, metadata={"rule": POSITIVE})
    patience: int | None = field(default=None, metadata={"rule": COUNT})
    board: str = field(default="full", metadata={"rule": one_of("full", "curves", "none")})
    profile: int = field(default=0, metadata={"rule": STEPS})
    save_minutes: float = value(POSITIVE)
