"""The Trainer of a run: Lightning's, with its loggers and everything that watches it."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from pytorch_lightning.callbacks import LearningRateMonitor
from pytorch_lightning.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from pytorch_lightning.profilers import AdvancedProfiler, PassThroughProfiler, PyTorchProfiler, SimpleProfiler
from rich.console import Console

from repronet import runs
from repronet.config.build import Parts, plain
from repronet.config.register import CALLBACKS
from repronet.errors import UserError
from repronet.runs.stopping import StopSwitch
from repronet.training.averaging import AverageWeights
from repronet.training.callbacks.checkpoints import BestAndLast
from repronet.training.callbacks.gradient_norms import GradientNorms
from repronet.training.callbacks.history import History
from repronet.training.callbacks.inputs_and_graph import InputsAndGraph
from repronet.training.callbacks.nonfinite import StopAtNonFinite
from repronet.training.callbacks.progress import Bar, EpochLines
from repronet.training.callbacks.snapshots import Snapshots
from repronet.training.callbacks.statistics import FrozenStatistics
from repronet.training.callbacks.steps import CapFilters, CountedSeeds
from repronet.training.callbacks.stopping import Patience
from repronet.training.callbacks.tensorboard import draw, layout, tolerant
from repronet.training.checkpoints import AtomicCheckpointIO

# Keys of the group `trainer` that are no arguments of Lightning's Trainer, but settle something around it.
OURS = ("threads", "channels_last", "compile", "filter_rms", "freeze_norm_epochs", "patience", "board", "save_minutes")
PROFILERS = {"simple": SimpleProfiler, "advanced": AdvancedProfiler, "pytorch": PyTorchProfiler}
SELDOM = 5  # gradients are drawn so many times less often than the training curves


class NoProfiler(PassThroughProfiler):
    """Measures nothing, as Lightning's own does; that makes a generator for each of the 70 calls of a step."""

    _nothing = nullcontext()

    def profile(self, action_name: str) -> Any:
        return self._nothing


@dataclass(frozen=True)
class Session:
    """A trainer, and the history that it writes."""

    trainer: pl.Trainer
    history: History


@dataclass(frozen=True)
class Resumed:
    """What a resumed run needs of its checkpoint besides its weights; read once, as checkpoints may be large."""

    path: Path
    step: int
    position: dict[str, int]
    threads: int
    config: dict[str, Any]
    logged: dict[str, Any]  # what the loggers call the run, by their class

    def __str__(self) -> str:
        within = f", batch {self.position['batches']} of the next" if self.position["batches"] else ""
        return f"resuming after epoch {self.position['epochs']}{within}"


def make_session(
    config: DictConfig,
    parts: Parts,
    folder: Path,
    console: Console,
    switch: StopSwitch,
    resumed: Resumed | None = None,
) -> Session:
    """The Trainer that ``config.trainer`` and ``config.logger`` describe."""
    history = History(folder)
    loggers = [tolerant(logger) for logger in make_loggers(config, folder, resumed)]
    given = {key: value for key, value in plain(config.trainer).items() if key not in OURS}
    bar = console.is_terminal and not (console.is_dumb_terminal or console.quiet) and given["enable_progress_bar"]
    if given["accelerator"] == "auto" and not torch.cuda.is_available():
        given["accelerator"] = "cpu"  # also beside an Apple GPU, which has no 64-bit floats for sums
    profiler = PROFILERS[given["profiler"]](folder / runs.PROFILE, "report") if given["profiler"] else NoProfiler()
    trainer = pl.Trainer(
        **{**given, "enable_progress_bar": bar, "profiler": profiler},
        deterministic=config.deterministic,
        default_root_dir=folder,
        logger=loggers or False,
        plugins=[AtomicCheckpointIO()],
        callbacks=[
            *([Bar()] if bar else []),
            *callbacks(config, parts, history, loggers),
            BestAndLast(folder, parts.config, history, switch, config.trainer.save_minutes),
        ],
    )
    draw(trainer, lambda writer: writer.add_custom_scalars(layout(parts.task.train_metrics.top5)))
    return Session(trainer, history)


