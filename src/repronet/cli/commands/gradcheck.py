"""``repronet gradcheck``: a table of how far every gradient is from what it should be."""

from __future__ import annotations

import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track
from rich.table import Column, Table
from rich.text import Text

from repronet import models
from repronet.analysis.gradient_cases import all_cases
from repronet.analysis.gradients import LIMITS, Case, Errors, check, check_network, worst
from repronet.errors import UserError, closest
from repronet.layers import set_algorithm


def run(config: DictConfig, console: Console) -> bool:
    """Print the table for the layers or the network of ``config``; whether every gradient is right."""
    if "model" not in config:
        return _check_layers(config, console)
    if config.layer is not None:
        raise UserError(f"layer={config.layer}: one thing at a time; leave model={config.model.name} out")
    return _check_network(config, console)


def _check_layers(config: DictConfig, console: Console) -> bool:
    cases = all_cases(config.algorithm, config.seed)
    names = list(dict.fromkeys(case.layer for case in cases))
    if config.layer is not None:
        _require_layer(config.layer, names)
    chosen = [case for case in cases if config.layer in (None, case.layer)]
    columns = (Column(name, justify="right", no_wrap=True) for name in LIMITS)
    table = Table("layer and case", *columns, Column("verdict", no_wrap=True), box=None, pad_edge=False)
    results, heading = [], ""
    for case in track(chosen, "checking", console=console, transient=True, disable=not console.is_terminal):
        errors = check(case)
        results.append(worst(list(errors.values())))
        _add_rows(table, case, heading, errors, config.details)
        heading = case.layer
    console.print(table)
    limits = ", ".join(f"{name} {limit:.0e}" for name, limit in LIMITS.items())
    return _say(console, [result.passed for result in results], "cases", f"largest relative errors; allowed:\n{limits}")


def _require_layer(layer: str, names: list[str]) -> None:
    """Refuse a layer that there is not; a class's name, BatchNorm2d, is near to its function's, batch_norm."""
    if layer in names:
        return
    plain = {name.replace("_", ""): name for name in names}
    near = closest(layer.replace("_", "").lower(), plain, 0.5)
    hint = f"nearest: {plain[near]}" if near else f"{names[0]} for instance"
    raise UserError(f"layer={layer}: no such layer; {hint} (`repronet gradcheck` checks all {len(names)} by name)")


def _add_rows(table: Table, case: Case, heading: str, errors: dict[str, Errors], details: bool) -> None:
    """One row for the case, or one for each of its gradients, below the layer's name."""
    if case.layer != heading:
        table.add_row(Text(case.layer, "bold"))
    if details:
        table.add_row(Text(f"  {case.label}"))
    rows = {f"  ∂{name}": error for name, error in errors.items()} if details else {}
    for label, error in (rows or {case.label: worst(list(errors.values()))}).items():
        figures = (_figure(getattr(error, name)) for name in LIMITS)
        table.add_row(Text(f"  {label}"), *figures, _verdict(error.passed))


def _check_network(config: DictConfig, console: Console) -> bool:
    torch.manual_seed(config.seed)
    ours = models.create(config.model.name, options=models.own_keys(config.model)).double()
    vendor = models.create(config.model.name, layers="torch", options=models.own_keys(config.model)).double()
    vendor.load_state_dict(ours.state_dict())
    set_algorithm(ours, config.algorithm)
    size, channels = int(ours.input_size), models.usual_channels(config.model.name)  # type: ignore[arg-type]
    try:
        errors = check_network(ours, vendor, torch.randn(config.batch, channels, size, size, dtype=torch.float64))
    except ValueError as error:  # an algorithm that does not apply to one of its layers
        raise UserError(f"model={config.model.name}: {error}") from error
    error = Column("relative error", justify="right")
    table = Table("parameter", "shape", error, "verdict", box=None, pad_edge=False)
    shapes = {name: "×".join(map(str, parameter.shape)) for name, parameter in ours.named_parameters()}
    for name, error in errors.items():
        table.add_row(name, shapes.get(name, ""), _figure(error), _verdict(error <= LIMITS["vendor"]))
    console.print(table)
    passed = [error <= LIMITS["vendor"] for error in errors.values()]
    return _say(console, passed, "gradients", f"our layers against torch's; allowed: {LIMITS['vendor']:.0e}")


def _say(console: Console, passed: list[bool], what: str, note: str) -> bool:
    """The last lines: how many were right."""
    wrong = passed.count(False)
    console.print(Text(f"\n{note}"))
    style = "bold red" if wrong else "bold green"
    console.print(Text(f"{wrong} of {len(passed)} {what} wrong" if wrong else f"all {len(passed)} {what} right", style))
    return wrong == 0


def _figure(error: float | None) -> str:
    return "-" if error is None else f"{error:.1e}"


def _verdict(passed: bool) -> Text:
    return Text("right", "green") if passed else Text("WRONG", "bold red")
