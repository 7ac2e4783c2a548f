"""Which epoch of a run is its best, and what its record remembers beside its epochs."""

from __future__ import annotations

import pytest
from repronet.training.callbacks.recorder import EpochRecorder, EpochRow

from repronet.training.callbacks import recorder


def test_the_best_epoch_is_the_earliest_of_equals(tmp_path):
    recorder = EpochRecorder(tmp_path)
    figures = {"step": 0, "train_loss": 0.0, "train_error": 0.0, "val_loss": 0.0, "lr": 0.1, "seconds": 0.0}
    recorder.rows = [
        EpochRow(epoch=number, val_error=error, **figures) for number, error in enumerate((0.3, 0.1, 0.2, 0.1), start=1)
    ]
    assert recorder.best["epoch"] == 2


@pytest.mark.parametrize(("second", "both"), [("b", ["a", "b"]), ("a", ["a"]), (None, ["a", "unknown"])])
def test_a_resumed_run_names_every_commit_that_had_a_part_in_it(tmp_path, monkeypatch, second, both):
    monkeypatch.setattr(recorder, "git_commit", lambda: "a")
    state = EpochRecorder(tmp_path).state_dict()
    monkeypatch.setattr(recorder, "git_commit", lambda: second)
    resumed = EpochRecorder(tmp_path)
    resumed.load_state_dict(state)
    assert resumed.commits == both
    del state["commits"]  # of a version that kept none
    resumed.load_state_dict({**state})
    assert resumed.commits == both
