"""``repronet schedule``: the learning rate of a run, before it is run."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Column

from repronet.cli.failures import writing
from repronet.cli.tables import PlainTable
from repronet.config.build import plain
from repronet.config.groups import chosen
from repronet.training.schedules import schedule_builder

ROWS = 12  # epochs in the table


def run(config: DictConfig, console: Console) -> list[float]:
    """Draw and print the rate of every step of the run that ``config`` describes; returns the rates."""
    found = rates(config)
    with writing("out", config.out) as path:
        _figure(config, found).savefig(path)
    epochs = len(found) // config.steps_per_epoch
    table = PlainTable(*(Column(name, justify="right") for name in ("epoch", "step", "first rate", "last rate")))
    some = {round(n * (epochs - 1) / (ROWS - 1)) for n in range(ROWS)} if epochs > ROWS else range(epochs)
    for epoch in sorted(some):
        first, last = epoch * config.steps_per_epoch, (epoch + 1) * config.steps_per_epoch - 1
        table.add_row(str(epoch + 1), f"{first:,}", f"{found[first]:.3g}", f"{found[last]:.3g}")
    console.print(table)
    if config.schedule.name == "plateau":
        console.print("\nalso falls when the validation error stops falling", markup=False)
    console.print(f"\n{path}", markup=False, soft_wrap=True)
    return found


def rates(config: DictConfig) -> list[float]:
    """The rate of each optimizer step."""
    total = config.steps_per_epoch * config.trainer.max_epochs
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=config.optimizer.lr)
    schedules = schedule_builder(plain(config.schedule))(optimizer, lambda: (config.steps_per_epoch, total))
    found = []
    for _ in range(total):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedules.step()
    return found


def _figure(config: DictConfig, found: list[float]) -> Figure:
    figure = Figure(figsize=(7, 3.5), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.plot([step / config.steps_per_epoch for step in range(len(found))], found)
    axes.set(
        xlabel="epoch",
        ylabel="learning rate",
        title=f"schedule={chosen('schedule', config.schedule.name)}",
        ylim=(0, None),
    )
    axes.grid(alpha=0.3)
    return figure
