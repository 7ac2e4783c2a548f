"""What a config may hold: one dataclass a named choice, with the type and the range of every value.

The YAML files hold the values, these classes the rules. A name in a config selects a row of :data:`SCHEMAS` and nothing
else: no key of a config is ever imported, called or evaluated. This file needs no torch, so a wrong value is found
before the heavy libraries load.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from omegaconf import MISSING

from repronet.algorithms import ALGORITHMS, CONVOLUTIONS, TRAINING_ALGORITHMS
from repronet.cli.groups import GROUPS
from repronet.data.steps import completed
from repronet.errors import UserError
from repronet.models import MODELS
from repronet.rules import (
    ANGLE,
    ANY_NUMBER,
    BETAS,
    COUNT,
    FACTOR,
    FOLDER,
    LENGTHS,
    MILESTONES,
    NOT_NEGATIVE,
    POSITIVE,
    PROBABILITY,
    RATES,
    SHARE,
    Rule,
    one_of,
)

IMAGE = Rule(lambda xs: len(xs) == 3 and all(x >= 1 for x in xs), "three whole numbers [C,H,W] of at least 1")
IMAGES = Rule(lambda xs: len(xs) == 4 and all(x >= 1 for x in xs), "four whole numbers [N,C,H,W] of at least 1")
PNG = Rule(lambda x: x.lower().endswith(".png") and len(x) > 4, "the name of a .png file")
ALGORITHM_LIST = Rule(
    lambda xs: bool(xs) and set(xs) <= {*CONVOLUTIONS, "vendor"},
    f"a list, [im2col,vendor] for instance, of {', '.join(CONVOLUTIONS)}, vendor",
)


def sides(least: int) -> Rule:
    """One whole number for height and width, or both of them."""

    def holds(found: Any) -> bool:
        pair = found if isinstance(found, list) else [found]
        return len(pair) in (1, 2) and all(type(n) is int and least <= n < 2**31 for n in pair)

    return Rule(holds, f"a whole number of at least {least}, or two of them [height,width]")


def value(rule: Rule) -> Any:
    """A field that must be given and must satisfy ``rule``."""
    return field(default=MISSING, metadata={"rule": rule})


def fixed(name: str) -> Any:
    """The field that names the choice."""
    return field(default=name)


@dataclass
class Network:
    name: str = MISSING
    loss: str = value(one_of("cross_entropy", "rbf_map"))

    def conflict(self) -> str | None:
        wrong = self.loss == "rbf_map" and self.name != "lenet5_1998"
        return (
            f"model.loss=rbf_map: needs an RBF output, which {self.name} has not; take cross_entropy" if wrong else None
        )


def _is_part(found: Any) -> bool:
    """A share between 0 and 1, or a number of images."""
    if isinstance(found, bool):
        return False
    return (isinstance(found, float) and 0 < found < 1) or (isinstance(found, int) and 1 <= found < 2**31)


PART = Rule(_is_part, "a share above 0 and below 1, or a whole number of images")
VALIDATION = Rule(lambda x: x == "paper" or _is_part(x), f"paper, {PART.wanted}")
SEED = Rule(lambda x: 0 <= x < 2**32, "a whole number from 0 to 4294967295")


PROCESSES = Rule(lambda x: 0 <= x <= 1024, "a whole number of processes from 0 to 1024")
RESIZE = Rule(
    lambda x: x == "original" or (type(x) is int and 1 <= x < 2**15), "original or a whole number of pixels above 0"
)


@dataclass
class Data:
    """What every dataset has."""

    name: str = MISSING
    root: str | None = field(default=None, metadata={"rule": FOLDER})
    val: Any = value(VALIDATION)
    batch_size: int = value(COUNT)
    eval_batch_size: int = value(COUNT)
    batches_per_chunk: int = value(COUNT)
    workers: int | None = field(default=None, metadata={"rule": PROCESSES})


@dataclass
class OneSize(Data):
    """Images of one size, in memory as one tensor."""

    fit: str = value(one_of("pad", "resize"))


@dataclass
class Npz(OneSize):
    test: Any = value(PART)
    split_seed: int = value(SEED)


@dataclass
class Published(Data):
    """Pictures in folders."""

    resize: Any = field(default=None, metadata={"rule": RESIZE})
    memory: float = value(NOT_NEGATIVE)


@dataclass
class Folder(Published):
    test: Any = value(PART)
    split_seed: int = value(SEED)


@dataclass
class Nothing:
    name: str = fixed("none")


@dataclass
class PadCropFlip:
    name: str = fixed("cifar_standard")
    padding: int = value(Rule(lambda x: 0 <= x < 2**15, "a whole number of pixels, at least 0"))
    flip: float = value(PROBABILITY)


@dataclass
class Affine:
    name: str = fixed("affine")
    translate: float = value(NOT_NEGATIVE)
    scale: float = value(SHARE)
    squeeze: float = value(SHARE)
    shear: float = value(ANGLE)
    rotate: float = value(NOT_NEGATIVE)


@dataclass
class Policy:
    """Steps for one picture at a time; :mod:`repronet.data.steps` has their rules."""

    name: str = fixed("policy")
    steps: list[Any] = MISSING

    def conflict(self) -> str | None:
        completed(self.steps)
        return None


@dataclass
class Standardize:
    name: str = fixed("standardize")


@dataclass
class Scale:
    name: str = fixed("scale")
    low: float = value(ANY_NUMBER)
    high: float = value(ANY_NUMBER)

    def conflict(self) -> str | None:
        wrong = self.low >= self.high
        return f"preprocessing.low={self.low}: must be below preprocessing.high={self.high}" if wrong else None


@dataclass
class GlobalContrast:
    name: str = fixed("global_contrast")
    scale: float = value(POSITIVE)
    regularizer: float = value(NOT_NEGATIVE)


@dataclass
class LocalContrast:
    name: str = fixed("local_contrast")
    size: int = value(Rule(lambda x: x > 0 and x % 2 == 1, "an odd number of pixels"))


@dataclass
class Zca:
    name: str = fixed("zca")
    epsilon: float = value(POSITIVE)


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
        return wrong if rates != lengths else None


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
class Trainer:
    max_epochs: int = value(COUNT)
    accelerator: str = value(one_of("auto", "cpu", "gpu"))
    precision: str = value(one_of("32-true", "bf16-mixed", "16-mixed"))
    clip_norm: float | None = field(default=None, metadata={"rule": POSITIVE})
    log_every_n_steps: int = value(COUNT)
    threads: int | None = field(default=None, metadata={"rule": COUNT})

    def conflict(self) -> str | None:
        wrong = self.clip_norm is not None and self.precision == "16-mixed"
        return (
            f"trainer.clip_norm={self.clip_norm}: gradients are scaled under 16-mixed; take bf16-mixed"
            if wrong
            else None
        )


@dataclass
class Train:
    """The keys of ``repronet train`` outside the groups."""

    layers: str = value(one_of("custom", "torch"))
    algorithm: str = field(default="auto", metadata={"rule": one_of(*TRAINING_ALGORITHMS)})
    label_smoothing: float = value(SHARE)
    seed: int = value(SEED)
    run_dir: str | None = field(default=None, metadata={"rule": FOLDER})
    experiment: str | None = None

    def conflict(self) -> str | None:
        wrong = self.layers == "torch" and self.algorithm != "auto"
        return f"algorithm={self.algorithm}: torch's layers have no choice; take layers=custom" if wrong else None


@dataclass
class Preview(Train):
    """The keys of ``repronet schedule``: those of a run, and how it is drawn."""

    steps_per_epoch: int = value(COUNT)
    out: str = value(PNG)


@dataclass
class Eval:
    """The keys of ``repronet eval``."""

    run: str = value(Rule(bool, "a run folder"))
    checkpoint: str = value(one_of("best", "last"))
    layers: str | None = field(default=None, metadata={"rule": one_of("custom", "torch")})
    accelerator: str | None = field(default=None, metadata={"rule": one_of("auto", "cpu", "gpu")})
    data_root: str | None = field(default=None, metadata={"rule": FOLDER})


BENCH_INPUT = (64, 16, 32, 32)  # N, C, H, W where nothing is said


@dataclass
class Bench:
    """The keys of ``repronet bench conv``."""

    input: list[int] | None = field(default=None, metadata={"rule": IMAGES})
    filters: int = value(COUNT)
    kernel: Any = value(sides(1))
    stride: Any = value(sides(1))
    padding: Any = value(sides(0))
    dilation: Any = value(sides(1))
    groups: int = value(COUNT)
    algorithms: list[str] = value(ALGORITHM_LIST)
    dtype: str = value(one_of("float32", "float64", "bfloat16"))
    memory_format: str = value(one_of("contiguous", "channels_last"))
    accelerator: str = value(one_of("cpu", "gpu"))
    threads: int | None = field(default=None, metadata={"rule": COUNT})

    def conflict(self) -> str | None:
        channels = self.input[1] if self.input else BENCH_INPUT[1]
        for key, number in (("filters", self.filters), ("input", channels)):
            if number % self.groups:
                return f"groups={self.groups}: must divide the {number} channels of {key}="
        return None


@dataclass
class Gradcheck:
    """The keys of ``repronet gradcheck``."""

    layer: str | None = None
    algorithm: str = value(one_of(*ALGORITHMS))
    details: bool = MISSING
    batch: int = value(COUNT)
    seed: int = value(SEED)


@dataclass
class Summary:
    """The keys of ``repronet summary``."""

    input: list[int] | None = field(default=None, metadata={"rule": IMAGE})
    num_classes: int | None = field(default=None, metadata={"rule": COUNT})
    batch: int = value(COUNT)
    layers: str = value(one_of("custom", "torch"))
    depth: int | None = field(default=None, metadata={"rule": COUNT})
    format: str = value(one_of("table", "json", "csv", "md"))


@dataclass
class Augment:
    """The keys of ``repronet augment``."""

    images: int = value(COUNT)
    variants: int = value(COUNT)
    each: bool = MISSING
    size: int | None = field(default=None, metadata={"rule": COUNT})
    seed: int = value(SEED)
    out: str = value(PNG)
    logdir: str | None = field(default=None, metadata={"rule": FOLDER})


@dataclass
class Check:
    """The keys of ``repronet data check``."""

    format: str = value(one_of("table", "json"))


@dataclass
class Verify:
    """``repronet verify`` has no keys outside its group."""


SCHEMAS: dict[str, dict[str, type]] = {
    "model": dict.fromkeys(MODELS, Network),
    "data": {
        **dict.fromkeys(("mnist5k", "mnist", "fashion_mnist", "svhn", "stl10", "cifar10", "cifar100"), OneSize),
        **dict.fromkeys(("imagenette", "imagenet"), Published),
        "image_folder": Folder,
        "npz": Npz,
    },
    "augmentation": {"none": Nothing, "affine": Affine, "cifar_standard": PadCropFlip, "policy": Policy},
    "preprocessing": {
        "standardize": Standardize,
        "scale": Scale,
        "per_pixel_mean": Nothing,
        "per_image": Nothing,
        "global_contrast": GlobalContrast,
        "local_contrast": LocalContrast,
        "zca": Zca,
    },
    "normalization": dict.fromkeys(
        ("paper", "none", "batch", "local_response", "local_contrast", "layer", "group", "instance"), Nothing
    ),
    "optimizer": {"sgd": Sgd, "adam": Adam, "adamw": Adam, "rmsprop": RmsProp},
    "schedule": {
        "constant": Constant,
        "multistep": Multistep,
        "exponential": Exponential,
        "polynomial": Polynomial,
        "plateau": Plateau,
        "stages": Stages,
        "cosine": Cosine,
        "one_cycle": OneCycle,
    },
}


COMMANDS: dict[str, type] = {
    "train": Train,
    "preview": Preview,
    "eval": Eval,
    "summary": Summary,
    "verify": Verify,
    "augment": Augment,
    "check": Check,
    "bench": Bench,
    "gradcheck": Gradcheck,
}

GROUPS_OF: dict[str, tuple[str, ...]] = {
    "train": GROUPS,
    "preview": GROUPS,
    "eval": (),
    "summary": ("model", "optimizer"),
    "verify": ("model",),
    "augment": ("data", "augmentation"),
    "check": ("data",),
    "bench": ("model",),
    "gradcheck": ("model",),
}


def check_rules(config: Any, path: str = "") -> None:
    """Check every rule of a dataclass instance, then its ``conflict()`` between values where it has one.

    Raises:
        UserError: for the first value that breaks its rule or is not finite, with its key and what is wanted.
    """
    assert is_dataclass(config)
    for item in fields(config):
        found, key = getattr(config, item.name), f"{path}{item.name}"
        rule = item.metadata.get("rule")
        if rule is None or found is None:
            continue
        numbers = found if isinstance(found, list) else [found]
        finite = all(math.isfinite(n) for n in numbers if isinstance(n, float))
        if not finite or not rule.holds(found):
            raise UserError(f"{key}={found}: must be {rule.wanted}")
    conflict = getattr(config, "conflict", lambda: None)()
    if conflict:
        raise UserError(conflict)
