"""TensorBoard's files, whose loss is no reason to stop a training."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

log = logging.getLogger("repronet.train")


class Board:
    """Writes to the TensorBoard run in ``folder``, until that fails: then it says so once and writes no more.

    Args:
        purge_step: what an earlier part of the run wrote at this step or later is no longer shown.
    """

    def __init__(self, folder: Path, purge_step: int):
        _expect_full_disks()
        self._writer: SummaryWriter | None = None
        self._attempt(lambda: setattr(self, "_writer", SummaryWriter(folder, purge_step=purge_step)))

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        self._write(lambda writer: writer.add_scalar(tag, value, step))

    def add_figure(self, tag: str, figure: Figure, step: int) -> None:
        self._write(lambda writer: writer.add_figure(tag, figure, step, close=False))

    def add_graph(self, network: nn.Module, images: Tensor) -> None:
        self._write(lambda writer: writer.add_graph(network, images))

    def add_layout(self, layout: dict[str, Any]) -> None:
        self._write(lambda writer: writer.add_custom_scalars(layout))

    def add_summary(self, summary: Any) -> None:
        """A summary as it is: SummaryWriter.add_hparams would open a run of its own for its three."""
        self._write(lambda writer: writer.file_writer.add_summary(summary))  # type: ignore[union-attr]

    def flush(self) -> None:
        self._write(lambda writer: writer.flush())

    def close(self) -> None:
        self._write(lambda writer: writer.close())

    def _write(self, action: Callable[[SummaryWriter], Any]) -> None:
        writer = self._writer
        if writer is not None:
            self._attempt(lambda: action(writer))

    def _attempt(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except OSError as error:
            reason = error.strerror or error
            log.warning(f"TensorBoard: {reason}; nothing more is drawn there, and the training goes on")
            writer, self._writer = self._writer, None
            if writer is not None:
                with suppress(OSError):
                    writer.close()


def _expect_full_disks() -> None:
    """Keep Python from printing the traceback of TensorBoard's writing thread, whose error is met again here."""
    hook = threading.excepthook
    if getattr(hook, "knows_boards", False):
        return

    def quiet(met: threading.ExceptHookArgs) -> None:
        if not (type(met.thread).__name__ == "_AsyncWriterThread" and isinstance(met.exc_value, OSError)):
            hook(met)

    quiet.knows_boards = True  # type: ignore[attr-defined]
    threading.excepthook = quiet
