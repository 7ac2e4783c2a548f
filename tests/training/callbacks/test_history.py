"""Which epoch of a run is its best, and what its record remembers beside its epochs."""

from __future__ import annotations

import pytest

from repronet.training.callbacks import history as module
from repronet.training.callbacks.history import EpochRow, History


def test_the_best_epoch_is_the_earliest_of_equals(tmp_path):
    history = History(tmp_path)
    figures = {"step": 0, "train_loss": 0.0, "train_error": 0.0, "val_loss": 0.0, "lr": 0.1, "seconds": 0.0}
    history.rows = [
        EpochRow(epoch=number, val_error=error, **figures) for number, error in enumerate((0.3, 0.1, 0.2, 0.1), start=1)
    ]
    assert history.best["epoch"] == 2


def test_of_several_labels_the_best_epoch_has_the_highest_average_precision(tmp_path):
    history = History(tmp_path)
    figures = {"step": 0, "train_loss": 0.0, "train_error": 0.0, "val_loss": 0.0, "lr": 0.1, "seconds": 0.0}
    rows = [(0.1, 0.5), (0.4, 0.7), (0.2, 0.6), (0.2, 0.7)]
    history.rows = [
        EpochRow(epoch=number, val_error=error, val_map=precision, **figures)
        for number, (error, precision) in enumerate(rows, start=1)
    ]
    assert history.best["epoch"] == 2


@pytest.mark.parametrize(("second", "both"), [("b", ["a", "b"]), ("a", ["a"]), (None, ["a", "unknown"])])
def test_a_resumed_run_names_every_commit_that_had_a_part_in_it(tmp_path, monkeypatch, second, both):
    monkeypatch.setattr(module, "git_commit", lambda: "a")
    state = History(tmp_path).state_dict()
    monkeypatch.setattr(module, "git_commit", lambda: second)
    resumed = History(tmp_path)
    resumed.load_state_dict(state)
    assert resumed.commits == both


def test_without_validation_the_last_epoch_is_the_best(tmp_path):
    history = History(tmp_path)
    figures = {"step": 0, "train_loss": 0.0, "train_error": 0.0, "val_loss": None, "lr": 0.1, "seconds": 0.0}
    history.rows = [EpochRow(epoch=number, val_error=None, **figures) for number in (1, 2)]
    assert history.best["epoch"] == 2
