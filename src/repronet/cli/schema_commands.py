"""The keys of each command outside the groups of choices: one dataclass a command, and which groups it takes.

Needs no torch; see :mod:`repronet.cli.schema`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from repronet.algorithms import ALGORITHMS, CONVOLUTIONS, TRAINING_ALGORITHMS
from repronet.cli.fields import value
from repronet.cli.groups import GROUPS
from repronet.models import INITIALIZATIONS
from repronet.rules import COUNT, FOLDER, POSITIVE, SEED, SHARE, Rule, one_of

BUDGETS = ("smoke", "minutes", "hour", "paper")  # of repronet.papers.experiments
PROTOCOLS = ("center", "ten_crop", "multi_scale")  # of repronet.data.lens, named without torch
IMAGE = Rule(lambda xs: len(xs) == 3 and all(x >= 1 for x in xs), "three whole numbers [C,H,W] of at least 1")
IMAGES = Rule(lambda xs: len(xs) == 4 and all(x >= 1 for x in xs), "four whole numbers [N,C,H,W] of at least 1")
PNG = Rule(lambda x: x.lower().endswith(".png") and len(x) > 4, "the name of a .png file")
ALGORITHM_LIST = Rule(
    lambda xs: bool(xs) and set(xs) <= {*CONVOLUTIONS, "vendor"},
    f"a list, [im2col,vendor] for instance, of {', '.join(CONVOLUTIONS)}, vendor",
)

WAYS = ("scratch", "head", "all", "discriminative", "gradual", "head_then_all", "lwf")
WAY_LIST = Rule(
    lambda xs: bool(xs) and set(xs) <= set(WAYS), f"a list, [scratch,head] for instance, of {', '.join(WAYS)}"
)


def _are_seeds(found: Any) -> bool:
    """How many, or which."""
    if isinstance(found, list):
        return bool(found) and len(set(found)) == len(found) and all(type(x) is int and SEED.holds(x) for x in found)
    return type(found) is int and COUNT.holds(found)


SEEDS = Rule(_are_seeds, "how many, 3 for instance, or a list of whole numbers from 0, [0,1,2] for instance")


def sides(least: int) -> Rule:
    """One whole number for height and width, or both of them."""

    def holds(found: Any) -> bool:
        pair = found if isinstance(found, list) else [found]
        return len(pair) in (1, 2) and all(type(n) is int and least <= n < 2**31 for n in pair)

    return Rule(holds, f"a whole number of at least {least}, or two of them [height,width]")


@dataclass
class Train:
    """The keys of ``repronet train`` outside the groups."""

    layers: str = value(one_of("custom", "torch"))
    algorithm: str = field(default="auto", metadata={"rule": one_of(*TRAINING_ALGORITHMS)})
    label_smoothing: float = value(SHARE)
    weights: str | None = field(default=None, metadata={"rule": Rule(lambda x: bool(x.strip()), "a name or a path")})
    dropout: float | None = field(default=None, metadata={"rule": SHARE})
    initialization: str = value(one_of("paper", *INITIALIZATIONS))
    budget: str = field(default="paper", metadata={"rule": one_of(*BUDGETS)})  # earlier runs name none
    deterministic: bool = MISSING
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
class Compare(Train):
    """The keys of ``repronet finetune compare``: those of a run, and what is compared."""

    ways: list[str] = value(WAY_LIST)
    seeds: Any = value(SEEDS)


@dataclass
class FindRate(Train):
    """The keys of ``repronet find-rate``: those of a run, and which rates are tried."""

    low: float = value(POSITIVE)
    high: float = value(POSITIVE)
    steps: int = value(Rule(lambda x: 20 <= x < 2**31, "a whole number of at least 20"))
    out: str = value(PNG)

    def conflict(self) -> str | None:
        wrong = f"high={self.high:g}: must be above low={self.low:g}"
        return wrong if self.high <= self.low else super().conflict()


@dataclass
class Eval:
    """The keys of ``repronet eval``."""

    run: str = value(Rule(bool, "a run folder"))
    checkpoint: str = value(one_of("best", "last"))
    protocol: str = value(one_of(*PROTOCOLS))
    layers: str | None = field(default=None, metadata={"rule": one_of("custom", "torch")})
    accelerator: str | None = field(default=None, metadata={"rule": one_of("auto", "cpu", "gpu")})
    data_root: str | None = field(default=None, metadata={"rule": FOLDER})


@dataclass
class Predict:
    """The keys of ``repronet predict``."""

    run: str = value(Rule(bool, "a run folder"))
    images: str = value(Rule(lambda x: bool(x.strip()), "a folder, a picture, a pattern or a .txt with names"))
    checkpoint: str = value(one_of("best", "last"))
    protocol: str = value(one_of(*PROTOCOLS))
    top: int = value(COUNT)
    batch_size: int = value(COUNT)
    out: str = value(Rule(lambda x: x.endswith((".csv", ".json")), "the name of a .csv or .json file"))
    sheet: str | None = field(default=None, metadata={"rule": PNG})
    layers: str = value(one_of("custom", "torch"))


@dataclass
class Export:
    """The keys of ``repronet export``."""

    run: str = value(Rule(bool, "a run folder"))
    to: str = value(one_of("onnx", "torch_export", "safetensors", "torchvision"))
    checkpoint: str = value(one_of("best", "last"))
    out: str | None = field(default=None, metadata={"rule": Rule(lambda x: bool(x.strip()), "the name of a file")})


DRAWINGS = (  # of repronet.cli.drawings, named without torch
    *("filters", "activations", "deconvnet", "receptive_field", "guided", "gradcam", "occlusion"),
    *("activation_maximization", "tsne", "confusion", "loss_surface", "augmentations", "curves"),
)
DRAWING_LIST = Rule(
    lambda xs: bool(xs) and (xs == ["all"] or set(xs) <= set(DRAWINGS)),
    f"all, or one or several, filters,tsne for instance, of {', '.join(DRAWINGS)}",
)


@dataclass
class Visualize:
    """The keys of ``repronet visualize``."""

    run: str = value(Rule(bool, "a run folder"))
    what: list[str] = value(DRAWING_LIST)
    checkpoint: str = value(one_of("best", "last"))
    split: str = value(one_of("train", "val", "test"))
    layer: str | None = None
    images: int | None = field(default=None, metadata={"rule": COUNT})
    maps: int = value(COUNT)
    seed: int = value(SEED)
    out: str | None = field(default=None, metadata={"rule": FOLDER})
    layers: str = value(one_of("custom", "torch"))
    data_root: str | None = field(default=None, metadata={"rule": FOLDER})


@dataclass
class Report:
    """The keys of ``repronet report``."""

    out: str = value(Rule(lambda x: x.endswith(".html") and len(x) > 5, "the name of a .html file"))


@dataclass
class Reproduce:
    """The keys of ``repronet reproduce``."""

    seeds: Any = value(SEEDS)
    budget: str = value(one_of(*BUDGETS))
    data_root: str | None = field(default=None, metadata={"rule": FOLDER})
    threads: int | None = field(default=None, metadata={"rule": COUNT})
    results: str = value(FOLDER)


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


COMMANDS: dict[str, type] = {
    "train": Train,
    "preview": Preview,
    "find_rate": FindRate,
    "compare": Compare,
    "predict": Predict,
    "export": Export,
    "visualize": Visualize,
    "report": Report,
    "reproduce": Reproduce,
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
    "find_rate": GROUPS,
    "compare": GROUPS,
    "predict": (),
    "export": (),
    "visualize": (),
    "report": (),
    "reproduce": (),
    "eval": (),
    "summary": ("model", "optimizer"),
    "verify": ("model",),
    "augment": ("data", "augmentation"),
    "check": ("data",),
    "bench": ("model",),
    "gradcheck": ("model",),
}
