"""TensorBoard through Lightning's logger: drawing there, and handling failed writes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from tensorboard.plugins.hparams import plugin_data_pb2
from torch.utils.tensorboard.summary import hparams
from torch.utils.tensorboard.writer import SummaryWriter

from repronet.errors import Fault
from repronet.runs.atomic import write_whole

log = logging.getLogger("repronet.train")

# TensorBoard sorts tags by name: the curves of "train" (error, loss, lr) and "val" come first, then more special tags,
# which begin with "view_" or "watch_", and last the tags with one point per run.
WHOLE_RUN = "whole_run"
INCHES = 3.4  # width of a drawing; TensorBoard shows it about 370 pixels wide, with text of larger ones unreadable

# One chart each for loss and error, with training and validation, to show the gap between them.
LAYOUT = {
    "training and validation": {
        "loss": ["Multiline", ["train/loss", "val/loss"]],
        "error": ["Multiline", ["train/error", "val/error"]],
    },
    "gradients and updates": {
        "norm of the gradient, by layer": ["Multiline", ["watch_gradient/.*"]],
        "update / weight, by layer (about 1e-3 is healthy)": ["Multiline", ["watch_update/.*"]],
    },
    "dead units": {"share of maps that no image excites, by layer": ["Multiline", ["watch_dead/.*"]]},
}
TOP5_CHART = {"top-5 error": ["Multiline", ["train/error_top5", "val/error_top5"]]}
# TensorBoard shows only the first five hyperparameters by default.
COLUMNS = ("data.name", "model.name", "optimizer.lr", "seed", "trainer.max_epochs")


class TensorBoard(TensorBoardLogger):
    """Lightning's logger, with tags renamed so that loss, error and learning rate come first.

    ``epoch``, which Lightning adds to all metrics, is left out, and ``test/…`` becomes ``whole_run/test_…``.
    """

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        shown = {key: value for key, value in metrics.items() if key != "epoch"}
        last = f"{WHOLE_RUN}/test_"
        tags = {key: key.replace("test/", last, 1) if key.startswith("test/") else key for key in shown}
        super().log_metrics({tags[key]: value for key, value in shown.items()}, step)


def layout(top5: bool) -> dict[str, dict[str, list[Any]]]:
    """The grouped charts, with one for the top-5 errors if ``top5``."""
    first, *others = LAYOUT.items()
    return dict([(first[0], first[1] | (TOP5_CHART if top5 else {})), *others])


def experiment(trainer: pl.Trainer) -> SummaryWriter | None:
    """The writer of the trainer's TensorBoardLogger, or None if there is no such logger or its writing has failed."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger) and not getattr(logger, "failed", False):
            return logger.experiment
    return None


def draw(trainer: pl.Trainer, action: Callable[[SummaryWriter], Any]) -> None:
    """Let ``action`` draw in TensorBoard. If drawing fails, log a warning and let the run continue."""
    try:
        writer = experiment(trainer)
        if writer is not None:
            action(writer)
    except Exception as error:
        log.warning(f"TensorBoard: a drawing failed ({type(error).__name__}: {error}); the run goes on")


_WRITING = ("log_metrics", "log_hyperparams", "log_graph", "save", "finalize", "after_save_checkpoint")


def tolerant(logger: Logger) -> Logger:
    """Make ``logger`` stop writing, with a warning, at its first failure, so that the run continues."""
    _expect_full_disks()
    logger.failed = False  # type: ignore[attr-defined]
    for name in _WRITING:
        setattr(logger, name, _guarded(logger, getattr(logger, name)))
    return logger


def _guarded(logger: Logger, method: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if logger.failed:  # type: ignore[attr-defined]
            return None
        try:
            return method(*args, **kwargs)
        except Exception as error:
            logger.failed = True  # type: ignore[attr-defined]
            known = [met.strerror for met in (error, error.__cause__) if isinstance(met, OSError)]
            reason = known[0] if known else f"{type(error).__name__}: {error}"
            name = type(logger).__name__.removesuffix("Logger")
            log.warning(f"{name}: {reason}; nothing more is written there; training continues")
            return None

    return guarded


def add_files(writer: SummaryWriter, contents: Mapping[str, bytes]) -> None:
    """Write files next to the event files, by relative path; existing files are replaced."""
    folder = Path(writer.log_dir)
    for place, content in contents.items():
        (folder / place).parent.mkdir(exist_ok=True)
        with suppress(Fault):
            write_whole(folder / place, content, survives_power_cut=False)


def add_hyperparameters(writer: SummaryWriter, config: Mapping[str, Any], metrics: Mapping[str, float], step: int):
    """Write the config as TensorBoard hyperparameters, with the errors as metrics for comparing runs."""
    named = {f"{WHOLE_RUN}/{key}": value for key, value in metrics.items()}
    for name, value in named.items():  # first, since it reopens the file that a Trainer closes at its end
        if not name.startswith(f"{WHOLE_RUN}/test_"):  # the test has already logged these
            writer.add_scalar(name, value, step)
    first, *session = hparams(_flat(config), named)
    for summary in (_with_columns(first), *session):
        writer.file_writer.add_summary(summary)  # type: ignore[union-attr]


def _with_columns(summary: Any) -> Any:
    """Show ``COLUMNS`` by default: TensorBoard lists hyperparameters marked as differing first, the others by name."""
    metadata = summary.value[0].metadata.plugin_data
    content = plugin_data_pb2.HParamsPluginData.FromString(metadata.content)  # type: ignore[attr-defined]
    for parameter in content.experiment.hparam_infos:
        parameter.differs = parameter.name in COLUMNS
    metadata.content = content.SerializeToString()
    return summary


def _flat(config: Mapping[str, Any], path: str = "") -> dict[str, str | float | bool]:
    flat: dict[str, str | float | bool] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{path}{key}.")
        else:
            flat[f"{path}{key}"] = value if isinstance(value, (bool, int, float, str)) else str(value)
    return flat


def _expect_full_disks() -> None:
    """Suppress the traceback of TensorBoard's writer thread on an OSError; the same error is handled in this module."""
    hook = threading.excepthook
    if getattr(hook, "knows_tensorboard", False):
        return

    def quiet(met: threading.ExceptHookArgs) -> None:
        if not (type(met.thread).__name__ == "_AsyncWriterThread" and isinstance(met.exc_value, OSError)):
            hook(met)

    quiet.knows_tensorboard = True  # type: ignore[attr-defined]
    threading.excepthook = quiet
