"""The config keys of optimizer, schedule, averaging and fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass

from repronet.config.fields import Choice, flag, optional, required
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
class Optimizer(Choice):
    """What every optimizer has."""

    lr: float = required(POSITIVE, "learning rate")
    weight_decay: float = required(NOT_NEGATIVE, "weight decay")
    decay: str = optional(one_of("all", "weights"), "what decays; weights: all but biases and norms", "all")


@dataclass
class Sgd(Optimizer):
    momentum: float = optional(SHARE, "momentum, the fraction of the last step that is kept", 0.9)
    nesterov: bool = flag("use Nesterov's momentum")

    def conflict(self) -> str | None:
        wrong = self.nesterov and self.momentum == 0
        return f"optimizer.momentum={self.momentum}: Nesterov's method needs a momentum above 0" if wrong else None


@dataclass
class Adam(Optimizer):
    betas: list[float] = optional(BETAS, "decay of the running means of the gradient and its square", [0.9, 0.999])
    eps: float = optional(POSITIVE, "added to the denominator", 1.0e-8)


@dataclass
class RmsProp(Optimizer):
    alpha: float = required(SHARE, "decay of the running mean square")
    momentum: float = required(SHARE, "momentum, the fraction of the last step that is kept")
    eps: float = required(POSITIVE, "added to the denominator")


@dataclass
class Schedule(Choice):
    """What every schedule has."""

    warmup_epochs: float = optional(NOT_NEGATIVE, "epochs of warm-up at a lower rate", 0.0)
    warmup_start: float = optional(FACTOR, "first rate of the warm-up / optimizer.lr", 0.1)
    warmup_shape: str = optional(
        one_of("linear", "constant"), "linear: rise to the full rate; constant: stay at the first rate", "linear"
    )
    warmup_error: float | None = optional(FACTOR, "end the warm-up when the training error over 50 steps is below this")

    def conflict(self) -> str | None:
        wrong = self.warmup_error is not None and self.warmup_epochs > 0
        return f"schedule.warmup_error={self.warmup_error}: ends the warm-up; leave warmup_epochs=0" if wrong else None


@dataclass
class Multistep(Schedule):
    milestones: list[float] = required(MILESTONES, "times at which the rate is multiplied by gamma")
    gamma: float = required(FACTOR, "factor of the rate")
    unit: str = optional(one_of("epochs", "steps"), "unit of the milestones", "epochs")


@dataclass
class Exponential(Schedule):
    gamma: float = required(FACTOR, "factor of the rate")
    every: float = required(POSITIVE, "epochs between two changes")


@dataclass
class Polynomial(Schedule):
    power: float = required(POSITIVE, "exponent")
    final_factor: float = required(SHARE, "last rate / optimizer.lr")


@dataclass
class Plateau(Schedule):
    gamma: float = required(FACTOR, "factor of the rate")
    patience: int = required(COUNT, "epochs without improvement before the rate falls")
    least: float = required(NOT_NEGATIVE, "smallest decrease of the validation error that counts as an improvement")


@dataclass
class Stages(Schedule):
    rates: list[float] = required(RATES, "rate of each stage / optimizer.lr")
    epochs_each: list[int] = required(LENGTHS, "epochs of each stage; the last one continues to the end")

    def conflict(self) -> str | None:
        rates, lengths = len(self.rates), len(self.epochs_each)
        wrong = f"schedule.epochs_each={self.epochs_each}: {lengths} lengths for {rates} rates; give one for each rate"
        return wrong if rates != lengths else super().conflict()


@dataclass
class Cosine(Schedule):
    final_factor: float = required(SHARE, "last rate / optimizer.lr")


@dataclass
class OneCycle(Schedule):
    warmup: float = required(SHARE, "fraction of the run in which the rate rises")
    start_factor: float = required(FACTOR, "first rate / optimizer.lr")
    final_factor: float = required(SHARE, "last rate / optimizer.lr")


@dataclass
class Polyak(Choice):
    start: float = required(SHARE, "fraction of the run before averaging starts")


@dataclass
class Ema(Choice):
    decay: float = required(OPEN_SHARE, "decay of the mean at each step; the mean covers about 1 / (1 - decay) steps")
    start: float = required(SHARE, "fraction of the run before averaging starts")


@dataclass
class Discriminative(Choice):
    factor: float = optional(FACTOR, "rate of a stage divided by the rate of the next stage towards the output", 0.4)


@dataclass
class Gradual(Discriminative):
    epochs_each: int = required(COUNT, "epochs before the next stage is trained too")


@dataclass
class HeadThenAll(Discriminative):
    head_epochs: int = required(COUNT, "epochs that train only the head")


@dataclass
class WithoutForgetting(HeadThenAll):
    old_weight: float = required(POSITIVE, "weight of the old classes in the loss (the paper's lambda)")
    temperature: float = required(POSITIVE, "softens the old classes' probabilities")
    old_classes: int | None = optional(COUNT, "number of old classes; default: according to the weights")
