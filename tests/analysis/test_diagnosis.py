"""What is said of curves of each kind."""

from __future__ import annotations

import math

from repronet.analysis.diagnosis import diagnose


def rows(train_loss, val_loss, train_error, val_error) -> list[dict[str, float]]:
    columns = zip(train_loss, val_loss, train_error, val_error, strict=True)
    keys = ("train_loss", "val_loss", "train_error", "val_error")
    return [{"epoch": epoch, **dict(zip(keys, row, strict=True))} for epoch, row in enumerate(columns, start=1)]


def test_divergence_is_said_alone():
    [found] = diagnose(rows([1, 0.5, 9], [1, 0.5, 9], [0.3, 0.2, 0.9], [0.3, 0.2, 0.9]))
    assert found.startswith("It diverged: the validation error rose from 20.00 % after epoch 2 to 90.00 %.")
    [found] = diagnose(rows([1, 0.5, 0.4], [1, 0.5, math.nan], [0.3, 0.2, 0.2], [0.3, 0.2, 0.2]))
    assert "diverged" in found


def test_overfitting_by_the_loss():
    found = diagnose(rows([1, 0.5, 0.2, 0.1], [1, 0.6, 0.8, 0.9], [0.4, 0.2, 0.1, 0.02], [0.4, 0.3, 0.3, 0.29]))
    assert found[0].startswith("It overfits from epoch 2 on: the validation loss rose from 0.6 to 0.9")
    assert "fell to 0.1." in found[0]


def test_overfitting_by_the_gap():
    found = diagnose(rows([1, 0.5, 0.3], [1, 0.9, 0.85], [0.4, 0.2, 0.05], [0.4, 0.22, 0.21]))
    assert found[0].startswith("A gap of 16.0 points between training (5.00 %) and validation (21.00 %)")


def test_underfitting():
    [found] = diagnose(rows([2, 1.9, 1.88, 1.87], [2, 1.9, 1.88, 1.87], [0.7, 0.62, 0.61, 0.6], [0.7, 0.62, 0.6, 0.6]))
    assert found.startswith("It underfits: 60.00 % of the training images")


def test_an_end_too_soon_and_a_plateau():
    falling = [0.09, 0.08, 0.07, 0.06, 0.05]
    assert diagnose(rows(falling, falling, falling, falling))[0].startswith("It was still improving: the last 1 of 5")
    flat = [0.05, 0.03, 0.03, 0.03, 0.03, 0.03]
    assert diagnose(rows(flat, flat, flat, flat)) == [
        "No gain after epoch 2 of 6 (3.00 %): the rest of the run was idle, or the rate too high to settle."
    ]


def test_epochs_are_counted_where_only_some_are_validated():
    figures = [0.05, 0.03, 0.03, 0.03, 0.03, 0.03]
    every_fifth = [row | {"epoch": 5 * row["epoch"]} for row in rows(figures, figures, figures, figures)]
    assert diagnose(every_fifth)[0].startswith("No gain after epoch 10 of 30 ")
    falling = [0.09, 0.08, 0.07, 0.06, 0.05]
    found = diagnose([row | {"epoch": 5 * row["epoch"]} for row in rows(falling, falling, falling, falling)])
    assert found[0].startswith("It was still improving: the last 5 of 25 epochs")


def test_nothing_to_say():
    good = [0.09, 0.05, 0.031, 0.03, 0.0295]
    assert diagnose(rows(good, good, good, good)) == [
        "No sign of over- or underfitting; training and validation end close together."
    ]
    assert diagnose(rows([1], [1], [0.1], [0.1])) == ["1 validated epoch: too few to tell anything from the curves."]
