"""TensorBoard's files, whose loss is no reason to stop a training."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypedDict

from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from repronet.errors import Fault
from repronet.runs.atomic import write_whole

log = logging.getLogger("repronet.train")


class Counted(TypedDict):
    """A histogram as TensorBoard wants it."""

    min: float
    max: float
    num: int
    sum: float
    sum_squares: float
    bucket_limits: list[float]
    bucket_counts: list[float]


class Board:
    """Writes to the TensorBoard run in ``folder``, until that fails: then it says so once and writes no more.

    Args:
        folder: None writes nothing.
        purge_step: what an earlier part of the run wrote at this step or later is no longer shown.
    """

    def __init__(self, folder: Path | None, purge_step: int):
        _expect_full_disks()
        self._writer: SummaryWriter | None = None
        self._layout: dict[str, Any] = {}
        if folder is not None:
            self._attempt(lambda: setattr(self, "_writer", SummaryWriter(folder, purge_step=purge_step)))

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        self._write(lambda writer: writer.add_scalar(tag, value, step))

    def add_figure(self, tag: str, figure: Figure, step: int) -> None:
        self._write(lambda writer: writer.add_figure(tag, figure, step, close=False))

    def add_image(self, tag: str, image: Tensor, step: int) -> None:
        """``image``: (1 or 3, H, W) from 0 to 1."""
        self._write(lambda writer: writer.add_image(tag, image, step))

    def add_histogram(self, tag: str, counted: Counted, step: int) -> None:
        self._write(lambda writer: writer.add_histogram_raw(tag, global_step=step, **counted))

    def add_pr_curve(self, tag: str, is_class: Tensor, likely: Tensor, step: int) -> None:
        """Which of N images are of a class, and how likely each was said to be: two (N,)."""
        self._write(lambda writer: writer.add_pr_curve(tag, is_class, likely, step))

    def add_text(self, tag: str, text: str, step: int) -> None:
        """``text``: Markdown."""
        self._write(lambda writer: writer.add_text(tag, text, step))

    def add_files(self, contents: Mapping[str, bytes]) -> None:
        """Files beside the events, by their place; those that are there are written anew."""

        def put(folder: Path) -> None:
            for place, content in contents.items():
                (folder / place).parent.mkdir(exist_ok=True)
                write_whole(folder / place, content, survives_power_cut=False)

        self._write(lambda writer: put(Path(writer.log_dir)))

    def add_graph(self, network: nn.Module, images: Tensor) -> None:
        self._write(lambda writer: writer.add_graph(network, images))

    def add_layout(self, layout: dict[str, Any]) -> None:
        """Add charts to the layout of the custom scalars, of which TensorBoard keeps the latest alone."""
        self._layout |= layout
        self._write(lambda writer: writer.add_custom_scalars(self._layout))

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
        except (OSError, Fault) as error:
            reason = getattr(error, "strerror", None) or error
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
