"""The commands around records of runs, one class each; see :mod:`repronet.config.command`. Needs no torch."""

from __future__ import annotations

from typing import Any

from repronet.algorithms import TRAINING_ALGORITHMS
from repronet.config.command import Command
from repronet.config.fields import optional, required
from repronet.config.schema_commands import BUDGETS, PNG, SEEDS
from repronet.config.schema_runs import RUN
from repronet.constraints import COUNT, FOLDER, Constraint, one_of

EXPERIMENT = Constraint(lambda x: bool(x.strip()), "an experiment of `repronet list experiment`", "EXPERIMENT")
WEIGHTS = Constraint(
    lambda x: x == x.lower() and x.replace("-", "").replace("_", "").isalnum(),
    "small letters, digits, - and _, lenet5-mnist for instance",
    "NAME",
)


@Command(
    "reproduce",
    "run a paper's experiment and record the result",
    usage=("EXPERIMENT [EXPERIMENT ...] [KEY=VALUE ...]",),
    examples=("reproduce lenet5_mnist seeds=3", "reproduce resnet20_cifar10 plain20_cifar10 budget=minutes"),
    takes_words=True,
)
class Reproduce:
    """Trains every seed in runs/reproduced/EXPERIMENT/BUDGET/, tests once by the paper's protocol, and writes one
    record for each seed into results/: errors, every epoch, config, commit, versions, hardware, differences from the
    paper, and a hash over all of that. If the command is killed, run it again: it continues and gives the same results.
    Finished runs are not run again. `repronet report results` compares the records with the papers.

    Shorter budgets keep the shape of the schedule: minutes takes up to 15 minutes on one processor core, hour up to 75,
    smoke is one epoch of 20 images of each class. Their results are kept apart from the papers' figures.

    To continue on another machine, copy runs/reproduced/ and results/ there and run the same command; set data_root= if
    the data are in another folder.
    """

    seeds: Any = optional(SEEDS, "number of seeds, or a list of seeds", 1)
    budget: str = optional(one_of(*BUDGETS), "length of the training", "paper")
    data_root: str | None = optional(FOLDER, "folder of the data; default: the user's cache")
    threads: int | None = optional(COUNT, "processor threads; default: PyTorch's choice")
    algorithm: str | None = optional(
        one_of(*TRAINING_ALGORITHMS), "how our own layers compute; default: as the experiment"
    )
    results: str = optional(FOLDER, "folder of the records", "results")


@Command(
    "reproduce status",
    "show how far the runs of experiments are",
    usage=("[EXPERIMENT ...] [runs=DIR]",),
    examples=("reproduce status", "reproduce status resnet20_cifar10"),
    takes_words=True,
)
class ReproduceStatus:
    """A line a run: epochs done, the latest validation error, the time left at the speed of its latest epochs, and
    whether it is running, stopped, or ended.
    """

    runs: str = optional(FOLDER, "where the runs are", "runs/reproduced")


@Command(
    "reproduce power",
    "estimate the seeds needed to compare experiments",
    usage=("EXPERIMENT [than=EXPERIMENT] [KEY=VALUE ...]",),
    examples=("reproduce power lenet5_1998_mnist", "reproduce power resnet56_cifar10 than=resnet20_cifar10"),
    takes_words=True,
)
class ReproducePower:
    """Prints one line: the difference, the deviation of the recorded seeds, the power of a one-sided test with these
    seeds, and the seeds and hours needed for a power of 0.8. Without than=, it compares the experiment with its paper's
    figure.
    """

    than: str | None = optional(EXPERIMENT, "the other experiment; default: the paper's figure")
    results: str = optional(FOLDER, "the folder of the records", "results")


@Command(
    "reproduce check",
    "check records that somebody else made",
    usage=("RECORD.json [RECORD.json ...]",),
    examples=("reproduce check paper-seed0.json",),
    takes_words=True,
)
class ReproduceCheck:
    """Checks each record for consistency (hash, epochs, counts), compares it with this version's experiment (config,
    test images) and with any record already in results/, and prints where it belongs there.
    """

    results: str = optional(FOLDER, "the folder of the records", "results")


@Command(
    "reproduce figure",
    "draw a paper's figure again from records",
    usage=("FIGURE [KEY=VALUE ...]",),
    examples=("reproduce figure he_6", "reproduce figure lecun_5 out=docs/images/lecun_5.png"),
    takes_words=True,
)
class ReproduceFigure:
    """Draws the curves of the recorded runs with the numbers from the paper, and lists missing runs. FIGURE is
    he_6 (training and test error of plain and residual networks), krizhevsky_1 (ReLU against tanh), ioffe_2
    (batch normalization), lecun_5 (LeNet-5 by epoch), recipes_resnet20 or recipes_lenet5 (recipes of five years).
    """

    results: str = optional(FOLDER, "the folder of the records", "results")
    out: str | None = optional(PNG, "file for the figure; default: FIGURE.png")


@Command(
    "reproduce publish",
    "put the weights of a recorded run into the zoo",
    usage=("RECORD.json to=NAME [KEY=VALUE ...]",),
    examples=("reproduce publish results/lenet5_mnist/paper-seed0.json to=lenet5-mnist",),
    takes_words=True,
)
class ReproducePublish:
    """Writes the best weights of the run as NAME.safetensors, 1.5 MB at most, and beside them the record with their
    SHA-256. `repronet list weights` shows both, and weights=repronet/NAME takes them.
    """

    to: str = required(WEIGHTS, "what follows repronet/")
    run: str | None = optional(RUN, "the run folder; default: where repronet reproduce put it")
    data_root: str | None = optional(FOLDER, "where the data are, if they have moved")
    zoo: str | None = optional(FOLDER, "the folder of the zoo; default: that of this installation")


@Command(
    "replay",
    "rerun a record and compare it bit for bit",
    usage=("RECORD.json [KEY=VALUE ...]", "repronet/NAME [KEY=VALUE ...]"),
    examples=("replay results/lenet5_mnist/paper-seed0.json", "replay repronet/lenet5-mnist threads=2"),
    takes_words=True,
)
class Replay:
    """Repeats the first hundred steps of a record and compares every loss, and every layer at some steps, with the
    recorded values. If they differ, it names the step, the layer and the likely reason: threads, versions, processor.
    For an old record without a fingerprint it repeats the first epoch. The exit code is 1 if anything differs.
    """

    data_root: str | None = optional(FOLDER, "where the data are; default: the user's cache")
    threads: int | None = optional(COUNT, "processor threads; default: as many as the record had")
