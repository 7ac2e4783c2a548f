"""The keys of each command outside the groups of choices: one dataclass a command, and which groups it takes.

Needs no torch; see :mod:`repronet.config.schema`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from repronet.algorithms import ALGORITHMS, CONVOLUTIONS, TRAINING_ALGORITHMS
from repronet.config.fields import optional, required
from repronet.config.groups import GROUPS
from repronet.constraints import COUNT, FOLDER, POSITIVE, SEED, SHARE, Constraint, one_of
from repronet.models import INITIALIZATIONS

BUDGETS = ("smoke", "minutes", "hour", "paper")  # of repronet.papers.experiments
PROTOCOLS = ("center", "ten_crop", "multi_scale")  # of repronet.data.eval_transform, named without torch
IMAGE = Constraint(lambda xs: len(xs) == 3 and all(x >= 1 for x in xs), "three whole numbers [C,H,W] of at least 1")
IMAGES = Constraint(lambda xs: len(xs) == 4 and all(x >= 1 for x in xs), "four whole numbers [N,C,H,W] of at least 1")
PNG = Constraint(lambda x: x.lower().endswith(".png") and len(x) > 4, "the name of a .png file")
ALGORITHM_LIST = Constraint(
    lambda xs: bool(xs) and set(xs) <= {*CONVOLUTIONS, "vendor"},
    f"a list, [im2col,vendor] for instance, of {', '.join(CONVOLUTIONS)}, vendor",
)

WAYS = ("scratch", "head", "all", "discriminative", "gradual", "head_then_all", "lwf")
WAY_LIST = Constraint(
    lambda xs: bool(xs) and set(xs) <= set(WAYS), f"a list, [scratch,head] for instance, of {', '.join(WAYS)}"
)


def _are_seeds(found: Any) -> bool:
    """How many, or which."""
    if isinstance(found, list):
        return bool(found) and len(set(found)) == len(found) and all(type(x) is int and SEED.check(x) for x in found)
    return type(found) is int and COUNT.check(found)


SEEDS = Constraint(_are_seeds, "how many, 3 for instance, or a list of whole numbers from 0, [0,1,2] for instance")


def sides(least: int) -> Constraint:
    """One whole number for height and width, or both of them."""

    def holds(found: Any) -> bool:
        pair = found if isinstance(found, list) else [found]
        return len(pair) in (1, 2) and all(type(n) is int and least <= n < 2**31 for n in pair)

    return Constraint(holds, f"a whole number of at least {least}, or two of them [height,width]")


@dataclass
class Train:
    """The keys of ``repronet train`` outside the groups."""

    layers: str = required(one_of("custom", "torch"))
    algorithm: str = field(default="auto", metadata={"rule": one_of(*TRAINING_ALGORITHMS)})
    label_smoothing: float = required(SHARE)
    weights: str | None = field(
        default=None, metadata={"rule": Constraint(lambda x: bool(x.strip()), "a name or a path")}
    )
    dropout: float | None = field(default=None, metadata={"rule": SHARE})
    initialization: str = required(one_of("paper", *INITIALIZATIONS))
    budget: str = field(default="paper", metadata={"rule": one_of(*BUDGETS)})  # earlier runs name none
    deterministic: bool = MISSING
    seed: int = required(SEED)
    run_dir: str | None = field(default=None, metadata={"rule": FOLDER})
    callbacks: list[str] = optional(None, "callbacks of plugins, by name", [])
    plugins: list[str] = optional(None, "modules given with --plugin; recorded, never imported", [])
    experiment: str | None = None

    def conflict(self) -> str | None:
        wrong = self.layers == "torch" and self.algorithm != "auto"
        return f"algorithm={self.algorithm}: torch's layers have no choice; take layers=custom" if wrong else None


@dataclass
class Preview(Train):
    """The keys of ``repronet schedule``: those of a run, and how it is drawn."""

    steps_per_epoch: int = required(COUNT)
    out: str = required(PNG)


@dataclass
class Compare(Train):
    """The keys of ``repronet finetune compare``: those of a run, and what is compared."""

    ways: list[str] = required(WAY_LIST)
    seeds: Any = required(SEEDS)


@dataclass
class FindRate(Train):
    """The keys of ``repronet find-rate``: those of a run, and which rates are tried."""

    low: float = required(POSITIVE)
    high: float = required(POSITIVE)
    steps: int = required(Constraint(lambda x: 20 <= x < 2**31, "a whole number of at least 20"))
    out: str = required(PNG)

    def conflict(self) -> str | None:
        wrong = f"high={self.high:g}: must be above low={self.low:g}"
        return wrong if self.high <= self.low else super().conflict()


@dataclass
class Eval:
    """The keys of ``repronet eval``."""

    run: str = required(Constraint(bool, "a run folder"))
    checkpoint: str = required(one_of("best", "last"))
    protocol: str = required(one_of(*PROTOCOLS))
    layers: str | None = field(default=None, metadata={"rule": one_of("custom", "torch")})
    accelerator: str | None = field(default=None, metadata={"rule": one_of("auto", "cpu", "gpu")})
    data_root: str | None = field(default=None, metadata={"rule": FOLDER})


@dataclass
class Predict:
    """The keys of ``repronet predict``."""

    run: str = required(Constraint(bool, "a run folder"))
    images: str = required(Constraint(lambda x: bool(x.strip()), "a folder, a picture, a pattern or a .txt with names"))
    checkpoint: str = required(one_of("best", "last"))
    protocol: str = required(one_of(*PROTOCOLS))
    top: int = required(COUNT)
    batch_size: int = required(COUNT)
    out: str = required(Constraint(lambda x: x.endswith((".csv", ".json")), "the name of a .csv or .json file"))
    sheet: str | None = field(default=None, metadata={"rule": PNG})
    layers: str = required(one_of("custom", "torch"))


@dataclass
class Export:
    """The keys of ``repronet export``."""

    run: str = required(Constraint(bool, "a run folder"))
    to: str = required(one_of("onnx", "torch_export", "safetensors", "torchvision"))
    checkpoint: str = required(one_of("best", "last"))
    out: str | None = field(
        default=None, metadata={"rule": Constraint(lambda x: bool(x.strip()), "the name of a file")}
    )


DRAWINGS = (  # of repronet.cli.drawings, named without torch
    *("filters", "activations", "deconvnet", "receptive_field", "guided", "gradcam", "occlusion"),
    *("activation_maximization", "tsne", "confusion", "loss_surface", "augmentations", "curves"),
)
DRAWING_LIST = Constraint(
    lambda xs: bool(xs) and (xs == ["all"] or set(xs) <= set(DRAWINGS)),
    f"all, or one or several, filters,tsne for instance, of {', '.join(DRAWINGS)}",
)


@dataclass
class Visualize:
    """The keys of ``repronet visualize``."""

    run: str = required(Constraint(bool, "a run folder"))
    what: list[str] = required(DRAWING_LIST)
    checkpoint: str = required(one_of("best", "last"))
    split: str = required(one_of("train", "val", "test"))
    layer: str | None = None
    images: int | None = field(default=None, metadata={"rule": COUNT})
    maps: int = required(COUNT)
    seed: int = required(SEED)
    out: str | None = field(default=None, metadata={"rule": FOLDER})
    layers: str = required(one_of("custom", "torch"))
    data_root: str | None = field(default=None, metadata={"rule": FOLDER})


@dataclass
class Report:
    """The keys of ``repronet report``."""

    out: str = required(Constraint(lambda x: x.endswith(".html") and len(x) > 5, "the name of a .html file"))


@dataclass
class Reproduce:
    """The keys of ``repronet reproduce``."""

    seeds: Any = required(SEEDS)
    budget: str = required(one_of(*BUDGETS))
    data_root: str | None = field(default=None, metadata={"rule": FOLDER})
    threads: int | None = field(default=None, metadata={"rule": COUNT})
    results: str = required(FOLDER)


BENCH_INPUT = (64, 16, 32, 32)  # N, C, H, W where nothing is said


@dataclass
class Bench:
    """The keys of ``repronet bench conv``."""

    input: list[int] | None = field(default=None, metadata={"rule": IMAGES})
    filters: int = required(COUNT)
    kernel: Any = required(sides(1))
    stride: Any = required(sides(1))
    padding: Any = required(sides(0))
    dilation: Any = required(sides(1))
    groups: int = required(COUNT)
    algorithms: list[str] = required(ALGORITHM_LIST)
    dtype: str = required(one_of("float32", "float64", "bfloat16"))
    memory_format: str = required(one_of("contiguous", "channels_last"))
    accelerator: str = required(one_of("cpu", "gpu"))
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
    algorithm: str = required(one_of(*ALGORITHMS))
    details: bool = MISSING
    batch: int = required(COUNT)
    seed: int = required(SEED)


@dataclass
class Summary:
    """The keys of ``repronet summary``."""

    input: list[int] | None = field(default=None, metadata={"rule": IMAGE})
    num_classes: int | None = field(default=None, metadata={"rule": COUNT})
    batch: int = required(COUNT)
    layers: str = required(one_of("custom", "torch"))
    depth: int | None = field(default=None, metadata={"rule": COUNT})
    format: str = required(one_of("table", "json", "csv", "md"))


@dataclass
class Augment:
    """The keys of ``repronet augment``."""

    images: int = required(COUNT)
    variants: int = required(COUNT)
    each: bool = MISSING
    size: int | None = field(default=None, metadata={"rule": COUNT})
    seed: int = required(SEED)
    out: str = required(PNG)
    logdir: str | None = field(default=None, metadata={"rule": FOLDER})


@dataclass
class Check:
    """The keys of ``repronet data check``."""

    format: str = required(one_of("table", "json"))


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
