"""A run has one process: each of several is refused at once, whoever started them."""

from __future__ import annotations

import pytest

from repronet import api
from repronet.errors import UserError
from repronet.runs.processes import refuse_several


@pytest.mark.parametrize("launcher", ["WORLD_SIZE", "LOCAL_WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE"])
@pytest.mark.parametrize("words", [("train",), ("train", "-m", "seed=0,1"), ("eval", "run=none"), ("find-rate",)])
def test_every_command_is_refused_before_it_begins(repronet, tmp_path, monkeypatch, launcher, words):
    monkeypatch.setenv(launcher, "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    outcome = repronet(*words)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"repronet: {launcher}=2: a launcher started 2 processes, but a run has one process")
    assert outcome.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_from_python_too(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="one process and one device"):
        api.train("run_dir=never")


@pytest.mark.parametrize("count", ["1", "", "many"])
def test_one_process_is_none_too_many(monkeypatch, count):
    monkeypatch.setenv("WORLD_SIZE", count)
    refuse_several()
