"""Where the time of some steps goes, on demand."""

from __future__ import annotations

import logging
from pathlib import Path

import pytorch_lightning as pl
from torch.profiler import ProfilerActivity, profile, supported_activities

from repronet import runs
from repronet.runs.atomic import write_whole
from repronet.training.callbacks.board import Board

log = logging.getLogger("repronet.train")

ROWS = 40


class Profile(pl.Callback):
    """Records ``steps`` steps, after a first chunk that warms up.

    ``profile/trace.json`` opens in https://ui.perfetto.dev and in chrome://tracing; ``profile/operators.txt`` lists the
    operators by their own time, and TensorBoard shows that list under Text.
    """

    def __init__(self, folder: Path, board: Board, steps: int):
        self.folder = folder / runs.PROFILE
        self.board = board
        self.steps = steps
        self._profiler: profile | None = None
        self._first: int | None = None  # the step before the first that is recorded

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if self._first is None and trainer.global_step > 0:
            self._first = trainer.global_step
            self._profiler = profile(activities=supported_activities() or [ProfilerActivity.CPU], record_shapes=True)
            self._profiler.start()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if self._first is not None and trainer.global_step - self._first >= self.steps:
            self._write(trainer.global_step)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._write(trainer.global_step)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if self._profiler is not None:
            self._profiler.stop()
            self._profiler = None

    def _write(self, step: int) -> None:
        if self._profiler is None:
            return
        self._profiler.stop()
        found, self._profiler = self._profiler, None
        self.folder.mkdir(exist_ok=True)
        found.export_chrome_trace(str(self.folder / "trace.json"))
        order = "self_cuda_time_total" if ProfilerActivity.CUDA in supported_activities() else "self_cpu_time_total"
        table = found.key_averages().table(sort_by=order, row_limit=ROWS, max_name_column_width=40)
        write_whole(self.folder / "operators.txt", table.encode())
        self.board.add_text("profile", "\n".join(f"    {line}" for line in table.splitlines()), step)
        log.info(f"steps {(self._first or 0) + 1} to {step} are profiled: {self.folder / 'trace.json'}")
