"""Fine-tuning: which stages of a network are trained, from which epoch on, and at which fraction of the learning rate.

A plan depends on the epoch only, so a resumed run continues with it. Every parameter is in the optimizer from the first
step; frozen parameters get no gradient, and an optimizer does not change parameters without a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from repronet.models.stages import Stage, stages
from repronet.training.tables import row_of


@dataclass(frozen=True)
class Plan:
    """For each stage, from input to head: its first epoch (from 0; None: never) and its fraction of the rate."""

    begins: tuple[int | None, ...]
    shares: tuple[float, ...]


def whole(count: int) -> Plan:
    """Train every stage from the start, at the full rate."""
    return Plan((0,) * count, (1.0,) * count)


def head_alone(count: int) -> Plan:
    """A linear probe: train only the head."""
    return Plan((None,) * (count - 1) + (0,), (1.0,) * count)


def discriminative(count: int, factor: float) -> Plan:
    """Train each stage at ``factor`` times the next stage's rate (Howard and Ruder 2018, section 3.2: 1 / 2.6)."""
    return Plan((0,) * count, tuple(factor**depth for depth in reversed(range(count))))


def gradual(count: int, epochs_each: int, factor: float) -> Plan:
    """Train the head first, and one more stage every ``epochs_each`` epochs (Howard and Ruder 2018, section 3.3)."""
    begins = tuple(depth * epochs_each for depth in reversed(range(count)))
    return Plan(begins, discriminative(count, factor).shares)


def head_then_all(count: int, head_epochs: int, factor: float) -> Plan:
    """Train only the head at first, then all stages, earlier stages at lower rates."""
    return Plan((head_epochs,) * (count - 1) + (0,), discriminative(count, factor).shares)


PLANS: dict[str, Callable[..., Plan]] = {
    "all": whole,
    "head": head_alone,
    "discriminative": discriminative,
    "gradual": gradual,
    "head_then_all": head_then_all,
    "lwf": head_then_all,
    "scratch": whole,
}


def stage_plan(network: nn.Module, chosen: str | Mapping[str, Any]) -> StagePlan:
    """The stages of ``network``, with the plan that an entry of :data:`PLANS` makes for them.

    Args:
        chosen: a name, or a mapping with ``name`` and the plan's own values.

    Raises:
        UserError: for an unknown name, or values that the plan does not take.
    """
    values = {"name": chosen} if isinstance(chosen, str) else dict(chosen)
    name, found = values.pop("name", None), stages(network)
    return StagePlan(found, row_of(PLANS, "finetune", name, {"count": len(found), **values}))


class StagePlan:
    """A plan, with the stages of the network that it applies to."""

    def __init__(self, stages: list[Stage], plan: Plan):
        self.stages = stages
        self.plan = plan
        self._frozen: list[Stage] = []

    def begin_epoch(self, epoch: int) -> None:
        """Unfreeze the stages that are trained in this epoch, and freeze the others."""
        self._frozen = []
        for stage, begin in zip(self.stages, self.plan.begins, strict=True):
            frozen = begin is None or epoch < begin
            for parameter in stage.parameters():
                parameter.requires_grad_(not frozen)
            if frozen:
                self._frozen.append(stage)

    @property
    def only_the_head(self) -> bool:
        """Whether only the head is trained at present."""
        return len(self._frozen) == len(self.stages) - 1

    def hold(self) -> None:
        """Put frozen stages in evaluation mode and the others in training mode, since a Trainer changes the modes.

        Frozen batch normalisation thus keeps its running statistics and normalises with them.
        """
        for stage in self.stages:
            for module in stage.modules:
                module.train(stage not in self._frozen)

    def groups(self) -> list[tuple[Stage, float]]:
        """Each stage with its fraction of the rate."""
        return list(zip(self.stages, self.plan.shares, strict=True))

    @property
    def trained_size(self) -> int:
        """The number of parameters that are trained in some epoch."""
        return sum(s.size for s, begin in zip(self.stages, self.plan.begins, strict=True) if begin is not None)

    def lines(self, rate: float) -> list[str]:
        """One line per stage: name, number of parameters, first epoch and rate."""
        width = max(len(stage.name) for stage in self.stages)
        lines = []
        for stage, begin, share in zip(self.stages, self.plan.begins, self.plan.shares, strict=True):
            when = "frozen" if begin is None else f"from epoch {begin + 1}, rate {rate * share:.2g}"
            lines.append(f"  {stage.name:<{width}}  {stage.size:>11,} parameters  {when}")
        return lines
