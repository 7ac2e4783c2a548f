"""The keys of ``trainer=``: those of :class:`pytorch_lightning.Trainer` under its own names, and a few of ours.

Also the keys of ``logger=``, one class per logger: a config has ``logger: {tensorboard: {}, wandb: {project: …}}``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from repronet.config.fields import flag, optional, required
from repronet.constraints import COUNT, POSITIVE, Constraint, one_of

ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps", "tpu")
STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true", "fsdp", "deepspeed")

# Where and by how many processes a run is trained: these keys may change when it is resumed.
ELSEWHERE = ("trainer.devices", "trainer.num_nodes", "trainer.strategy")


def _is_count(found: Any) -> bool:
    return type(found) is int and COUNT.check(found)


def _is_amount(found: Any) -> bool:
    """Whether ``found`` is a number of batches or a share of them."""
    return _is_count(found) or (isinstance(found, float) and 0 < found <= 1)


def _are_devices(found: Any) -> bool:
    if isinstance(found, list):
        return bool(found) and len(set(found)) == len(found) and all(type(n) is int and n >= 0 for n in found)
    return found in ("auto", -1) or _is_count(found)


DEVICES = Constraint(_are_devices, "auto, -1 (all), a number of devices, or a list of device numbers, such as [0,1]")
AMOUNT = Constraint(_is_amount, "a whole number of batches from 1, or a fraction above 0 and at most 1.0")
OVERFIT = Constraint(lambda x: type(x) in (int, float) and (x == 0 or _is_amount(x)), f"0, {AMOUNT.expected}")
DEV_RUN = Constraint(lambda x: isinstance(x, bool) or _is_count(x), "true, false or a whole number of batches from 1")
MAX_STEPS = Constraint(lambda x: x == -1 or COUNT.check(x), "-1 (no limit) or a whole number of at least 1")
SANITY_STEPS = Constraint(lambda x: -1 <= x < 2**31, "-1 (all) or a whole number of at least 0")
YES_OR_NO = Constraint(lambda x: True, "true, false or null", "true|false")
AUTO_OR_FLAG = Constraint(lambda x: isinstance(x, bool) or x == "auto", "auto, true or false")
NAME = Constraint(lambda x: bool(x.strip()), "a name")
ADDRESS = Constraint(lambda x: bool(x.strip()), "an address or a folder")
DURATION = Constraint(lambda x: re.fullmatch(r"\d+:\d{2}:\d{2}:\d{2}", x) is not None, "a time DD:HH:MM:SS")


@dataclass
class Trainer:
    """The keys of ``trainer=``."""

    max_epochs: int = required(COUNT, "epochs to train for")
    min_epochs: int | None = optional(COUNT, "epochs before patience may stop the run")
    max_steps: int = optional(MAX_STEPS, "optimizer steps after which training stops; -1: no limit", -1)
    max_time: str | None = optional(DURATION, "time after which training stops, DD:HH:MM:SS")
    accelerator: str = optional(one_of(*ACCELERATORS), "device; auto: a GPU if there is one", "auto")
    devices: Any = optional(DEVICES, "number of devices, a list of devices, or auto (all)", 1)
    num_nodes: int = optional(COUNT, "machines", 1)
    strategy: str = optional(one_of(*STRATEGIES), "how several devices share the work", "auto")
    precision: str = optional(one_of("32-true", "bf16-mixed", "16-mixed"), "numeric precision", "32-true")
    gradient_clip_val: float | None = optional(POSITIVE, "clip gradients to this norm or value")
    gradient_clip_algorithm: str = optional(one_of("norm", "value"), "what gradient_clip_val limits", "norm")
    accumulate_grad_batches: int = optional(COUNT, "batches whose gradients make one optimizer step", 1)
    log_every_n_steps: int = optional(COUNT, "optimizer steps between two logged values", 10)
    val_check_interval: Any = optional(AMOUNT, "validate after this fraction of an epoch or number of batches", 1.0)
    check_val_every_n_epoch: int = optional(COUNT, "validate after this number of epochs", 1)
    limit_train_batches: Any = optional(AMOUNT, "fraction or number of training batches in an epoch", 1.0)
    limit_val_batches: Any = optional(AMOUNT, "fraction or number of validation batches", 1.0)
    limit_test_batches: Any = optional(AMOUNT, "fraction or number of test batches", 1.0)
    overfit_batches: Any = optional(OVERFIT, "train and validate on this number of batches only; 0: on all", 0)
    fast_dev_run: Any = optional(DEV_RUN, "run this number of batches of everything once and keep nothing", False)
    num_sanity_val_steps: int = optional(SANITY_STEPS, "validation batches before training begins", 0)
    profiler: str | None = optional(one_of("simple", "advanced", "pytorch"), "measure where the time goes")
    detect_anomaly: bool = flag("stop if a gradient becomes NaN, and show the operation that caused it")
    benchmark: bool | None = optional(YES_OR_NO, "let cuDNN time its algorithms; null: unless deterministic")
    sync_batchnorm: bool = flag("batch normalization over the batches of all devices")
    enable_progress_bar: bool = flag("show the progress of training", True)
    enable_model_summary: bool = flag("print Lightning's table of the network before training")
    threads: int | None = optional(COUNT, "processor threads; null: PyTorch's choice. Try 1 on a busy machine")
    channels_last: Any = optional(
        AUTO_OR_FLAG,
        "store images channels last; auto: where it is faster, convolutions on x86",
        "auto",
    )
    compile: bool = flag("compile the network with torch.compile")
    filter_rms: float | None = optional(POSITIVE, "rescale filters whose root mean square is larger (ZFNet: 0.1)")
    freeze_norm_epochs: int | None = optional(
        COUNT, "freeze the statistics of batch norm in this number of last epochs (SENet-154)"
    )
    patience: int | None = optional(COUNT, "stop after this number of epochs without a lower validation error")
    board: str = optional(
        one_of("full", "curves", "none"),
        "full: curves and figures, in TensorBoard and in pictures/; curves: only curves; none: nothing",
        "full",
    )
    save_minutes: float = optional(POSITIVE, "save last.ckpt at least this often, also within an epoch", 5.0)

    def conflict(self) -> str | None:
        if self.min_epochs is not None and self.min_epochs > self.max_epochs:
            return f"trainer.min_epochs={self.min_epochs}: must be at most trainer.max_epochs={self.max_epochs}"
        if self.overfit_batches and self.fast_dev_run:
            return f"trainer.overfit_batches={self.overfit_batches}: has no effect with trainer.fast_dev_run"
        return None


@dataclass
class TensorBoard:
    """TensorBoard's event files in the run folder."""


@dataclass
class Csv:
    """Lightning's metrics.csv in the run folder."""


@dataclass
class Wandb:
    """Weights & Biases."""

    project: str = optional(NAME, "the project that the run belongs to", "repronet")
    entity: str | None = optional(NAME, "user or team that owns the project; null: your default")
    offline: bool = flag("write to the run folder and send nothing")


@dataclass
class Mlflow:
    """MLflow."""

    experiment_name: str = optional(NAME, "the experiment that the run belongs to", "repronet")
    tracking_uri: str | None = optional(ADDRESS, "address of MLflow's server or folder; null: MLflow's default")


LOGGERS: dict[str, type] = {"tensorboard": TensorBoard, "csv": Csv, "wandb": Wandb, "mlflow": Mlflow}
