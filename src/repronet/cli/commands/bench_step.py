"""``repronet bench step``: the time of a whole training step on our layers and on torch's."""

from __future__ import annotations

import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Column

from repronet import models, native
from repronet.analysis.step_speed import bandwidth, measure, operations, peak
from repronet.cli.tables import PlainTable
from repronet.errors import UserError


def run(config: DictConfig, console: Console) -> None:
    """Print a row for each way: time, ratio to the first, share of the peak, memory."""
    if "model" not in config:
        raise UserError("model: missing; say which network: repronet bench step model=resnet20")
    if "native" in config.ways and native.missing():
        raise UserError(f"ways: native: {native.missing()}; leave it out of ways=")
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    name = config.model.name
    with torch.device("meta"):
        size = int(models.create(name, layers="torch").input_size)  # type: ignore[arg-type]
    shape = config.input or [64 if size < 64 else 8, models.usual_channels(name), size, size]
    most, flow = peak(), bandwidth()
    limit = "unknown without a C compiler" if most is None else f"{most / 1e9:.0f} GFLOP/s"
    console.print(f"{name}, images {'×'.join(map(str, shape))}, torch {torch.__version__}")
    console.print(f"{torch.get_num_threads()} threads; peak {limit}, memory {flow / 1e9:.0f} GB/s")
    times = measure(name, shape, config.ways, config.rounds, lambda line: console.print(f"  {line}"))
    first, work = next(iter(times.values())), operations(name, shape)
    headings = ("first s", "ms", "ratio", "of peak", "tensors MB", "process MB")
    table = PlainTable("way", *(Column(heading, justify="right") for heading in headings))
    for way, timing in times.items():
        share = "-" if most is None else f"{work / timing.median / most:.0%}"
        memory = f"{timing.tensors:.1f}", f"{timing.process:.0f}"
        table.add_row(
            way, f"{timing.first:.3f}", f"{timing.median * 1e3:.2f}", f"{timing.ratio(first):.2f}", share, *memory
        )
    console.print(table)
