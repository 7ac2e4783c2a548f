"""The keys of ``launcher=`` and ``search=``: where runs of ``repronet train -m`` are computed, and who chooses values.

They are not part of a run: its config and its results do not depend on what started it. Needs no torch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from repronet.config.fields import Choice, flag, optional
from repronet.constraints import COUNT, POSITIVE, SEED, Constraint, one_of

BESIDE = ("launcher", "search")  # the groups of this module
JOBS = Constraint(lambda x: x == -1 or COUNT.check(x), "-1 (as many as the cores allow) or a whole number from 1", "N")
# One word of an #SBATCH line: a line break, a space or a # in it would begin something else.
WORD = Constraint(lambda x: re.fullmatch(r"[\w.,:@/&|*\[\]+-]+", x) is not None, "a word, as SLURM takes it", "NAME")
ADDRESS = Constraint(
    lambda x: re.fullmatch(r"auto|(ray://)?[\w.-]+:\d+", x) is not None, "auto or HOST:PORT", "ADDRESS"
)
MINUTES = Constraint(COUNT.check, "a whole number of minutes from 1", "N")
STORAGE = Constraint(
    lambda x: re.fullmatch(r"[^:?#]+\.(journal|db)", x) is not None,
    "the name of a .journal file, or of a .db file for SQLite",
    "FILE",
)


@dataclass
class OwnMachine(Choice):
    """Several processes of this machine, each with processor cores of its own."""

    n_jobs: int = optional(JOBS, "runs at a time; -1: as many as the cores allow", -1)
    threads: int | None = optional(COUNT, "cores of each run; null: all cores divided by n_jobs")


@dataclass
class Ray(Choice):
    address: str | None = optional(ADDRESS, "address of a Ray cluster; null: only this machine")
    threads: int = optional(COUNT, "cores of each run", 1)
    gpus: float = optional(
        Constraint(lambda x: x >= 0, "a number of at least 0"), "GPUs of each run; may be a fraction", 0.0
    )


@dataclass
class Slurm(Choice):
    partition: str | None = optional(WORD, "the partition")
    account: str | None = optional(WORD, "the account")
    qos: str | None = optional(WORD, "the quality of service")
    constraint: str | None = optional(WORD, "features that the nodes must have")
    time: int = optional(MINUTES, "time limit of a run in minutes; it is then requeued and continues", 60)
    threads: int = optional(COUNT, "cores of each run", 1)
    gpus: int | None = optional(COUNT, "GPUs of each run")
    mem_gb: float | None = optional(POSITIVE, "memory of each run in GB")
    n_jobs: int = optional(COUNT, "runs at a time", 256)
    dry_run: bool = flag("print the script and submit nothing")
    wait: bool = flag("wait until all runs have ended", True)


@dataclass
class Optuna(Choice):
    trials: int = optional(COUNT, "total runs, over all machines that share the study", 20)
    sampler: str = optional(
        one_of("tpe", "random"), "tpe: tree-structured Parzen estimator; random: random search", "tpe"
    )
    seed: int | None = optional(SEED, "seed of the sampler; null: a new one each time")
    pruner: str = optional(
        one_of("median", "halving", "none"),
        "median: stop a run whose validation error is above the other runs' median at that epoch; halving: stop all "
        "but the better runs (successive halving)",
        "median",
    )
    spared: int = optional(
        COUNT, "median: stop nothing in a run's first epochs or a study's first runs, this many of each", 3
    )
    storage: str | None = optional(STORAGE, "file of the study; null: study.journal in the sweep's folder")
    study: str | None = optional(WORD, "name of the study in this file; null: the sweep's name")


LAUNCHERS: dict[str, type] = {"basic": Choice, "joblib": OwnMachine, "local": OwnMachine, "ray": Ray, "slurm": Slurm}
SEARCHES: dict[str, type] = {"none": Choice, "optuna": Optuna}
