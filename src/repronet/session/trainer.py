"""Lightning's Trainer for a run, with its loggers and callbacks."""

from __future__ import annotations

import csv
import logging
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, ListConfig
from pytorch_lightning.callbacks import LearningRateMonitor
from pytorch_lightning.loggers import CSVLogger, Logger, MLFlowLogger, WandbLogger
from pytorch_lightning.profilers import AdvancedProfiler, PassThroughProfiler, PyTorchProfiler, SimpleProfiler
from pytorch_lightning.strategies import DDPStrategy
from rich.console import Console

from repronet import runs
from repronet.config.build import Parts, plain
from repronet.config.register import CALLBACKS
from repronet.errors import UserError
from repronet.runs.processes import Place
from repronet.runs.stopping import StopSwitch
from repronet.session.processes import HEAVY, Environment
from repronet.training.averaging import AverageWeights
from repronet.training.callbacks.checkpoints import BestAndLast
from repronet.training.callbacks.fingerprint import Fingerprint
from repronet.training.callbacks.gradient_norms import GradientNorms
from repronet.training.callbacks.history import History
from repronet.training.callbacks.inputs_and_graph import InputsAndGraph
from repronet.training.callbacks.nonfinite import StopAtNonFinite
from repronet.training.callbacks.progress import Bar, EpochLines
from repronet.training.callbacks.snapshots import Snapshots
from repronet.training.callbacks.statistics import FrozenStatistics
from repronet.training.callbacks.steps import CapFilters, CountedSeeds
from repronet.training.callbacks.stopping import Patience
from repronet.training.callbacks.tensorboard import TensorBoard, draw, layout, tolerant
from repronet.training.checkpoints import AtomicCheckpointIO
from repronet.training.synchronized import SynchronizedBatchNorm

log = logging.getLogger("repronet.train")

# Keys of the group `trainer` that are not arguments of Lightning's Trainer but are handled here or elsewhere.
OURS = ("threads", "channels_last", "compile", "filter_rms", "freeze_norm_epochs", "patience", "board", "save_minutes")
SPREAD = ("devices", "num_nodes", "strategy", "sync_batchnorm")  # handled by :func:`spread`
PROFILERS = {"simple": SimpleProfiler, "advanced": AdvancedProfiler, "pytorch": PyTorchProfiler}
SELDOM = 5  # gradients are logged this many times less often than the training curves


class NoProfiler(PassThroughProfiler):
    """Measures nothing, as Lightning's own, but without creating a generator in each of the 70 calls of a step."""

    _nothing = nullcontext()

    def profile(self, action_name: str) -> Any:
        return self._nothing


@dataclass(frozen=True)
class Session:
    """A trainer, the history that it writes and the fingerprint of its first steps."""

    trainer: pl.Trainer
    history: History
    fingerprint: Fingerprint


@dataclass(frozen=True)
class Resumed:
    """The values that resuming needs from a checkpoint besides the weights; read once, as checkpoints may be large."""

    path: Path
    step: int
    position: dict[str, int]
    threads: int
    config: dict[str, Any]
    logged: dict[str, Any]  # the run's id in each logger, by the logger's class
    processes: int  # number of processes that the run had

    def __str__(self) -> str:
        within = f", batch {self.position['batches']} of the next" if self.position["batches"] else ""
        return f"resuming after epoch {self.position['epochs']}{within}"


def takes_mps(accelerator: str) -> bool:
    """Whether Lightning computes on Apple's GPU, because it is asked for or is the only GPU."""
    there = torch.backends.mps.is_available() and not torch.cuda.is_available()
    return accelerator == "mps" or (there and accelerator in ("auto", "gpu"))


def make_session(
    config: DictConfig,
    parts: Parts,
    folder: Path,
    console: Console,
    switch: StopSwitch,
    place: Place,
    resumed: Resumed | None = None,
) -> Session:
    """Build the Trainer that ``config.trainer`` and ``config.logger`` describe; only the first process has loggers."""
    history, fingerprint = History(folder), Fingerprint()
    loggers = [] if place.rank else [tolerant(logger) for logger in make_loggers(config, folder, resumed)]
    given = {key: value for key, value in plain(config.trainer).items() if key not in (*OURS, *SPREAD)}
    bar = console.is_terminal and not (console.is_dumb_terminal or console.quiet) and given["enable_progress_bar"]
    if takes_mps(given["accelerator"]):
        log.info("Apple's GPU: operators that it lacks run on the processor; losses are summed in 32 bits")
    profiled = given["profiler"] and not place.rank
    profiler = PROFILERS[given["profiler"]](folder / runs.PROFILE, "report") if profiled else NoProfiler()
    several, together = spread(config, parts, place)
    trainer = pl.Trainer(
        **{**given, **several, "enable_progress_bar": bar, "profiler": profiler},
        # None leaves the setting as it is: even to turn it off, torch imports its compiler, which takes a second.
        deterministic=config.deterministic or (False if torch.are_deterministic_algorithms_enabled() else None),
        default_root_dir=folder,
        logger=loggers or False,
        plugins=[AtomicCheckpointIO(), *together],
        callbacks=[
            *([Bar()] if bar else []),
            *callbacks(config, parts, folder, history, loggers, place),
            # Hooks would break a compiled network's graph, and with several processes each sees a share of a batch.
            *([] if config.trainer.compile or place.size > 1 else [fingerprint]),
            BestAndLast(folder, parts.config, history, switch, config.trainer.save_minutes),
        ],
    )
    if place.size > 1:  # wherever it interrupts this process, Lightning's SIGTERM handler waits for the others
        trainer._signal_connector.register_signal_handlers = lambda: None
    draw(trainer, lambda writer: writer.add_custom_scalars(layout(parts.task.train_metrics.top5)))
    return Session(trainer, history, fingerprint)


