"""What the whole stack costs over a bare PyTorch loop: Lightning, metrics, curves, records, checkpoints.

    python benchmarks/training_overhead.py [layers=torch] [data=mnist trainer.max_epochs=4] ...

One process, one Trainer.fit: after every epoch of ours, the same epoch (same batches, same network, same optimizer and
schedule, a validation pass) runs once more as a bare loop on a copy of the network. The two alternate, so that a
machine whose speed drifts slows both. Printed are the median times of an epoch and the median of the epochs' ratios.
"""

from __future__ import annotations

import copy
import statistics
import sys
import tempfile
import time
from pathlib import Path

import pytorch_lightning as pl
import torch
from rich.console import Console
from torch import nn

from repronet.cli.build import Parts, assemble
from repronet.cli.compose import compose
from repronet.cli.train import make_session
from repronet.stopping import StopSwitch


class BareLoop(pl.Callback):
    """Repeats each epoch without the stack and notes how long both took."""

    def __init__(self, parts: Parts):
        self.data, self.loss, self.task = parts.data, parts.task.loss, parts.task
        self.network = copy.deepcopy(parts.task.network)
        self.stack_seconds: list[float] = []
        self.bare_seconds: list[float] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.optimizer = self.task.build_optimizer(self.network.parameters())
        self.schedule = self.task.build_schedule(self.optimizer, self.task.steps_per_epoch, trainer.max_epochs)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        now = time.perf_counter()
        if trainer.current_epoch > 0:
            self.stack_seconds.append(now - self.started)  # checkpoints of the epoch before included
            train_bare(self.network, self.loss, self.optimizer, self.schedule, self.data)
            self.bare_seconds.append(time.perf_counter() - now)
        self.started = time.perf_counter()


def train_bare(network: nn.Module, loss_function, optimizer, schedule, data) -> float:
    """One epoch and one validation pass as a tutorial writes them; returns the validation error."""
    network.train()
    for chunk in data.train_dataloader():
        for images, labels in chunk:
            loss = loss_function(network(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    network.eval()
    wrong = 0
    with torch.no_grad():
        for images, labels in data.val_dataloader():
            wrong += int((network(images).argmax(dim=1) != labels).sum())
    return wrong / len(data.val)


def main(words: list[str]) -> None:
    config = compose("train", ["trainer.max_epochs=13", *words])
    with tempfile.TemporaryDirectory() as folder:
        parts = assemble(config)
        bare = BareLoop(parts)
        session = make_session(config, parts, Path(folder), Console(quiet=True), StopSwitch())
        session.trainer.callbacks.append(bare)
        session.trainer.fit(parts.task, datamodule=parts.data)
    ratios = [ours / theirs for ours, theirs in zip(bare.stack_seconds, bare.bare_seconds, strict=True)]
    steps = parts.task.steps_per_epoch
    print(f"{config.model.name}, {config.layers} layers, batch {config.data.batch_size}, {config.data.name}")
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {len(ratios)} epochs of {steps} steps each way"
    )
    for name, seconds in (("stack", bare.stack_seconds), ("bare", bare.bare_seconds)):
        median = statistics.median(seconds)
        print(f"  {name:<6} {median:6.3f} s an epoch  {median / steps * 1e3:6.2f} ms a step")
    print(f"  ratio  {statistics.median(ratios):6.3f}  (from {min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main(sys.argv[1:])
