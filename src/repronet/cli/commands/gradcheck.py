"""``repronet gradcheck``: a table of the error of every gradient."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Column
from rich.text import Text
from torch import nn

from repronet import models
from repronet.analysis.gradient_cases import all_cases
from repronet.analysis.gradients import LIMITS, Case, Errors, check, check_network, worst
from repronet.analysis.own_layer import build, fitting, prove
from repronet.cli.tables import PlainTable
from repronet.config import plugins
from repronet.errors import UserError, closest
from repronet.layers import set_algorithm
from repronet.session.console import tracked


def run(config: DictConfig, console: Console, words: Sequence[str]) -> bool:
    """Print the table for layers, a network or a user's class; returns whether every gradient is right."""
    classes = [word for word in words if "=" not in word]
    if classes:
        return _check_class(classes, config, console)
    for key in ("args", "shape"):
        if config[key] is not None:
            own = "is for a class of your own; name it, my_layers.py:MyLayer for instance"
            raise UserError(f"{key}={config[key]}: {own}")
    if "model" not in config:
        return _check_layers(config, console)
    if config.layer is not None:
        raise UserError(f"layer={config.layer}: check a layer or a network; leave out model={config.model.name}")
    if isinstance(models.MODELS.get(config.model.name), models.Own):
        network = models.create(config.model.name, options=models.own_keys(config.model))
        size, channels = int(network.input_size), models.usual_channels(config.model.name)  # type: ignore[arg-type]
        return _prove(network, [config.batch, channels, size, size], config.seed, console)
    return _check_network(config, console)


def _check_class(names: list[str], config: DictConfig, console: Console) -> bool:
    name = names[0]
    if len(names) > 1 or not ("." in name or ":" in name):
        word = names[-1]
        raise UserError(f"{word}: not KEY=VALUE; write for example layer=conv2d, or my_layers.py:MyLayer")
    if config.layer is not None or "model" in config:
        raise UserError(f"{name}: one thing at a time; leave layer= and model= out")
    torch.manual_seed(config.seed)
    args = None if config.args is None else OmegaConf.to_object(config.args)
    layer = build(plugins.class_named(name), args)  # type: ignore[arg-type]
    console.print(Text(f"{layer}\n"))
    return _prove(layer, config.shape, config.seed, console)


def _prove(layer: nn.Module, shape: Sequence[int] | None, seed: int, console: Console) -> bool:
    own = fitting(layer, shape, seed)
    table = PlainTable("check", Column("error", justify="right"), Column("allowed", justify="right"), "verdict")
    findings = []
    for finding in prove(own, seed):
        findings.append(finding)
        verdict = Text("-") if finding.error is None and finding.passed else _verdict(finding.passed)
        table.add_row(finding.label, _figure(finding.error), f"{finding.limit:.0e}" if finding.limit else "-", verdict)
    console.print(table)
    for finding in findings:
        if finding.words:
            console.print(Text(f"{finding.label}: {finding.words}"[:320]), style=None if finding.passed else "bold red")
    note = f"input {list(own.tensors[0].shape)}, float64; relative errors"
    judged = [finding.passed for finding in findings if finding.error is not None or not finding.passed]
    return _say(console, judged, "checks", note)


def _check_layers(config: DictConfig, console: Console) -> bool:
    cases = all_cases(config.algorithm, config.seed)
    names = list(dict.fromkeys(case.layer for case in cases))
    if config.layer is not None:
        _require_layer(config.layer, names)
    chosen = [case for case in cases if config.layer in (None, case.layer)]
    columns = (Column(name, justify="right", no_wrap=True) for name in LIMITS)
    table = PlainTable("layer and case", *columns, Column("verdict", no_wrap=True))
    results, heading = [], ""
    for case in tracked(chosen, "checking", console):
        errors = check(case)
        results.append(worst(list(errors.values())))
        _add_rows(table, case, heading, errors, config.details)
        heading = case.layer
    console.print(table)
    limits = ", ".join(f"{name} {limit:.0e}" for name, limit in LIMITS.items())
    return _say(console, [result.passed for result in results], "cases", f"largest relative errors; allowed:\n{limits}")


def _require_layer(layer: str, names: list[str]) -> None:
    """Refuse an unknown layer; a class name, BatchNorm2d, is matched to its function, batch_norm."""
    if layer in names:
        return
    plain = {name.replace("_", ""): name for name in names}
    near = closest(layer.replace("_", "").lower(), plain, 0.5)
    hint = f"nearest: {plain[near]}" if near else f"{names[0]} for instance"
    raise UserError(f"layer={layer}: no such layer; {hint} (`repronet gradcheck` checks all {len(names)} by name)")


def _add_rows(table: PlainTable, case: Case, heading: str, errors: dict[str, Errors], details: bool) -> None:
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
    table = PlainTable("parameter", "shape", error, "verdict")
    shapes = {name: "×".join(map(str, parameter.shape)) for name, parameter in ours.named_parameters()}
    for name, error in errors.items():
        table.add_row(name, shapes.get(name, ""), _figure(error), _verdict(error <= LIMITS["vendor"]))
    console.print(table)
    passed = [error <= LIMITS["vendor"] for error in errors.values()]
    return _say(console, passed, "gradients", f"our layers against torch's; allowed: {LIMITS['vendor']:.0e}")


def _say(console: Console, passed: list[bool], what: str, note: str) -> bool:
    """Print the last lines; returns whether all passed."""
    wrong = passed.count(False)
    console.print(Text(f"\n{note}"))
    style = "bold red" if wrong else "bold green"
    console.print(Text(f"{wrong} of {len(passed)} {what} wrong" if wrong else f"all {len(passed)} {what} ok", style))
    return wrong == 0


def _figure(error: float | None) -> str:
    return "-" if error is None else f"{error:.1e}"


def _verdict(passed: bool) -> Text:
    return Text("ok", "green") if passed else Text("WRONG", "bold red")