def spread(config: DictConfig, parts: Parts, place: Place) -> tuple[dict[str, Any], list[Any]]:
    """The Trainer's arguments and plugins for several processes.

    The running statistics of batch norm are not copied from the first process at every step, as DistributedDataParallel
    does by default; instead they are averaged over the processes when they are needed.
    """
    wanted, strategy = config.trainer.devices, config.trainer.strategy
    if place.size == 1 and strategy not in HEAVY:
        return {"devices": wanted, "strategy": "auto"}, []
    if strategy not in HEAVY:
        thawed = parts.task.stage_plan is not None or "unused" in strategy
        strategy = DDPStrategy(find_unused_parameters=thawed, broadcast_buffers=False)
    given = {"devices": list(wanted) if isinstance(wanted, ListConfig) else place.local_size, "num_nodes": place.nodes}
    plugins = [Environment(place), *([SynchronizedBatchNorm()] if config.trainer.sync_batchnorm else [])]
    return {**given, "strategy": strategy, "use_distributed_sampler": False}, plugins


def callbacks(
    config: DictConfig, parts: Parts, folder: Path, history: History, loggers: list[Logger], place: Place
) -> Iterator[pl.Callback]:
    """The callbacks of a run, in calling order."""
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
        validations = -(-config.trainer.patience // config.trainer.check_val_every_n_epoch)
        yield Patience(validations, history, parts.task.multilabel)
    if loggers:
        yield LearningRateMonitor("step")
    if config.trainer.board == "full" and not place.rank:
        yield InputsAndGraph(parts.vendor_twin, folder)
        if any(isinstance(logger, TensorBoard) for logger in loggers):
            yield GradientNorms(SELDOM * every)
            yield Snapshots()


def make_loggers(config: DictConfig, folder: Path, resumed: Resumed | None) -> list[Logger]:
    """Build Lightning's loggers, which write into the run folder or where their values say."""
    known, found = resumed.logged if resumed else {}, []
    for name, values in plain(config.logger).items():
        if name == "tensorboard" and config.trainer.board != "none":
            # A resumed run drops the points of its curves after the checkpoint that it starts from. TensorBoard takes
            # this for a restart only if the first start also gave its step.
            where = {"save_dir": folder.parent, "name": "", "version": folder.name}
            found.append(TensorBoard(**where, default_hp_metric=False, purge_step=resumed.step if resumed else 0))
        elif name == "csv":
            found.append(_csv(folder, resumed))
        elif name == "wandb":
            run = {"name": folder.name, "save_dir": folder, "id": known.get("WandbLogger"), "resume": "allow"}
            found.append(WandbLogger(**run, config=plain(config), **values))
        elif name == "mlflow":
            given = {key: value for key, value in values.items() if value is not None}
            found.append(MLFlowLogger(run_name=folder.name, run_id=known.get("MLFlowLogger"), **given))
    return found


def _csv(folder: Path, resumed: Resumed | None) -> Logger:
    """Build the CSV logger; Lightning empties metrics.csv, so the rows before the checkpoint are written again."""
    logger = CSVLogger(folder, name="", version="csv")
    written = folder / "csv" / "metrics.csv"
    if resumed is None or not written.exists():
        return logger
    with written.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Previous log files in this directory will be deleted.*")
        writer = logger.experiment
    for row in rows:
        if int(row["step"]) < resumed.step:
            kept = {key: float(value) for key, value in row.items() if value and key != "step"}
            writer.log_metrics(kept, int(row["step"]))
    return logger


_PACKAGE_OF = {"wandb": "wandb", "mlflow": "mlflow-skinny"}  # names for pip


def require_loggers(config: DictConfig) -> None:
    """Raise UserError for a logger that cannot work, before the run has a folder."""
    for package in config.logger:
        if package in _PACKAGE_OF and find_spec(package) is None:
            raise UserError(f"logger={package}: the package is missing; pip install {_PACKAGE_OF[package]}")
