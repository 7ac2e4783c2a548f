"""``repronet summary``: the cost and the receptive field of every layer of a network."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.text import Text
from torch import nn

from repronet import models
from repronet.analysis.complexity import Summary, summarize
from repronet.analysis.layer_record import Row
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
    """The summary, computed without memory for weights if the network can be built and run that way."""
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


_HEADS = ("output", "field", "step", "pad", "params", "neurons", "conn.", "MACs", "bytes")

_LEGEND = """\
field, step, pad: side of the region of the image that a unit sees, distance
between neighbouring units' regions, how far the first begins outside; pixels.
conn.: weights and biases that reach the layer's units, however shared. MACs:
multiply-accumulates for one image. bytes: of the output; 0 in place."""


def table(name: str, summary: Summary, rows: Sequence[Row], width: int) -> str:
    """The rows below the names of their blocks, a legend, and the totals."""
    cells = [_figures(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(_HEADS, *cells, strict=True)]
    labels = [_label(row) for row in rows]
    room = min(max(map(len, labels)), width - sum(widths) - len(widths))
    lines = [_line("layer", _HEADS, room, widths)]
    kinds = {block.name: block.kind for block in summary.blocks}
    path: tuple[str, ...] = ()
    for row, label, figures in zip(rows, labels, cells, strict=True):
        above = tuple(row.name.split(".")[:-1])
        lines += list(_headings(path, above, kinds))
        lines.append(_line(label, figures, room, widths))
        path = above
    size = "×".join(map(str, summary.input_size))
    return "\n".join([f"{name}, input {size}, batch {summary.batch}", "", *lines, "", _LEGEND, "", *_totals(summary)])


def _line(label: str, cells: Sequence[str], room: int, widths: Sequence[int]) -> str:
    cut = label if len(label) <= room else label[: room - 1] + "…"
    return " ".join([f"{cut:<{room}}", *(f"{cell:>{w}}" for cell, w in zip(cells, widths, strict=True))]).rstrip()


def _headings(before: tuple[str, ...], above: tuple[str, ...], kinds: Mapping[str, str]) -> Iterator[str]:
    """A line for each block of the network that begins here."""
    for depth in range(1, len(above) + 1):
        if above[:depth] != before[:depth]:
            kind = kinds.get(".".join(above[:depth]), "Sequential")
            yield " " * (depth - 1) + above[depth - 1] + ("" if kind == "Sequential" else f" {kind}")


def _label(row: Row) -> str:
    *above, name = row.name.split(".")
    return " " * len(above) + (name if name == row.kind else f"{name} {row.kind}")


def _figures(row: Row) -> tuple[str, ...]:
    counts = (row.parameters, row.neurons, row.connections, row.macs, row.activation_bytes)
    if not row.output:
        return ("not run", "", "", "", short(row.parameters), "", "", "", "")
    return ("×".join(map(str, row.output)), *_seen(row), *map(short, counts))


def _seen(row: Row) -> tuple[str, str, str]:
    """Receptive field, step and padding; only the field for outputs without neighbouring units, which are no maps."""
    if row.field is None:
        return "-", "", ""
    step = _side(row.field.stride) if max(row.output[1:], default=1) > 1 else ""
    return ("all", step, "") if row.field.whole else (_side(row.field.size), step, _side(row.field.padding))


def _side(lengths: Sequence[int]) -> str:
    """One number if it is the same for all axes."""
    return str(lengths[0]) if len(set(lengths)) == 1 else "×".join(map(str, lengths))


def short(number: int) -> str:
    """Three digits and a unit: 9,408 is 9.41k."""
    if number < 1000:
        return str(number)
    value, power = float(number), 0
    while value >= 999.5:
        value, power = value / 1000, power + 1
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}{' kMGTP'[power]}"


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.1f} kB"


def _totals(summary: Summary) -> Iterator[str]:
    of = "" if summary.batch == 1 else f", {summary.batch} images"
    yield f"{'parameters':<12}{summary.parameters:>16,}  {_size(summary.parameter_bytes)}"
    yield f"{'neurons':<12}{summary.neurons:>16,}  units of the layers that have connections"
    yield f"{'connections':<12}{summary.connections:>16,}"
    yield f"{'MACs':<12}{summary.macs:>16,}  for one image"
    yield f"{'forward':<12}{_size(summary.forward_bytes):>16}  input and every layer's output{of}"
    if summary.training_bytes is None or summary.kept_bytes is None:
        yield f"{'training':<12}{'-':>16}  images of this size can be tested, not trained on"
        return
    yield f"{'training':<12}{_size(summary.training_bytes):>16}  of which"
    parts = {
        f"activations kept for the backward pass{of}": summary.kept_bytes,
        "parameters": summary.parameter_bytes,
        "gradients": summary.gradient_bytes,
        "the optimizer's copies": summary.optimizer_bytes,
    }
    for what, count in parts.items():
        yield f"{'':<12}{_size(count):>16}  {what}"
