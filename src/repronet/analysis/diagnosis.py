"""Describe the training curves of a run in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

Rows = Sequence[Mapping[str, float]]

SHORT = 3  # validated epochs; fewer are too few to diagnose


def diagnose(rows: Rows) -> list[str]:
    """Sentences about a run, the most serious first: divergence, over- and underfitting, an early end, a plateau.

    Args:
        rows: the validated epochs of ``history.csv``, with ``train_loss``, ``train_error``, ``val_loss`` and
            ``val_error``; errors are shares from 0 to 1. Training figures are measured while the weights change and
            with augmentation, so they may be higher than those of validation.
    """
    if len(rows) < SHORT:
        epochs = "epoch" if len(rows) == 1 else "epochs"
        return [f"{len(rows)} validated {epochs}: too few to tell anything from the curves."]
    looks = (_divergence, _overfitting, _underfitting, _too_short, _plateau)
    found = [sentence for look in looks if (sentence := look(rows))]
    if any("diverged" in sentence for sentence in found):
        return found[:1]
    return found or ["No sign of over- or underfitting; training and validation end close together."]


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _best(rows: Rows, figure: str) -> int:
    """The index of the epoch with the lowest figure."""
    return min(range(len(rows)), key=lambda index: rows[index][figure])


def _divergence(rows: Rows) -> str | None:
    best, last = rows[_best(rows, "val_error")], rows[-1]
    worse = last["val_error"] - best["val_error"]
    if math.isfinite(last["val_loss"]) and worse <= 0.25 * (1 - best["val_error"]):
        return None
    return (
        f"It diverged: the validation error rose from {_percent(best['val_error'])} after epoch {best['epoch']:.0f} to "
        f"{_percent(last['val_error'])}. Lower the rate, warm it up, or clip the gradient."
    )


def _overfitting(rows: Rows) -> str | None:
    turn, last = rows[_best(rows, "val_loss")], rows[-1]
    if last["val_loss"] > 1.1 * turn["val_loss"] and last["train_loss"] < turn["train_loss"]:
        return (
            f"It overfits from epoch {turn['epoch']:.0f} on: the validation loss rose from {turn['val_loss']:.3g} to "
            f"{last['val_loss']:.3g} while the training loss fell to {last['train_loss']:.3g}. Augment, decay the "
            "weights, or stop earlier."
        )
    gap = last["val_error"] - last["train_error"]
    if gap > max(0.02, 0.5 * last["val_error"]):
        return (
            f"A gap of {100 * gap:.1f} points between training ({_percent(last['train_error'])}) and validation "
            f"({_percent(last['val_error'])}): it knows the training images better than others. Augment, or decay the "
            "weights."
        )
    return None


def _underfitting(rows: Rows) -> str | None:
    last = rows[-1]
    if last["train_error"] < 0.1 or last["val_error"] > last["train_error"] + 0.05:
        return None
    return (
        f"It underfits: {_percent(last['train_error'])} of the training images are misclassified, and "
        f"validation ({_percent(last['val_error'])}) is no worse. A larger network, a longer run or a weaker "
        "augmentation may help."
    )


def _too_short(rows: Rows) -> str | None:
    fifth = max(len(rows) // 5, 1)
    last, latest = rows[-1]["epoch"], rows[-1]["epoch"] - rows[-fifth - 1]["epoch"]
    before, end = (min(row["val_error"] for row in part) for part in (rows[:-fifth], rows[-fifth:]))
    if before <= 0 or end > 0.9 * before:
        return None
    return (
        f"It was still improving: the last {latest:.0f} of {last:.0f} epochs took the validation error from "
        f"{_percent(before)} to {_percent(end)}. Train longer, unless the falling rate was the reason."
    )


def _plateau(rows: Rows) -> str | None:
    best = _best(rows, "val_error")
    if best + 1 > 0.6 * len(rows):
        return None
    ended = f"epoch {rows[best]['epoch']:.0f} of {rows[-1]['epoch']:.0f} ({_percent(rows[best]['val_error'])})"
    return f"No gain after {ended}: the rest of the run was idle, or the rate too high to settle."
