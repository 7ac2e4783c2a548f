"""A schedule made shorter without another shape. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from repronet.errors import UserError
from repronet.papers.experiments import EXPERIMENTS

SMOKE_PER_CLASS = 20  # training images of a class, in one epoch that only shows whether all parts fit


def scaled(config: dict[str, Any], experiment: str | None) -> dict[str, Any]:
    """``config`` with as many epochs as its ``budget`` pays for, and every other length in proportion.

    Milestones, stages, warm-ups and patience keep their share of the run; rates, batch and everything else stay.
    ``smoke`` also takes :data:`SMOKE_PER_CLASS` training images of each class.

    Raises:
        UserError: where no experiment says what a budget is, or it has none so small.
    """
    budget, trainer = config["budget"], config["trainer"]
    epochs = 1 if budget == "smoke" else _epochs(experiment, budget)
    share = epochs / trainer["max_epochs"]
    result = {
        **config,
        "trainer": {**trainer, "max_epochs": epochs, **_patience(trainer, share)},
        "schedule": _shortened(config["schedule"], share),
    }
    if budget == "smoke":
        result["data"] = {**config["data"], "per_class": SMOKE_PER_CLASS}
    return result


def _epochs(name: str | None, budget: str) -> int:
    if name is None:
        raise UserError(f"budget={budget}: belongs to an experiment; add experiment=NAME, or set trainer.max_epochs")
    known = EXPERIMENTS.get(name)
    if known is None:
        raise UserError(f"budget={budget}: experiment={name} is not one of repronet's; set trainer.max_epochs")
    epochs = {"minutes": known.minutes, "hour": known.hour}[budget]
    if epochs is None:
        raise UserError(f"budget={budget}: buys not one epoch of experiment={name}; take smoke or paper")
    return epochs


def _patience(trainer: dict[str, Any], share: float) -> dict[str, Any]:
    patience = trainer["patience"]
    return {} if patience is None else {"patience": max(1, round(patience * share))}


def _shortened(schedule: dict[str, Any], share: float) -> dict[str, Any]:
    """The schedule with its lengths times ``share``; what is a share of the run already stays."""
    lengths: dict[str, Any] = {"warmup_epochs": schedule["warmup_epochs"] * share}
    if schedule["name"] == "multistep":
        lengths["milestones"] = [milestone * share for milestone in schedule["milestones"]]
    if schedule["name"] == "exponential":
        lengths["every"] = schedule["every"] * share
    if schedule["name"] == "plateau":
        lengths["patience"] = max(1, round(schedule["patience"] * share))
    if schedule["name"] == "stages":
        lengths["rates"], lengths["epochs_each"] = _stages(schedule["rates"], schedule["epochs_each"], share)
    return {**schedule, **lengths}


def _stages(rates: Sequence[float], epochs_each: Sequence[int], share: float) -> tuple[list[float], list[int]]:
    """Stages that end at the nearest whole epoch; those that have none left fall out."""
    kept_rates, kept_lengths, before, begun = [], [], 0.0, 0
    for rate, length in zip(rates, epochs_each, strict=True):
        before += length * share
        whole = int(before + 0.5) - begun
        if whole:
            kept_rates.append(rate)
            kept_lengths.append(whole)
            begun += whole
    return kept_rates, kept_lengths