def callbacks(config: DictConfig, parts: Parts, history: History, loggers: list[Logger]) -> Iterator[pl.Callback]:
    """What a run does and shows beside training, in the order in which it is called."""
    every = config.trainer.log_every_n_steps
    yield CountedSeeds(config.seed)
    yield StopAtNonFinite()
    if config.trainer.filter_rms:
        yield CapFilters(config.trainer.filter_rms)
    if config.trainer.freeze_norm_epochs:
        yield FrozenStatistics(config.trainer.freeze_norm_epochs)
    if config.averaging.name != "none":
        decay = config.averaging.decay if config.averaging.name == "ema" else None
        yield AverageWeights(decay, config.averaging.start)
    yield history
    yield EpochLines(history)
    for name in config.callbacks or ():
        yield CALLBACKS[name]()
    if config.trainer.patience:
        yield Patience(-(-config.trainer.patience // config.trainer.check_val_every_n_epoch), history)
    if loggers:
        yield LearningRateMonitor("step")
    if config.trainer.board == "full" and any(isinstance(logger, TensorBoardLogger) for logger in loggers):
        yield GradientNorms(SELDOM * every)
        yield InputsAndGraph(parts.vendor_twin)
        yield Snapshots()


def make_loggers(config: DictConfig, folder: Path, resumed: Resumed | None) -> list[Logger]:
    """Lightning's loggers, in the run folder or where their values say."""
    chosen = plain(config.logger)
    if config.trainer.board == "none":
        chosen.pop("tensorboard", None)
    return [LOGGERS[name](folder, values, config, resumed) for name, values in chosen.items()]


def _tensorboard(folder: Path, values: dict[str, Any], config: DictConfig, resumed: Resumed | None) -> Logger:
    # A resumed run drops from its curves what was written after the checkpoint that it starts from. TensorBoard takes
    # that for a restart if the run's beginning said where it starts, too.
    step = resumed.step if resumed else 0
    return TensorBoardLogger(folder.parent, name="", version=folder.name, default_hp_metric=False, purge_step=step)


def _csv(folder: Path, values: dict[str, Any], config: DictConfig, resumed: Resumed | None) -> Logger:
    logger = CSVLogger(folder, name="", version="csv")
    written = folder / "csv" / "metrics.csv"
    if resumed is None or not written.exists():
        return logger
    with written.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))  # before Lightning begins the file anew
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Previous log files in this directory will be deleted.*")
        writer = logger.experiment
    for row in rows:
        if int(row["step"]) < resumed.step:
            kept = {key: float(value) for key, value in row.items() if value and key != "step"}
            writer.log_metrics(kept, int(row["step"]))
    return logger


def _wandb(folder: Path, values: dict[str, Any], config: DictConfig, resumed: Resumed | None) -> Logger:
    known = resumed.logged.get("WandbLogger") if resumed else None
    return WandbLogger(name=folder.name, save_dir=folder, id=known, resume="allow", config=plain(config), **values)


def _mlflow(folder: Path, values: dict[str, Any], config: DictConfig, resumed: Resumed | None) -> Logger:
    known = resumed.logged.get("MLFlowLogger") if resumed else None
    given = {key: value for key, value in values.items() if value is not None}
    return MLFlowLogger(run_name=folder.name, run_id=known, **given)


_PACKAGE_OF = {"wandb": "wandb", "mlflow": "mlflow-skinny"}  # what pip installs
LOGGERS = {"tensorboard": _tensorboard, "csv": _csv, "wandb": _wandb, "mlflow": _mlflow}


def require_loggers(config: DictConfig) -> None:
    """Refuse a logger that cannot work, before a run has a folder.

    Raises:
        UserError: for one whose package is missing.
    """
    for package in config.logger:
        if package in _PACKAGE_OF and find_spec(package) is None:
            raise UserError(f"logger={package}: the package is missing; pip install {_PACKAGE_OF[package]}")
