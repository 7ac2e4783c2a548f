"""The overhead of our training loop over a bare PyTorch loop: Lightning, metrics, curves, records, checkpoints, checks.

    python benchmarks/training_overhead.py [layers=torch] [data=mnist trainer.max_epochs=4] ...

One process, one Trainer.fit. After every 16 batches, a bare loop trains on the same batches with a copy of the network,
the same optimizer and schedule; after every epoch, it validates too. Because both alternate every 16 steps, changes of
machine speed affect both. Prints the times of an epoch with validation and checkpoints, and the median ratios of epochs
and of chunks, without the first epoch, which warms up and draws the graph.
"""

from __future__ import annotations

import copy
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytorch_lightning as pl
import torch
from rich.console import Console

from repronet.config.build import Parts, assemble
from repronet.config.compose import compose
from repronet.runs.processes import Place
from repronet.runs.stopping import StopSwitch
from repronet.session.console import quiet_lightning
from repronet.session.trainer import make_session

CHUNK = 16


class BareLoop(pl.Callback):
    """Repeats each chunk and each validation pass in a bare loop, and records the time of both."""

    def __init__(self, parts: Parts):
        self.data, self.loss, self.task = parts.data, parts.task.loss, parts.task
        self.network = copy.deepcopy(parts.task.network)
        self.epochs: list[tuple[float, float]] = []  # seconds of our training loop, and of the bare loop
        self.chunks: list[tuple[float, float]] = []
        self._stack = self._bare = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.optimizer = self.task.build_optimizer(self.network.parameters())
        steps, epochs = self.data.steps_per_epoch, trainer.max_epochs
        assert epochs is not None
        self.schedule = self.task.build_schedule(self.optimizer, lambda: (steps, steps * epochs))

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch > 0:
            self._count(self._validate)
            if trainer.current_epoch > 1:
                self.epochs.append((self._stack, self._bare))
        self._stack = self._bare = 0.0
        self._pass: Iterator = iter(self.data.train_dataloader())
        self._clock = time.perf_counter()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if (batch_idx + 1) % CHUNK and not trainer.is_last_batch:
            return
        pair = self._count(self._train_chunk)
        if trainer.current_epoch > 0:
            self.chunks.append(pair)

    def _count(self, bare) -> tuple[float, float]:
        """The seconds of the training loop since the clock was set, and of ``bare`` for the same work."""
        began = time.perf_counter()
        bare()
        self_seconds, bare_seconds = began - self._clock, time.perf_counter() - began
        self._stack, self._bare = self._stack + self_seconds, self._bare + bare_seconds
        self._clock = time.perf_counter()
        return self_seconds, bare_seconds

    def _train_chunk(self) -> None:
        """Train on one chunk in a loop as in a tutorial."""
        self.network.train()
        for images, labels in islice(self._pass, CHUNK):
            loss = self.loss(self.network(images), labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.schedule.step()

    def _validate(self) -> float:
        self.network.eval()
        wrong = 0
        with torch.no_grad():
            for images, labels in self.data.val_dataloader():
                wrong += int((self.network(images).argmax(dim=1) != labels).sum())
        return wrong / len(self.data.val)


def main(words: list[str]) -> None:
    config = compose("train", ["trainer.max_epochs=13", *words])
    with tempfile.TemporaryDirectory() as folder:
        parts = assemble(config)
        bare = BareLoop(parts)
        quiet_lightning()
        session = make_session(config, parts, Path(folder), Console(quiet=True), StopSwitch(), Place())
        session.trainer.callbacks.append(bare)  # type: ignore[attr-defined]
        session.trainer.fit(parts.task, datamodule=parts.data)
    steps = parts.data.steps_per_epoch
    print(f"{config.model.name}, {config.layers} layers, batch {config.data.batch_size}, {config.data.name}")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {len(bare.epochs)} epochs of {steps} steps")
    for name, index in (("stack", 0), ("bare", 1)):
        median = statistics.median(pair[index] for pair in bare.epochs)
        print(f"  {name:<6} {median:6.3f} s an epoch  {median / steps * 1e3:6.2f} ms a step")
    for name, pairs in (("epochs", bare.epochs), ("chunks", bare.chunks)):
        ratios = [stack / plain for stack, plain in pairs]
        quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        middle = f"half of them from {quartiles[0]:.3f} to {quartiles[2]:.3f}"
        print(f"  ratio of {name}  {statistics.median(ratios):.3f}  ({middle}; {len(ratios)})")


if __name__ == "__main__":
    main(sys.argv[1:])
