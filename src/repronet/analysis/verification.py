"""Verify that a network is the published one: sizes, shapes, fields and connections against `repronet.papers`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from repronet import models
from repronet.analysis.complexity import Summary, summarize
from repronet.papers import NETWORKS
from repronet.papers.records import Facts
from repronet.papers.tables import golden


@dataclass(frozen=True)
class Check:
    """One comparison."""

    what: str  # the quantity
    found: str  # of our network
    expected: str  # as published, computed from the paper, or recorded before; with the source
    passed: bool


def verify(name: str) -> list[Check]:
    """Run every check that the known facts about the network allow.

    Raises:
        KeyError: for an unknown name.
    """
    facts, (network, summary) = NETWORKS[name], measured(name)
    return [
        *_parameters(name, facts, network),
        *_macs(facts, summary),
        *_as_recorded(name, network, summary),
        *_shapes(facts, summary),
        *_field(facts, summary),
        *_connections(facts, summary),
    ]


def measured(name: str) -> tuple[nn.Module, Summary]:
    """The network and its summary for its own image size, without memory for weights if it can be built so."""
    network = models.without_memory(name).eval()
    return network, summarize(network, NETWORKS[name].input)


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def _parameters(name: str, facts: Facts, network: nn.Module) -> Iterator[Check]:
    found = _count(network)
    if facts.with_heads is not None:
        yield _equal("parameters with auxiliary heads", found, facts.with_heads, facts.source)
        with torch.device("meta"):
            found = _count(models.builder(name)(aux_logits=False))
    yield _equal("parameters", found, facts.parameters, facts.source)
    if facts.printed is not None:
        if facts.printed.without_batch_norm:
            found -= sum(_count(module) for module in network.modules() if isinstance(module, nn.BatchNorm2d))
        yield Check("parameters, as printed", f"{found:,}", str(facts.printed), facts.printed.agrees(found))


def _macs(facts: Facts, summary: Summary) -> Iterator[Check]:
    if isinstance(facts.macs, int):
        yield _equal("MACs", summary.macs, facts.macs, "computed")
    elif facts.macs is not None:
        yield Check("MACs, as printed", f"{summary.macs:,}", str(facts.macs), facts.macs.agrees(summary.macs))


def _as_recorded(name: str, network: nn.Module, summary: Summary) -> Iterator[Check]:
    """Compare with the golden record, which holds the figures from the last time the network was verified."""
    record = golden().get(name)
    if record is None:
        yield Check("golden record", "none", "one", False)
        return
    yield _equal("all parameters, as recorded", sum(p.numel() for p in network.parameters()), record["parameters"], "")
    yield _equal("MACs, as recorded", summary.macs, record["macs"], "")


def _shapes(facts: Facts, summary: Summary) -> Iterator[Check]:
    outputs = {part.name: part.output for part in (*summary.rows, *summary.blocks)}
    for stage, expected in facts.stages:
        found = outputs.get(stage)
        shown = "×".join(map(str, found)) if found else "not there"
        yield Check(f"shape after {stage}", shown, "×".join(map(str, expected)), found == expected)


def _field(facts: Facts, summary: Summary) -> Iterator[Check]:
    if facts.receptive_field is None:
        return
    stage, expected = facts.receptive_field
    fields = {part.name: part.field for part in (*summary.rows, *summary.blocks)}
    found = fields.get(stage)
    sides = found.size if found else ()
    yield Check(f"receptive field of {stage}", "×".join(map(str, sides)), str(expected), set(sides) == {expected})


def _connections(facts: Facts, summary: Summary) -> Iterator[Check]:
    for layer, expected in facts.connections:
        rows = [row for row in summary.rows if not layer or row.name == layer or row.name.startswith(f"{layer}.")]
        found = sum(row.connections for row in rows)
        yield _equal(f"connections of {layer or 'all layers'}", found, expected, "paper")


def _equal(what: str, found: int, expected: int, source: str) -> Check:
    return Check(what, f"{found:,}", f"{expected:,}{f' ({source})' if source else ''}", found == expected)
