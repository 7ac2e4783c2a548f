"""The commands that train networks, one class each; see :mod:`repronet.config.command`.

Those that use a run are in :mod:`repronet.config.schema_runs`, those that look into networks, layers and data in
:mod:`repronet.config.schema_tools`. Needs no torch.
"""

from __future__ import annotations

from typing import Any

from repronet.algorithms import TRAINING_ALGORITHMS
from repronet.config import plugins
from repronet.config.command import Command
from repronet.config.fields import flag, optional
from repronet.config.groups import TRAINING
from repronet.constraints import COUNT, FOLDER, POSITIVE, SEED, SHARE, Constraint, one_of, some_of
from repronet.errors import nearest
from repronet.models import INITIALIZATIONS

BUDGETS = ("smoke", "minutes", "hour", "paper")  # of repronet.papers.experiments
LAYERS = one_of("custom", "torch")
PNG = Constraint(lambda x: x.lower().endswith(".png") and len(x) > 4, "the name of a .png file", "FILE.png")
SOURCE = Constraint(lambda x: bool(x.strip()), "a name or a path", "SOURCE")
PRETRAINED = "pretrained"  # a word for weights, even if a file has this name

NAMES = Constraint(lambda xs: True, "a list of names, such as [mine]")

WAYS = ("scratch", "head", "all", "discriminative", "gradual", "head_then_all", "lwf")


def _are_seeds(found: Any) -> bool:
    """Whether ``found`` is a number of seeds or a list of different ones."""
    if isinstance(found, list):
        return bool(found) and len(set(found)) == len(found) and all(type(x) is int and SEED.check(x) for x in found)
    return type(found) is int and COUNT.check(found)


SEEDS = Constraint(_are_seeds, "a number of seeds, such as 3, or a list of whole numbers from 0, such as [0,1,2]")


@Command(
    "train",
    "train a network and test its best weights",
    usage=("[KEY=VALUE ...] [-m]", "exercises=FILE.py [KEY=VALUE ...]", "resume=DIR", "resume_sweep=DIR"),
    examples=(
        "train",
        "train model=lenet5 data=mnist optimizer.lr=0.05",
        "train experiment=lenet5_1998_mnist5k",
        "train -m seed=0,1,2 layers=custom,torch trainer.max_epochs=5",
        "train -m seed=0,1,2 launcher=joblib launcher.n_jobs=2",
    ),
    groups=TRAINING,
)
class Train:
    """Trains on the training split, selects the weights that are best on validation, and tests them once. The run
    folder below runs/ has logs, checkpoints, the resolved config, one row for each epoch (history.csv) and the results
    (result.json).

    GROUP=CHOICE selects another file of a config group; `repronet list GROUP` lists the choices and their keys, such as
    optimizer.lr. resume=DIR continues a run that was stopped or killed, resume_sweep=DIR a multirun.
    exercises=FILE.py trains on your own layers, written for `repronet exercise`.
    """

    layers: str = optional(LAYERS, "custom: our own layers; torch: PyTorch's", "custom")
    algorithm: str = optional(
        one_of(*TRAINING_ALGORITHMS), "how our own layers compute; auto: the fastest known way", "auto"
    )
    seed: int = optional(SEED, "seed of the weights, the order of images and the augmentation", 0)
    run_dir: str | None = optional(FOLDER, "a new or empty folder for the run; default: a new one below runs/")
    label_smoothing: float = optional(SHARE, "fraction of the target that is spread over all classes", 0.0)
    image_size: int | None = optional(
        COUNT, "height and width of the images that the network sees; default: the network's own"
    )
    dropout: float | None = optional(SHARE, "dropout before the classifier; default: the network's own")
    initialization: str = optional(one_of("paper", *INITIALIZATIONS), "how weights are initialized", "paper")
    deterministic: bool = flag("use deterministic operations only")
    budget: str = optional(one_of(*BUDGETS), "length of an experiment; paper is its full length", "paper")
    weights: str | None = optional(
        SOURCE,
        "initial weights: pretrained (from the network's library), a torchvision name (IMAGENET1K_V1), timm/NAME, "
        "a file or a run folder",
    )
    callbacks: list[str] = optional(NAMES, "callbacks that plugins have registered", [])
    plugins: list[str] = optional(NAMES, "modules given with --plugin; recorded, never imported", [])
    experiment: str | None = None

    def conflict(self) -> str | None:
        known = plugins.named("callback")
        for name in self.callbacks:
            if name not in known:
                there = f" (choices: {', '.join(known)})" if known else "; callbacks are registered by plugins"
                return f"callbacks={name}: no such callback{nearest(name, known)}{there}"
        wrong = self.layers == "torch" and self.algorithm != "auto"
        return (
            f"algorithm={self.algorithm}: PyTorch's layers have no choice of algorithm; use layers=custom"
            if wrong
            else None
        )


@Command(
    "finetune compare",
    "compare ways of fine-tuning side by side",
    usage=("weights=SOURCE [KEY=VALUE ...]",),
    examples=(
        "finetune compare model=resnet18 weights=IMAGENET1K_V1 data=image_folder data.root=photos",
        "finetune compare model=resnet20 weights=resnet20.th data=mnist ways=[scratch,all] seeds=[0,1]",
        "finetune compare models=[resnet18,timm/convnext_tiny] weights=pretrained ways=all data.root=photos "
        "data=image_folder",
    ),
    groups=TRAINING,
    takes_words=True,
)
class Compare(Train):
    """Trains once for each network, way and seed, on the same images and for the same number of epochs, and ends with a
    table and a plot of the errors. The runs share one folder; `repronet train resume_sweep=DIR` continues it.
    """

    models: list[str] = optional(NAMES, "networks, each tuned in every way; default: the one of model=", [])

    ways: list[str] = optional(some_of(WAYS, "scratch,head"), "ways of fine-tuning", list(WAYS[:-1]))
    seeds: Any = optional(SEEDS, "number of seeds, or a list of seeds", 3)


@Command(
    "schedule",
    "draw the learning rate of a run in advance",
    usage=("[KEY=VALUE ...]",),
    examples=(
        "schedule",
        "schedule experiment=resnet20_cifar10 steps_per_epoch=352",
        "schedule schedule=cosine schedule.warmup_epochs=5",
    ),
    groups=TRAINING,
)
class Preview(Train):
    """Prints the learning rate by epoch and draws it."""

    steps_per_epoch: int = optional(COUNT, "steps in an epoch, for schedules that count steps", 100)
    out: str = optional(PNG, "file for the plot", "schedule.png")


@Command(
    "find-rate",
    "find a learning rate to start with",
    usage=("[KEY=VALUE ...]",),
    examples=(
        "find-rate",
        "find-rate model=resnet20 data=cifar10 data.batch_size=128",
        "find-rate optimizer=adam high=1",
    ),
    groups=TRAINING,
)
class FindRate(Train):
    """Trains with a learning rate that rises by a constant factor until the loss explodes, and plots the loss over the
    rate (L. N. Smith 2017, section 3.3). The rate where the loss falls fastest is a good start. The trained weights are
    thrown away.
    """

    low: float = optional(POSITIVE, "first learning rate", 1.0e-5)
    high: float = optional(POSITIVE, "last learning rate, if the loss does not explode before", 10.0)
    steps: int = optional(
        Constraint(lambda x: 20 <= x < 2**31, "a whole number of at least 20", "N"), "number of steps", 200
    )
    out: str = optional(PNG, "file for the plot", "rate.png")

    def conflict(self) -> str | None:
        wrong = f"high={self.high:g}: must be above low={self.low:g}"
        return wrong if self.high <= self.low else super().conflict()
