"""``repronet find-rate``: a learning rate to start with, found by raising it until the loss explodes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from itertools import chain, count, islice
from typing import NamedTuple

from matplotlib.figure import Figure
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track
from rich.table import Column

from repronet.cli.failures import writing
from repronet.cli.tables import PlainTable
from repronet.config.build import Parts, assemble
from repronet.errors import UserError
from repronet.training.losses import loss_of_heads
from repronet.training.optimizers import parameter_groups

SMOOTHING = 0.9  # of the running mean of the loss, as single batches scatter
EXPLODED = 4  # times the smallest loss so far, where the test stops
ROWS = 12


class Point(NamedTuple):
    """One step of the test."""

    rate: float
    loss: float  # of its batch, before the step
    smooth: float  # exponential mean over the steps so far


def run(config: DictConfig, console: Console) -> list[Point]:
    """Take steps with rates that rise from ``low`` to ``high`` by a constant factor, and draw the loss over the rate.

    The range test of L. N. Smith, "Cyclical learning rates for training neural networks", 2017, section 3.3, with rates
    that rise exponentially. The weights are thrown away.
    """
    parts = assemble(config)
    with closing(parts.data):
        steps = track(_points(config, parts), "trying rates", config.steps, console=console, transient=True)
        points = list(steps)
    chosen = steepest(points)
    if chosen is None:
        raise UserError(f"low={config.low:g}: the loss never fell from there on; start lower, or use more steps")
    with writing("out", config.out) as path:
        _figure(config, points, chosen).savefig(path)
    table = PlainTable(*(Column(heading, justify="right") for heading in ("rate", "loss")))
    for n in sorted({round(n * (len(points) - 1) / (ROWS - 1)) for n in range(ROWS)}):
        table.add_row(f"{points[n].rate:.2g}", f"{points[n].smooth:.3f}")
    console.print(table)
    least = min(points, key=lambda point: point.smooth)
    console.print(f"\nsteepest fall at {chosen:.2g}, least loss at {least.rate:.2g}")
    console.print(f"try optimizer.lr={chosen:.1g}; {path} shows the whole curve", markup=False, soft_wrap=True)
    return points


def _points(config: DictConfig, parts: Parts) -> Iterator[Point]:
    task = parts.task
    network = task.network.train()
    optimizer = task.build_optimizer(parameter_groups(network.parameters(), task.decay))
    growth = (config.high / config.low) ** (1 / max(config.steps - 1, 1))
    mean, least = 0.0, math.inf
    batches = chain.from_iterable(parts.data.train_dataloader() for _ in count())
    for step, (images, labels) in enumerate(islice(batches, config.steps)):
        rate = config.low * growth**step
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = loss_of_heads(network, network(images), labels, task.training_loss)
        value = loss.item()
        if not math.isfinite(value):
            return
        mean = SMOOTHING * mean + (1 - SMOOTHING) * value
        smooth = mean / (1 - SMOOTHING ** (step + 1))
        least = min(least, smooth)
        yield Point(rate, value, smooth)
        if smooth > EXPLODED * least:
            return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def steepest(points: list[Point]) -> float | None:
    """The rate at which the smoothed loss falls most for a given factor of the rate; None if it never falls.

    Steps after the smallest loss are left out, and so are the first steps, whose mean covers few batches.
    """
    least = min(range(len(points)), key=lambda n: points[n].smooth)
    smooth = [point.smooth for point in points]
    falls = {n: smooth[n + 2] - smooth[n - 2] for n in range(5, least - 1)}
    best = min(falls, key=lambda n: falls[n], default=None)
    return points[best].rate if best is not None and falls[best] < 0 else None


def _figure(config: DictConfig, points: list[Point], chosen: float) -> Figure:
    figure = Figure(figsize=(7, 3.5), dpi=110, layout="constrained")
    axes = figure.subplots()
    rates = [point.rate for point in points]
    axes.plot(rates, [point.loss for point in points], color="tab:blue", alpha=0.25, label="of a batch")
    axes.plot(rates, [point.smooth for point in points], color="tab:blue", label="smoothed")
    axes.axvline(chosen, color="tab:orange", linestyle="--", label=f"steepest fall, {chosen:.2g}")
    shown = [point.smooth for point in points]
    margin = 0.1 * (max(shown[0], 1.5 * min(shown)) - min(shown))
    axes.set(xscale="log", xlabel="learning rate", ylabel="training loss", title=config.model.name)
    axes.set_ylim(min(shown) - margin, max(shown[0], 1.5 * min(shown)) + 2 * margin)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
