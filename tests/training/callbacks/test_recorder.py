"""What the record of a run remembers beside its epochs."""

from __future__ import annotations

import pytest

from repronet.training.callbacks import recorder
from repronet.training.callbacks.recorder import EpochRecorder


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
