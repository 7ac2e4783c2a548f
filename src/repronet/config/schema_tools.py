"""The commands that look into networks, layers and data; see :mod:`repronet.config.command`. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from repronet.algorithms import ALGORITHMS, CONVOLUTIONS
from repronet.config.command import Command
from repronet.config.fields import flag, optional
from repronet.config.schema_commands import LAYERS, PNG
from repronet.constraints import COUNT, FOLDER, SEED, Constraint, one_of

IMAGE = Constraint(
    lambda xs: len(xs) == 3 and all(x >= 1 for x in xs), "three whole numbers [C,H,W] of at least 1", "C,H,W"
)
IMAGES = Constraint(
    lambda xs: len(xs) == 4 and all(x >= 1 for x in xs), "four whole numbers [N,C,H,W] of at least 1", "[N,C,H,W]"
)
BENCHED = [*CONVOLUTIONS, "vendor"]
ALGORITHM_LIST = Constraint(
    lambda xs: bool(xs) and set(xs) <= set(BENCHED), f"a list, [im2col,vendor] for instance, of {', '.join(BENCHED)}"
)
BENCH_INPUT = (64, 16, 32, 32)  # N, C, H, W where nothing is said


def sides(least: int) -> Constraint:
    """One whole number for height and width, or both of them."""

    def holds(found: Any) -> bool:
        pair = found if isinstance(found, list) else [found]
        return len(pair) in (1, 2) and all(type(n) is int and least <= n < 2**31 for n in pair)

    return Constraint(holds, f"a whole number of at least {least}, or two of them [height,width]")


@Command(
    "summary",
    "show what every layer of a network costs and sees",
    usage=("model=NAME [KEY=VALUE ...]",),
    examples=(
        "summary model=lenet5",
        "summary model=lenet5 input=3,32,32 batch=64 optimizer=adam",
        "summary model=lenet5_1998 format=json",
    ),
    groups={"model": None, "optimizer": "sgd"},
)
@dataclass
class Summary:
    """Prints a row a layer: output shape; receptive field with its stride and padding; weights, neurons, connections,
    multiply-accumulates and memory of the output. Below are the totals with the memory of training: what autograd saves
    for the backward pass, parameters, gradients, and what optimizer= keeps a parameter. Nothing is computed, so the
    largest network takes seconds and no memory.
    """

    input: list[int] | None = optional(IMAGE, "channels, height and width; default: the network's own")
    num_classes: int | None = optional(COUNT, "default: the paper's")
    batch: int = optional(COUNT, "images at a time, for the memory", 1)
    layers: str = optional(LAYERS, "whose layers, for the memory of training", "custom")
    depth: int | None = optional(
        COUNT, "1: a row for each part of the network, 2: for each part of these; default: for each layer"
    )
    format: str = optional(
        one_of("table", "json", "csv", "md"), "rounded figures in 80 columns, or exact ones", "table"
    )


@Command(
    "verify",
    "check networks against what papers published",
    usage=("[model=NAME] [source=release]",),
    examples=("verify", "verify model=lenet5_1998", "verify source=release", "verify source=release model=nin"),
    groups={"model": None},
)
@dataclass
class Verify:
    """Builds each network without memory for its weights and compares parameters to the last digit,
    multiply-accumulates within the printed rounding, the output shape of each stage, receptive fields, and
    connections where the paper counts them; also the exact sizes recorded with this version. Prints a line a
    network and below it what is not as expected. The exit code is 1 if anything is. With model=, prints every check
    of one network.

    With source=release, holds each network operator by operator against the definition that its authors released:
    kinds and order, maps, windows, strides, paddings, rounding, groups, biases, dropout, constants of norms, fresh
    weights where the file states them. A difference that is meant is named with its reason in
    repronet.papers.releases; one that is not named, or a name for what is no longer there, is an error.
    """

    source: str = optional(
        one_of("sizes", "release"), "what to hold networks against: printed sizes, or the authors' definitions", "sizes"
    )


@Command(
    "gradcheck",
    "prove the gradients of the layers, or of a network",
    usage=("[layer=NAME | model=NAME] [KEY=VALUE ...]",),
    examples=(
        "gradcheck",
        "gradcheck layer=conv2d algorithm=im2col",
        "gradcheck layer=max_pool2d details=true",
        "gradcheck model=lenet5_1998",
    ),
    groups={"model": None},
)
@dataclass
class Gradcheck:
    """Compares every gradient of every layer, in float64, with torch.autograd's through a naive forward of plain
    operations, with central differences, and with torch's own layer; second derivatives as well. A row a layer and case
    shows the largest relative error of each; the last column is the verdict. With model=, compares the gradient of
    every parameter under our layers with that under torch's. The exit code is 1 if anything is wrong.
    """

    layer: str | None = optional(None, "the cases of one layer, conv2d for instance; default: all layers")
    algorithm: str = optional(one_of(*ALGORITHMS), "of layers that have a choice; own: every one of ours", "own")
    details: bool = flag("a row a gradient, not a row a case")
    batch: int = optional(COUNT, "images, for model=", 4)
    seed: int = optional(SEED, "of the random numbers", 0)


@Command(
    "bench conv",
    "time the algorithms of convolution",
    usage=("[KEY=VALUE ...]",),
    examples=(
        "bench conv",
        "bench conv input=[128,64,8,8] filters=64",
        "bench conv input=[16,128,28,28] filters=128 groups=128",
        "bench conv model=lenet5 input=[256,1,32,32]",
    ),
    groups={"model": None},
)
@dataclass
class Bench:
    """Times each algorithm for one shape, or with model= for every shape in a network: the forward pass and both
    gradients, alternating, the least of ten calls. A star marks the choice of algorithm=auto, which chooses for each of
    the three separately.
    """

    input: list[int] | None = optional(IMAGES, "default: [64,16,32,32], or 64 images as the network takes them")
    filters: int = optional(COUNT, "output channels", 16)
    kernel: Any = optional(sides(1), "height and width, one number or [height,width]", 3)
    stride: Any = optional(sides(1), "as kernel", 1)
    padding: Any = optional(sides(0), "as kernel", 1)
    dilation: Any = optional(sides(1), "as kernel", 1)
    groups: int = optional(COUNT, "groups of channels", 1)
    algorithms: list[str] = optional(ALGORITHM_LIST, "which to time", BENCHED)
    dtype: str = optional(one_of("float32", "float64", "bfloat16"), "of the numbers", "float32")
    memory_format: str = optional(one_of("contiguous", "channels_last"), "of the tensors", "contiguous")
    accelerator: str = optional(one_of("cpu", "gpu"), "what computes", "cpu")
    threads: int | None = optional(COUNT, "processor threads; default: as torch chooses")

    def conflict(self) -> str | None:
        channels = self.input[1] if self.input else BENCH_INPUT[1]
        for key, number in (("filters", self.filters), ("input", channels)):
            if number % self.groups:
                return f"groups={self.groups}: must divide the {number} channels of {key}="
        return None


@Command(
    "augment",
    "draw images beside their augmented versions",
    usage=("[data=NAME] [augmentation=NAME] [KEY=VALUE ...]",),
    examples=(
        "augment",
        "augment data=cifar10 augmentation=lecture each=true",
        "augment data=image_folder data.root=photos augmentation=inception",
        "augment augmentation=lecture 'augmentation.steps=[{op: rotate, degrees: 30, p: 0.5}, {op: fog}]'",
    ),
    groups={"data": "mnist5k", "augmentation": "mnist"},
)
@dataclass
class Augment:
    """Writes a sheet with a row an image, the original first. What is drawn depends on the seed alone.

    augmentation.steps makes a policy of your own: a list of steps, together with any policy of steps, lecture for
    instance.
    """

    images: int = optional(COUNT, "rows", 4)
    variants: int = optional(COUNT, "augmented versions of each image", 8)
    each: bool = flag("a row a step of the policy, each applied alone and always")
    size: int | None = optional(COUNT, "pixels; default: the images' own size, 224 for a folder of pictures")
    seed: int = optional(SEED, "of the images shown and of their augmentation", 0)
    out: str = optional(PNG, "the sheet", "augment.png")
    logdir: str | None = optional(FOLDER, "a TensorBoard folder that gets the sheet too")


@Command(
    "data check",
    "check a folder of pictures before training",
    usage=("data.root=DIR [KEY=VALUE ...]",),
    examples=(
        "data check data.root=photos",
        "data check data.root=photos format=json",
        "data check data.root=photos aside=unreadable",
    ),
    groups={"data": "image_folder"},
)
@dataclass
class Check:
    """Reads every file as a run would and reports what is odd, with what a run does about it: files that cannot be
    read, pictures in two splits, classes that are empty or in one split alone, strange files, unusual pictures. The
    folder is train/<class>/… with val and test, or <class>/… alone. The exit code is 1 if a run would stop or learn
    wrong.
    """

    format: str = optional(one_of("table", "json"), "a summary, or every finding", "table")
    aside: str | None = optional(FOLDER, "a folder to which the pictures that cannot be read are moved")


@Command(
    "list",
    "list the choices of config groups and their keys",
    usage=("[GROUP ...]",),
    examples=("list", "list models", "list data optimizers"),
    takes_words=True,
)
@dataclass
class List:
    """Prints the choices of every config group, or of the groups named with their keys."""
