"""The commands that inspect networks, layers and data; see :mod:`repronet.config.command`. Needs no torch."""

from __future__ import annotations

from typing import Any

from repronet.algorithms import ALGORITHMS, CONVOLUTIONS
from repronet.config.command import Command
from repronet.config.fields import flag, optional
from repronet.config.schema_commands import LAYERS, PNG
from repronet.config.schema_runs import RUN
from repronet.constraints import COUNT, FOLDER, SEED, Constraint, one_of, some_of

IMAGE = Constraint(
    lambda xs: len(xs) == 3 and all(x >= 1 for x in xs), "three whole numbers [C,H,W] of at least 1", "C,H,W"
)
IMAGES = Constraint(
    lambda xs: len(xs) == 4 and all(x >= 1 for x in xs), "four whole numbers [N,C,H,W] of at least 1", "[N,C,H,W]"
)
SHAPE = Constraint(
    lambda xs: bool(xs) and all(x >= 1 for x in xs), "whole numbers of at least 1, the batch first", "[N,...]"
)
ARGUMENTS = Constraint(lambda xs: isinstance(xs, list | dict), "a list, or names with values: {bias:false}", "[...]")
BENCHED = [*CONVOLUTIONS, "vendor"]
BENCHED_WAYS = ["torch", "torch_channels_last", "auto", "native"]
WAYS = ("torch", "torch_channels_last", "torch_compiled", "auto", "auto_compiled", "native")
BENCH_INPUT = (64, 16, 32, 32)  # N, C, H, W by default


def sides(least: int) -> Constraint:
    """A constraint: one whole number for height and width, or one for each."""

    def holds(found: Any) -> bool:
        pair = found if isinstance(found, list) else [found]
        return len(pair) in (1, 2) and all(type(n) is int and least <= n < 2**31 for n in pair)

    return Constraint(holds, f"a whole number of at least {least}, or two of them [height,width]")


@Command(
    "summary",
    "show size, cost and receptive field of each layer",
    usage=("model=NAME [KEY=VALUE ...]",),
    examples=(
        "summary model=lenet5",
        "summary model=lenet5 input=3,32,32 batch=64 optimizer=adam",
        "summary model=lenet5_1998 format=json",
    ),
    groups={"model": None, "optimizer": "sgd"},
)
class Summary:
    """Prints a row for each layer: output shape; receptive field with its stride and padding; weights, neurons,
    connections, multiply-accumulates and memory of the output. Below are the totals and the memory of training: what
    autograd saves for the backward pass, parameters, gradients, and the state of optimizer=. Nothing is computed, so
    even the largest network takes only seconds and no memory.
    """

    input: list[int] | None = optional(IMAGE, "channels, height and width; default: the network's own")
    num_classes: int | None = optional(COUNT, "number of classes; default: the paper's")
    batch: int = optional(COUNT, "batch size, for the memory", 1)
    layers: str = optional(
        LAYERS, "custom: our own layers; torch: PyTorch's; matters for the memory of training", "custom"
    )
    depth: int | None = optional(
        COUNT, "1: a row for each part of the network, 2: for each part of these; default: for each layer"
    )
    format: str = optional(
        one_of("table", "json", "csv", "md"), "rounded numbers in 80 columns, or exact numbers", "table"
    )


@Command(
    "verify",
    "check networks against what papers published",
    usage=("[model=NAME] [source=release]",),
    examples=("verify", "verify model=lenet5_1998", "verify source=release", "verify source=release model=nin"),
    groups={"model": None},
)
class Verify:
    """Builds each network without memory for its weights and compares with the paper: parameters to the last digit,
    multiply-accumulates within the printed rounding, the output shape of each stage, receptive fields, and connections
    if the paper counts them. It also compares the exact sizes recorded with this version. Prints a line for each
    network, and below it what differs. The exit code is 1 if anything differs. With model=, prints every check of one
    network.

    With source=release, compares each network operator by operator with the definition that its authors released: kinds
    and order, maps, windows, strides, paddings, rounding, groups, biases, dropout, constants of norms, and initial
    weights if the file states them. Intended differences are listed with their reason in repronet.papers.releases. An
    unlisted difference, or a listed one that no longer exists, is an error.
    """

    source: str = optional(
        one_of("sizes", "release"), "what to compare with: printed sizes, or the authors' definitions", "sizes"
    )


