"""The table of ``repronet summary``, which fits a line of 80 characters, and its totals in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from repronet.analysis.complexity import Summary
from repronet.analysis.layer_record import Row

_HEADS = ("output", "field", "step", "pad", "params", "neurons", "conn.", "MACs", "bytes")

_LEGEND = """\
field, step, pad: side of the region of the image that a unit sees, distance
between neighbouring units' regions, how far the first begins outside; pixels.
conn.: weights and biases that reach the layer's units, however shared. MACs:
multiply-accumulates for one image. bytes: of the output; 0 in place."""


def table(name: str, summary: Summary, rows: Sequence[Row], width: int) -> str:
    """The rows below the names of what contains them, a legend, and the totals."""
    cells = [_cells(row) for row in rows]
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
    """A line for each part of the network that begins here."""
    for depth in range(1, len(above) + 1):
        if above[:depth] != before[:depth]:
            kind = kinds.get(".".join(above[:depth]), "Sequential")
            yield " " * (depth - 1) + above[depth - 1] + ("" if kind == "Sequential" else f" {kind}")


def _label(row: Row) -> str:
    *above, name = row.name.split(".")
    return " " * len(above) + (name if name == row.kind else f"{name} {row.kind}")


def _cells(row: Row) -> tuple[str, ...]:
    counts = (row.parameters, row.neurons, row.connections, row.macs, row.activation_bytes)
    if not row.output:
        return ("not run", "", "", "", short(row.parameters), "", "", "", "")
    return ("×".join(map(str, row.output)), *_seen(row), *map(short, counts))


def _seen(row: Row) -> tuple[str, str, str]:
    """Field, step and padding; of what is no map, and so has no neighbouring units, the field alone."""
    if row.field is None:
        return "-", "", ""
    step = _side(row.field.stride) if max(row.output[1:], default=1) > 1 else ""
    return ("all", step, "") if row.field.whole else (_side(row.field.size), step, _side(row.field.padding))


def _side(lengths: Sequence[int]) -> str:
    """One number where all axes have the same."""
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
    yield from _training(summary, of)


def _training(summary: Summary, of: str) -> Iterator[str]:
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
