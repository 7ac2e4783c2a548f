"""``repronet bench conv``: the time of each convolution algorithm, with a star at the fastest."""

from __future__ import annotations

import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Column
from rich.text import Text

from repronet import models
from repronet.analysis.conv_speed import STEPS, ConvShape, conv_shapes, measure
from repronet.cli.tables import PlainTable
from repronet.config.schema_tools import BENCH_INPUT
from repronet.errors import UserError
from repronet.functional.windows import Geometry

_DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}
_LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def run(config: DictConfig, console: Console) -> None:
    """Print a table of milliseconds for every shape that ``config`` asks for."""
    if config.accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("accelerator=gpu: PyTorch finds no GPU; use accelerator=cpu")
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    device = torch.device("cuda" if config.accelerator == "gpu" else "cpu")
    shapes = _shapes(config)
    console.print(
        f"torch {torch.__version__}, {device.type}, {torch.get_num_threads()} threads, {config.dtype},"
        f" {config.memory_format}; milliseconds, the least of ten alternating calls"
    )
    for shape, count in shapes.items():
        try:
            times = measure(shape, config.algorithms, _DTYPES[config.dtype], device, _LAYOUTS[config.memory_format])
        except ValueError as error:
            raise UserError(f"algorithms=[{','.join(config.algorithms)}]: none serves {shape}: {error}") from error
        console.print()
        console.print(Text(f"{shape}  ({shape.multiplications / 1e6:,.1f} M multiplications, {count}×)"))
        console.print(_table(times, config.algorithms))
    console.print("\n* the fastest of these")


def _shapes(config: DictConfig) -> dict[ConvShape, int]:
    """The one shape that the keys describe, or the shapes in a network, with their counts."""
    if "model" not in config:
        return {_described(config): 1}
    channels, options = config.input[1] if config.input else None, models.own_keys(config.model)
    network = models.create(config.model.name, in_channels=channels, layers="torch", options=options)
    size = int(network.input_size)  # type: ignore[arg-type]
    images = tuple(config.input or (BENCH_INPUT[0], models.usual_channels(config.model.name), size, size))
    return conv_shapes(network.to("meta"), torch.zeros(images, device="meta"))


def _described(config: DictConfig) -> ConvShape:
    values = (config[key] for key in ("kernel", "stride", "padding", "dilation"))
    sides = ([value] if isinstance(value, int) else value for value in values)
    kernel, stride, padding, dilation = ((pair[0], pair[-1]) for pair in sides)
    batch, channels, height, width = config.input or BENCH_INPUT
    shape = ConvShape(
        (batch, channels, height, width), config.filters, Geometry(kernel, stride, padding, dilation), config.groups
    )
    try:
        shape.geometry.output_size((height, width))
    except RuntimeError as error:
        raise UserError(f"kernel={config.kernel}: {error}") from error
    return shape


def _table(times: dict[str, dict[str, float]], algorithms: list[str]) -> PlainTable:
    """One row per algorithm, one column per step; the fastest of each step has a star."""
    headings = (Column(heading.replace("_", " "), justify="right") for heading in (*STEPS, "together"))
    table = PlainTable("algorithm", *headings)
    winners = {step: min(times[step], key=times[step].__getitem__) for step in STEPS}
    for name in algorithms:
        cells = [_cell(times[step].get(name), winners[step] == name) for step in STEPS]
        applies = all(name in times[step] for step in STEPS)
        total = sum(times[step][name] for step in STEPS) if applies else None
        table.add_row(name, *cells, _cell(total, False) if applies else "does not apply")
    return table


def _cell(seconds: float | None, best: bool) -> str:
    return "-" if seconds is None else f"{seconds * 1e3:.3f}{'*' if best else ' '}"
