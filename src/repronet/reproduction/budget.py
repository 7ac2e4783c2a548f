"""Shorten a schedule without changing its shape. Needs no torch."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

from repronet.errors import UserError
from repronet.papers.experiments import EXPERIMENTS

SMOKE_PER_CLASS = 20  # training images per class, for one epoch that only tests whether all parts fit together


def scaled(config: dict[str, Any], experiment: str | None) -> dict[str, Any]:
    """``config`` with the number of epochs of its ``budget``, and every other length scaled in proportion.

    Milestones, stages, warm-ups and patience keep their share of the run; learning rates, batch size and everything
    else stay. ``smoke`` also limits the training images to :data:`SMOKE_PER_CLASS` per class.

    Raises:
        UserError: if no experiment defines the budget, or the budget is too short for one epoch of it.
    """
    budget, trainer = config["budget"], dict(config["trainer"])
    epochs = 1 if budget == "smoke" else _epochs(experiment, budget)
    share = epochs / trainer["max_epochs"]
    trainer["max_epochs"] = epochs
    if trainer["patience"] is not None:
        trainer["patience"] = max(1, round(trainer["patience"] * share))
    result = {**config, "trainer": trainer, "schedule": _shortened(config["schedule"], share)}
    if budget == "smoke":
        result["data"] = {**config["data"], "per_class": SMOKE_PER_CLASS}
    return result


def _epochs(name: str | None, budget: str) -> int:
    if name is None:
        raise UserError(f"budget={budget}: is for experiments; add experiment=NAME, or set trainer.max_epochs")
    known = EXPERIMENTS.get(name)
    if known is None:
        raise UserError(f"budget={budget}: experiment={name} is not one of repronet's; take smoke or paper")
    epochs = {"minutes": known.minutes, "hour": known.hour}[budget]
    if epochs is None:
        raise UserError(f"budget={budget}: is too short for one epoch of experiment={name}; use smoke or paper")
    return epochs


def _shortened(schedule: dict[str, Any], share: float) -> dict[str, Any]:
    """The schedule with its lengths times ``share``; values that are already shares of the run stay.

    Stages end at the nearest whole epoch; stages with no epoch left are dropped.
    """
    lengths: dict[str, Any] = {"warmup_epochs": schedule["warmup_epochs"] * share}
    if schedule["name"] == "multistep":
        lengths["milestones"] = [milestone * share for milestone in schedule["milestones"]]
    if schedule["name"] == "exponential":
        lengths["every"] = schedule["every"] * share
    if schedule["name"] == "plateau":
        lengths["patience"] = max(1, round(schedule["patience"] * share))
    if schedule["name"] == "stages":
        ends = [int(end * share + 0.5) for end in accumulate(schedule["epochs_each"])]
        each = [end - begin for begin, end in pairwise([0, *ends])]
        kept = [(rate, length) for rate, length in zip(schedule["rates"], each, strict=True) if length]
        lengths |= {"rates": [rate for rate, _ in kept], "epochs_each": [length for _, length in kept]}
    return {**schedule, **lengths}