@Command(
    "gradcheck",
    "check the gradients of the layers, or of a network",
    usage=("[layer=NAME | model=NAME] [KEY=VALUE ...]", "my_package.MyLayer [args=[...]] [shape=[N,...]]"),
    examples=(
        "gradcheck",
        "gradcheck layer=conv2d algorithm=im2col",
        "gradcheck layer=max_pool2d details=true",
        "gradcheck model=lenet5_1998",
        "gradcheck my_layers.py:MyLayer args=[4,8] shape=[2,4,6,6]",
    ),
    groups={"model": None},
    takes_words=True,
)
class Gradcheck:
    """Compares every gradient of every layer, in float64, with torch.autograd's through a naive forward of plain
    operations, with central differences, and with PyTorch's own layer; second derivatives as well. Each row is one case
    of a layer and shows the largest relative error of each comparison; the last column is the verdict. With model=,
    compares the gradient of every parameter on our layers with that on PyTorch's. The exit code is 1 if anything is
    wrong.

    A class of your own (from a module or a file), or a network that --plugin registers, is compared with central
    differences, in first and second derivatives, and with itself in other layouts, dtypes and batches, under torch.func
    and torch.compile. Its code runs as your own program.
    """

    args: Any = optional(ARGUMENTS, "arguments of your own class; default: 4 for each that is required")
    shape: list[int] | None = optional(SHAPE, "input shape of your own class; default: the first usual one that works")
    layer: str | None = optional(None, "the cases of one layer, such as conv2d; default: all layers")
    algorithm: str = optional(one_of(*ALGORITHMS), "algorithm of layers that have a choice; own: all of ours", "own")
    details: bool = flag("print a row for each gradient, not for each case")
    batch: int = optional(COUNT, "batch size, for model=", 4)
    seed: int = optional(SEED, "seed of the random numbers", 0)


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
class Bench:
    """Times each algorithm for one shape, or with model= for every shape in a network: the forward pass and both
    gradients, alternating, the fastest of ten calls. A star marks the fastest algorithm. (algorithm=auto uses vendor.)
    """

    input: list[int] | None = optional(
        IMAGES, "input shape; default: [64,16,32,32], or 64 images of the network's size"
    )
    filters: int = optional(COUNT, "output channels", 16)
    kernel: Any = optional(sides(1), "kernel size, one number or [height,width]", 3)
    stride: Any = optional(sides(1), "as kernel", 1)
    padding: Any = optional(sides(0), "as kernel", 1)
    dilation: Any = optional(sides(1), "as kernel", 1)
    groups: int = optional(COUNT, "groups of channels", 1)
    algorithms: list[str] = optional(some_of(BENCHED, "im2col,vendor"), "algorithms to time", BENCHED)
    dtype: str = optional(one_of("float32", "float64", "bfloat16"), "data type", "float32")
    memory_format: str = optional(one_of("contiguous", "channels_last"), "memory format of the tensors", "contiguous")
    accelerator: str = optional(one_of("cpu", "gpu"), "device", "cpu")
    threads: int | None = optional(COUNT, "processor threads; default: PyTorch's choice")

    def conflict(self) -> str | None:
        channels = self.input[1] if self.input else BENCH_INPUT[1]
        for key, number in (("filters", self.filters), ("input", channels)):
            if number % self.groups:
                return f"groups={self.groups}: must divide the {number} channels of {key}="
        return None


@Command(
    "bench step",
    "time whole training steps, ours and torch's",
    usage=("model=NAME [KEY=VALUE ...]",),
    examples=("bench step model=lenet5", "bench step model=resnet20 'ways=[torch,torch_channels_last,auto]'"),
    groups={"model": None},
)
class BenchStep:
    """Times a training step (forward, loss, backward, SGD with momentum) in several ways, each in its own process, in
    alternating rounds.

      ratio       time relative to the first way, median over the rounds
      of peak     share of the processor's peak speed
      tensors MB  peak memory of tensors, without network and optimizer
      process MB  peak memory of the process
      first s     the first step, with compilation

    torch is plain torch.nn, torch_channels_last and torch_compiled are its faster variants; auto is repronet train,
    auto_compiled adds trainer.compile=true, native is algorithm=native.
    """

    input: list[int] | None = optional(IMAGES, "default: 64 images as the network takes them, 8 large ones")
    ways: list[str] = optional(
        some_of(WAYS, "torch,auto"), "what to time; ratios are relative to the first", BENCHED_WAYS
    )
    rounds: int = optional(COUNT, "of each, in turn", 9)
    threads: int | None = optional(COUNT, "processor threads; default: as torch chooses")


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
class Augment:
    """Writes a sheet with a row for each image, the original first. The result depends only on the seed.

    augmentation.steps sets your own policy: a list of steps, together with any policy of steps, such as lecture.
    """

    images: int = optional(COUNT, "number of images, one in each row", 4)
    variants: int = optional(COUNT, "augmented versions of each image", 8)
    each: bool = flag("a row for each step of the policy, applied alone and always")
    size: int | None = optional(COUNT, "size in pixels; default: the images' own size, 224 for a folder of images")
    seed: int = optional(SEED, "seed for the choice of images and their augmentation", 0)
    out: str = optional(PNG, "file for the sheet", "augment.png")
    logdir: str | None = optional(FOLDER, "TensorBoard folder to which the sheet is added")


@Command(
    "data check",
    "check a folder of images, or the images of a run",
    usage=("data.root=DIR [KEY=VALUE ...]", "run=DIR [KEY=VALUE ...]"),
    examples=(
        "data check data.root=photos",
        "data check run=runs/pets",
        "data check data.root=photos format=json",
        "data check data.root=photos aside=unreadable",
    ),
    groups={"data": "image_folder"},
)
class Check:
    """Reads every file as a run would and reports problems, with what a run would do about them: files that cannot be
    read, images in two splits, classes that are empty or only in one split, other files, unusual images. The folder
    has train/<class>/… with val and test, or just <class>/… The exit code is 1 if a run would stop or learn something
    wrong.

    With run=, uses the network of a run to find labels that are probably wrong (confident learning, by cleanlab: pip
    install cleanlab) and images that are nearly the same, among those that it was trained and tested on, each with a
    confidence.
    """

    run: str | None = optional(RUN, "the run whose images are checked with its network; default: none")
    sheet: str | None = optional(PNG, "with run=, file for a sheet of the findings; default: <run>/pictures/check.png")

    format: str = optional(one_of("table", "json"), "a summary, or every finding", "table")
    aside: str | None = optional(FOLDER, "move unreadable images to this folder")


@Command(
    "list",
    "list the choices of config groups and their keys",
    usage=("[GROUP ...]",),
    examples=("list", "list models", "list data optimizers", "list timm", "list weights"),
    takes_words=True,
)
class List:
    """Prints the choices of every config group, or the choices and keys of the given groups; for timm or torchvision,
    the networks of that library; for weights, those that come with repronet.
    """
