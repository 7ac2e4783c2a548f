"""``repronet summary``: what every layer of a network costs and sees."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.text import Text
from torch import nn

from repronet import models
from repronet.analysis.complexity import Summary, summarize
from repronet.analysis.layer_record import Row
from repronet.cli.commands.summary_table import table
from repronet.errors import UserError


def run(config: DictConfig, console: Console) -> None:
    """Print the summary of the network of ``config`` in its format."""
    if "model" not in config:
        raise UserError("model: missing; say which network: repronet summary model=lenet5")
    summary = _measured(config)
    rows = summary.rows if config.depth is None else summary.folded(config.depth)
    if config.format == "table":
        console.print(Text(table(config.model.name, summary, rows, console.width)), soft_wrap=True)
    else:
        print(FORMATS[config.format](config.model.name, summary, rows), end="")


def _measured(config: DictConfig) -> Summary:
    """The summary without memory for weights if the network can be built and run so, else with it."""
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                network = _network(config)
            return _summarized(network, config)
        except Exception:
            return _summarized(_network(config), config)


def _network(config: DictConfig) -> nn.Module:
    channels = None if config.input is None else config.input[0]
    return models.create(
        config.model.name,
        num_classes=config.num_classes,
        in_channels=channels,
        layers=config.layers,
        options=models.own_keys(config.model),
    )


def _summarized(network: nn.Module, config: DictConfig) -> Summary:
    side = int(network.input_size)  # type: ignore[arg-type]
    channels = models.usual_channels(config.model.name)
    size = (channels, side, side) if config.input is None else tuple(config.input)
    remembers = "adam"  # the kind of optimizer, by what it keeps of each parameter
    if "optimizer" not in config or config.optimizer.name == "sgd":
        remembers = "momentum" if "optimizer" in config and config.optimizer.momentum > 0 else "sgd"
    return summarize(network, size, config.batch, remembers)


def _cells(row: Row) -> dict[str, object]:
    """A row's exact figures; lists are (height, width)."""
    field = row.field
    return {
        "layer": row.name,
        "kind": row.kind,
        "output": list(row.output),
        "receptive_field": None if field is None else list(field.size),
        "stride": None if field is None else list(field.stride),
        "padding": None if field is None else list(field.padding),
        "sees_all": None if field is None else field.whole,
        "parameters": row.parameters,
        "neurons": row.neurons,
        "connections": row.connections,
        "macs": row.macs,
        "activation_bytes": row.activation_bytes,
    }


TOTALS = (
    *("parameters", "neurons", "connections", "macs", "forward_bytes", "kept_bytes"),
    *("parameter_bytes", "gradient_bytes", "optimizer_bytes", "training_bytes"),
)


def _as_json(name: str, summary: Summary, rows: tuple[Row, ...]) -> str:
    totals = {total: getattr(summary, total) for total in TOTALS}
    found = {"model": name, "input": list(summary.input_size), "batch": summary.batch}
    return json.dumps({**found, "layers": [_cells(row) for row in rows], "totals": totals}, indent=1) + "\n"


def _as_csv(name: str, summary: Summary, rows: tuple[Row, ...]) -> str:
    written = io.StringIO()
    lines = [_cells(row) for row in rows]
    writer = csv.DictWriter(written, fieldnames=list(lines[0]), lineterminator="\n")
    writer.writeheader()
    joined = ({k: "x".join(map(str, v)) if isinstance(v, list) else v for k, v in line.items()} for line in lines)
    writer.writerows(joined)
    return written.getvalue()


def _as_markdown(name: str, summary: Summary, rows: tuple[Row, ...]) -> str:
    lines = [_cells(row) for row in rows]
    heads = [head.replace("_", " ") for head in lines[0]]
    rules = ["---:" if isinstance(value, int | list) else "---" for value in lines[0].values()]
    body = [[_readable(value) for value in line.values()] for line in lines]
    figures = [f"- {total.replace('_', ' ')}: {_readable(getattr(summary, total))}" for total in TOTALS]
    written = [f"| {' | '.join(cells)} |" for cells in (heads, rules, *body)]
    return "\n".join([f"**{name}**, {_readable(list(summary.input_size))}", "", *written, "", *figures, ""])


def _readable(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "-", True: "yes", False: "no"}[value]
    if isinstance(value, list):
        return "×".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


FORMATS: dict[str, Callable[[str, Summary, tuple[Row, ...]], str]] = {
    "json": _as_json,
    "csv": _as_csv,
    "md": _as_markdown,
}
