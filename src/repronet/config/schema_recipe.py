"""What a config may say of the optimizer, its schedule, averaging and fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass

from repronet.config.fields import flag, optional, required, tag
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

    lr: float = required(POSITIVE, "learning rate")
    weight_decay: float = required(NOT_NEGATIVE, "weight decay")
    decay: str = optional(one_of("all", "weights"), "what decays; weights leaves out biases and norms", "all")


@dataclass
class Sgd(Optimizer):
    name: str = tag("sgd")
    momentum: float = optional(SHARE, "share of the last step that is kept", 0.9)
    nesterov: bool = flag("Nesterov's momentum")

    def conflict(self) -> str | None:
        wrong = self.nesterov and self.momentum == 0
        return f"optimizer.momentum={self.momentum}: Nesterov's method needs one above 0" if wrong else None


@dataclass
class Adam(Optimizer):
    name: str = tag("adam")
    betas: list[float] = optional(BETAS, "decay of the means of gradient and square", [0.9, 0.999])
    eps: float = optional(POSITIVE, "added to the denominator", 1.0e-8)


@dataclass
class RmsProp(Optimizer):
    name: str = tag("rmsprop")
    alpha: float = required(SHARE, "decay of the mean square")
    momentum: float = required(SHARE, "share of the last step that is kept")
    eps: float = required(POSITIVE, "added to the denominator")


@dataclass
class Schedule:
    """What every schedule has."""

    warmup_epochs: float = optional(NOT_NEGATIVE, "length of a warm-up at a lower rate", 0.0)
    warmup_start: float = optional(FACTOR, "first rate of the warm-up / optimizer.lr", 0.1)
    warmup_shape: str = optional(one_of("linear", "constant"), "rising to the full rate, or the first rate", "linear")
    warmup_error: float | None = optional(FACTOR, "warm up until the training error of 50 steps is below this")

    def conflict(self) -> str | None:
        wrong = self.warmup_error is not None and self.warmup_epochs > 0
        return f"schedule.warmup_error={self.warmup_error}: ends the warm-up; leave warmup_epochs=0" if wrong else None


@dataclass
class Constant(Schedule):
    name: str = tag("constant")


@dataclass
class Multistep(Schedule):
    name: str = tag("multistep")
    milestones: list[float] = required(MILESTONES, "when the rate is multiplied by gamma")
    gamma: float = required(FACTOR, "factor")
    unit: str = optional(one_of("epochs", "steps"), "of the milestones", "epochs")


@dataclass
class Exponential(Schedule):
    name: str = tag("exponential")
    gamma: float = required(FACTOR, "factor")
    every: float = required(POSITIVE, "epochs between two steps down")


@dataclass
class Polynomial(Schedule):
    name: str = tag("polynomial")
    power: float = required(POSITIVE, "exponent")
    final_factor: float = required(SHARE, "last rate / optimizer.lr")


@dataclass
class Plateau(Schedule):
    name: str = tag("plateau")
    gamma: float = required(FACTOR, "factor")
    patience: int = required(COUNT, "epochs without an improvement before the rate falls")
    least: float = required(NOT_NEGATIVE, "smallest fall of the validation error that is an improvement")


@dataclass
class Stages(Schedule):
    name: str = tag("stages")
    rates: list[float] = required(RATES, "rate of each stage / optimizer.lr")
    epochs_each: list[int] = required(LENGTHS, "epochs of each stage; the last goes on to the end")

    def conflict(self) -> str | None:
        rates, lengths = len(self.rates), len(self.epochs_each)
        wrong = f"schedule.epochs_each={self.epochs_each}: {lengths} lengths for {rates} rates; give each rate one"
        return wrong if rates != lengths else super().conflict()


@dataclass
class Cosine(Schedule):
    name: str = tag("cosine")
    final_factor: float = required(SHARE, "last rate / optimizer.lr")


@dataclass
class OneCycle(Schedule):
    name: str = tag("one_cycle")
    warmup: float = required(SHARE, "share of the run in which the rate rises")
    start_factor: float = required(FACTOR, "first rate / optimizer.lr")
    final_factor: float = required(FACTOR, "last rate / optimizer.lr")


@dataclass
class LatestWeights:
    name: str = tag("none")


@dataclass
class Polyak:
    name: str = tag("polyak")
    start: float = required(SHARE, "share of the run before averaging begins")


@dataclass
class Ema:
    name: str = tag("ema")
    decay: float = required(OPEN_SHARE, "of the mean at each step; it spans about 1 / (1 - decay) steps")
    start: float = required(SHARE, "share of the run before averaging begins")


@dataclass
class Way:
    """A way of fine-tuning."""

    name: str = tag()


@dataclass
class Discriminative(Way):
    factor: float = optional(FACTOR, "rate of a stage / rate of the next stage towards the output", 0.4)


@dataclass
class Gradual(Discriminative):
    epochs_each: int = required(COUNT, "epochs before the next stage is trained too")


@dataclass
class HeadThenAll(Discriminative):
    head_epochs: int = required(COUNT, "epochs that train the head alone")


@dataclass
class WithoutForgetting(HeadThenAll):
    old_weight: float = required(POSITIVE, "weight of the old classes in the loss (the paper's lambda)")
    temperature: float = required(POSITIVE, "softens the old classes' probabilities")
    old_classes: int | None = optional(COUNT, "how many old classes there were; default: as the weights say")
