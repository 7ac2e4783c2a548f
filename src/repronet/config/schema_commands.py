"""The commands that train networks or use trained ones, a class each; see :mod:`repronet.config.command`.

Those that look into networks, layers and data are in :mod:`repronet.config.schema_tools`. Needs no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from repronet.algorithms import TRAINING_ALGORITHMS
from repronet.config import plugins
from repronet.config.command import Command
from repronet.config.fields import flag, optional, required
from repronet.config.groups import TRAINING
from repronet.constraints import COUNT, FOLDER, POSITIVE, SEED, SHARE, Constraint, one_of
from repronet.errors import nearest
from repronet.models import INITIALIZATIONS

BUDGETS = ("smoke", "minutes", "hour", "paper")  # of repronet.papers.experiments
# VIEWS and DENSE of repronet.data.eval_transform
PROTOCOLS = ("center", "ten_crop", "multi_scale", "crops_144", "dense", "dense_multi_scale")
LAYERS = one_of("custom", "torch")
RUN = Constraint(bool, "a run folder", "DIR")
CHECKPOINT = one_of("best", "last")
PNG = Constraint(lambda x: x.lower().endswith(".png") and len(x) > 4, "the name of a .png file", "FILE.png")
ANY_FILE = Constraint(lambda x: bool(x.strip()), "the name of a file", "FILE")
TABLE = Constraint(lambda x: x.endswith((".csv", ".json")), "the name of a .csv or .json file")
PAGE = Constraint(lambda x: x.endswith(".html") and len(x) > 5, "the name of a .html file")
SOURCE = Constraint(lambda x: bool(x.strip()), "a name or a path", "SOURCE")
PICTURES = Constraint(lambda x: bool(x.strip()), "a folder, a picture, a pattern or a .txt with names", "PATH")

NAMES = Constraint(lambda xs: True, "a list of names, [mine] for instance")

WAYS = ("scratch", "head", "all", "discriminative", "gradual", "head_then_all", "lwf")
WAY_LIST = Constraint(
    lambda xs: bool(xs) and set(xs) <= set(WAYS), f"a list, [scratch,head] for instance, of {', '.join(WAYS)}"
)
DRAWINGS = (  # of repronet.cli.drawings, named without torch
    *("filters", "activations", "deconvnet", "receptive_field", "guided", "gradcam", "occlusion"),
    *("activation_maximization", "tsne", "confusion", "loss_surface", "augmentations", "curves"),
)
DRAWING_LIST = Constraint(
    lambda xs: bool(xs) and (xs == ["all"] or set(xs) <= set(DRAWINGS)),
    f"all, or one or several, filters,tsne for instance, of {', '.join(DRAWINGS)}",
    "NAME[,NAME]",
)


def _are_seeds(found: Any) -> bool:
    """How many, or which."""
    if isinstance(found, list):
        return bool(found) and len(set(found)) == len(found) and all(type(x) is int and SEED.check(x) for x in found)
    return type(found) is int and COUNT.check(found)


SEEDS = Constraint(_are_seeds, "how many, 3 for instance, or a list of whole numbers from 0, [0,1,2] for instance")


@Command(
    "train",
    "train a network and test its best weights",
    usage=("[KEY=VALUE ...] [-m]", "resume=DIR", "resume_sweep=DIR"),
    examples=(
        "train",
        "train model=lenet5 data=mnist optimizer.lr=0.05",
        "train experiment=lenet5_1998_mnist5k",
        "train -m seed=0,1,2 layers=custom,torch trainer.max_epochs=5",
    ),
    groups=TRAINING,
)
@dataclass
class Train:
    """Trains on the training split, keeps the weights with the lowest validation error and tests those once. The run
    gets a folder of its own below runs/: logs, checkpoints, the resolved config, one row an epoch (history.csv) and the
    figures (result.json).

    GROUP=CHOICE takes another file of a config group; `repronet list GROUP` names the choices and their keys, such as
    optimizer.lr. resume=DIR goes on with a run that was stopped or killed, resume_sweep=DIR with a multirun.
    """

    layers: str = optional(LAYERS, "whose layers: this project's or torch.nn's", "custom")
    algorithm: str = optional(
        one_of(*TRAINING_ALGORITHMS), "how our layers compute; auto measures what is fastest", "auto"
    )
    seed: int = optional(SEED, "of the weights, the order of the images and the augmentation", 0)
    run_dir: str | None = optional(FOLDER, "a new or empty folder for the run; default: a new one below runs/")
    label_smoothing: float = optional(SHARE, "share of the target that is spread over all classes", 0.0)
    dropout: float | None = optional(SHARE, "dropout before the classifier; default: the network's own")
    initialization: str = optional(one_of("paper", *INITIALIZATIONS), "how weights are initialized", "paper")
    deterministic: bool = flag("use deterministic operations only, and time no algorithms")
    budget: str = optional(one_of(*BUDGETS), "length of an experiment; paper is its full length", "paper")
    weights: str | None = optional(
        SOURCE, "where to start from: a torchvision name (IMAGENET1K_V1), timm/NAME, a file or a run folder"
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
        return f"algorithm={self.algorithm}: torch's layers have no choice; take layers=custom" if wrong else None


@Command(
    "finetune compare",
    "compare ways of fine-tuning side by side",
    usage=("weights=SOURCE [KEY=VALUE ...]",),
    examples=(
        "finetune compare model=resnet18 weights=IMAGENET1K_V1 data=image_folder data.root=photos",
        "finetune compare model=resnet20 weights=resnet20.th data=mnist ways=[scratch,all] seeds=[0,1]",
    ),
    groups=TRAINING,
    takes_words=True,
)
@dataclass
class Compare(Train):
    """Trains once a way and seed, on the same pictures and for as many epochs, and ends with a table and a plot of the
    errors. The runs are in one folder; `repronet train resume_sweep=DIR` goes on with it.
    """

    ways: list[str] = optional(WAY_LIST, "ways of fine-tuning", list(WAYS[:-1]))
    seeds: Any = optional(SEEDS, "how many seeds, from 0, or a list of them", 3)


@Command(
    "eval",
    "test the network of a run, from its folder alone",
    usage=("run=DIR [KEY=VALUE ...]",),
    examples=("eval run=runs/digits", "eval run=runs/digits checkpoint=last", "eval run=runs/digits layers=torch"),
)
@dataclass
class Eval:
    """Rebuilds data and network from the run folder and prints test error and loss, to the last digit those of the
    run.
    """

    run: str = required(RUN, "the run folder")
    checkpoint: str = optional(CHECKPOINT, "weights with the lowest validation error, or the last", "best")
    protocol: str = optional(one_of(*PROTOCOLS), "one view of each image, or the mean over several", "center")
    layers: str | None = optional(LAYERS, "other layers than the run had")
    accelerator: str | None = optional(
        one_of("auto", "cpu", "gpu", "cuda", "mps"), "another accelerator than the run had"
    )
    data_root: str | None = optional(FOLDER, "where the data are now, if they have moved")


@Command(
    "reproduce",
    "run a paper's experiment and record the result",
    usage=("EXPERIMENT [EXPERIMENT ...] [KEY=VALUE ...]",),
    examples=("reproduce lenet5_mnist seeds=3", "reproduce resnet20_cifar10 plain20_cifar10 budget=minutes"),
    takes_words=True,
)
@dataclass
class Reproduce:
    """Trains every seed in runs/reproduced/EXPERIMENT/BUDGET/, tests once by the paper's protocol, and writes one
    record a seed into results/: errors, every epoch, config, commit, versions, hardware, in what it differs from the
    paper, and a hash over all of that. If it was killed, the same command goes on where it was and ends with the same
    figures; finished runs are not run again. `repronet report results` sets the records beside the papers.

    Shorter budgets keep the schedule's shape: minutes is about five on two processor cores, hour is one, smoke is an
    epoch of 20 images a class. Their results are marked as not comparable with the paper.
    """

    seeds: Any = optional(SEEDS, "how many seeds, from 0, or a list of them", 1)
    budget: str = optional(one_of(*BUDGETS), "how long to train", "paper")
    data_root: str | None = optional(FOLDER, "where the data are; default: the user's cache")
    threads: int | None = optional(COUNT, "processor threads; default: as torch chooses")
    results: str = optional(FOLDER, "the folder of the records", "results")


@Command(
    "predict",
    "classify pictures with a trained network",
    usage=("run=DIR images=PATH [KEY=VALUE ...]",),
    examples=("predict run=runs/pets images=new", "predict run=runs/pets images=new out=new.json sheet=unsure.png"),
)
@dataclass
class Predict:
    """Classifies every picture with the network of a run, which needs nothing but its folder, and writes a table of the
    most probable classes. Pictures that cannot be read are named and left out.
    """

    run: str = required(RUN, "the run folder")
    images: str = required(PICTURES, "a folder, a picture, a pattern ('new/*.jpg'), or a .txt with a name a line")
    checkpoint: str = optional(CHECKPOINT, "weights with the lowest validation error, or the last", "best")
    protocol: str = optional(one_of(*PROTOCOLS), "one view of each picture, or the mean over several", "center")
    top: int = optional(COUNT, "classes a picture, the most probable first", 5)
    batch_size: int = optional(COUNT, "pictures at a time", 64)
    out: str = optional(TABLE, "the table, .csv or .json", "predictions.csv")
    sheet: str | None = optional(PNG, "draw the 25 least certain pictures here")
    layers: str = optional(LAYERS, "whose layers: this project's or torch.nn's", "custom")


@Command(
    "visualize",
    "draw what the network of a run has learnt",
    usage=("run=DIR what=NAME[,NAME ...] [KEY=VALUE ...]",),
    examples=(
        "visualize run=runs/digits what=all",
        "visualize run=runs/digits what=deconvnet layer=layer3.0.conv2 maps=9",
    ),
)
@dataclass
class Visualize:
    """Writes one PNG a drawing, and the same for TensorBoard:

    filters          the kernels of the first layer
    activations      the output of layers for one picture
    deconvnet        what excites maps most, projected back to pixels, beside
                     what they see (Zeiler and Fergus 2014)
    receptive_field  what units can see, and how much of it matters
    guided           the gradient of a class, plain and guided
    gradcam          where the evidence for a class is
    occlusion        the effect of a grey square at each place
    activation_maximization  the picture that excites a class most
    tsne             the features of the last layer in the plane
    confusion        what each class is taken for
    loss_surface     the loss around the weights
    augmentations    training pictures, augmented
    curves           loss, error and rate by epoch
    """

    run: str = required(RUN, "the run folder")
    what: list[str] = required(DRAWING_LIST, "all, or drawings by name")
    checkpoint: str = optional(CHECKPOINT, "weights with the lowest validation error, or the last", "best")
    split: str = optional(one_of("train", "val", "test"), "whose pictures", "val")
    layer: str | None = optional(None, "whose maps, by its name in `repronet summary`; default: first to last")
    images: int | None = optional(COUNT, "pictures to show or search; default: as many as the drawing needs")
    maps: int = optional(COUNT, "maps of a layer", 16)
    seed: int = optional(SEED, "of the pictures and directions that are drawn", 0)
    out: str | None = optional(FOLDER, "where the drawings go; default: pictures/ in the run folder")
    layers: str = optional(LAYERS, "whose layers: this project's or torch.nn's", "custom")
    data_root: str | None = optional(FOLDER, "where the data are now, if they have moved")


@Command(
    "report",
    "compare runs with each other and their papers",
    usage=("[DIR ...] [KEY=VALUE ...]",),
    examples=("report", "report runs/sweeps/digits out=sweep.html"),
    takes_words=True,
)
@dataclass
class Report:
    """Prints the errors of the runs in and below the folders and writes one page with them, what their papers
    published, all curves, what the curves say in words, differences between configs, the pictures of repronet
    visualize, and the environment. The page needs no other file.

    For a folder of records, as repronet reproduce writes into results/, it prints paper | ours ± deviation | z | budget
    and what the records say of the papers' claims, and writes both into results/README.md. Without a folder it takes
    results/ and runs/.
    """

    out: str = optional(PAGE, "the page", "report.html")


@Command(
    "export",
    "write the network of a run for other programs",
    usage=("run=DIR to=FORMAT [KEY=VALUE ...]",),
    examples=("export run=runs/pets to=onnx", "export run=runs/pets to=safetensors out=pets.safetensors"),
)
@dataclass
class Export:
    """Writes the network in eval mode, reads the file back as another program would, and keeps it only if both give the
    same output. onnx is a graph for other frameworks and needs `pip install onnx onnxscript`; torch_export is a
    torch.export program (.pt2); safetensors has the weights and the network's name; torchvision has the weights under
    torchvision's keys (.pth).
    """

    run: str = required(RUN, "the run folder")
    to: str = required(one_of("onnx", "torch_export", "safetensors", "torchvision"), "the format")
    checkpoint: str = optional(CHECKPOINT, "weights with the lowest validation error, or the last", "best")
    out: str | None = optional(ANY_FILE, "default: <run>/<network> with the format's ending")
    any_size: bool = optional(
        None, "onnx, torch_export: let height and width be any, where the network takes any", False
    )


@Command(
    "schedule",
    "draw a run's learning rate before it is run",
    usage=("[KEY=VALUE ...]",),
    examples=(
        "schedule",
        "schedule experiment=resnet20_cifar10 steps_per_epoch=352",
        "schedule schedule=cosine schedule.warmup_epochs=5",
    ),
    groups=TRAINING,
)
@dataclass
class Preview(Train):
    """Prints the learning rate by epoch and draws it."""

    steps_per_epoch: int = optional(COUNT, "matters for schedules that count in steps", 100)
    out: str = optional(PNG, "the picture", "schedule.png")


@Command(
    "find-rate",
    "find a learning rate to begin with",
    usage=("[KEY=VALUE ...]",),
    examples=(
        "find-rate",
        "find-rate model=resnet20 data=cifar10 data.batch_size=128",
        "find-rate optimizer=adam high=1",
    ),
    groups=TRAINING,
)
@dataclass
class FindRate(Train):
    """Takes steps with a rate that rises by a constant factor until the loss explodes, and draws the loss over the rate
    (L. N. Smith 2017, section 3.3). The rate where the loss falls fastest is a good one to begin with. Nothing of the
    training is kept.
    """

    low: float = optional(POSITIVE, "the first rate", 1.0e-5)
    high: float = optional(POSITIVE, "the last rate, if the loss has not exploded before", 10.0)
    steps: int = optional(Constraint(lambda x: 20 <= x < 2**31, "a whole number of at least 20", "N"), "how many", 200)
    out: str = optional(PNG, "the picture", "rate.png")

    def conflict(self) -> str | None:
        wrong = f"high={self.high:g}: must be above low={self.low:g}"
        return wrong if self.high <= self.low else super().conflict()
