"""Which of several processes this one is, as launchers say it; commands that one process does refuse several."""

from __future__ import annotations

import pytest

from repronet.errors import UserError
from repronet.runs.processes import Place, launched, refuse_several

pytestmark = pytest.mark.field

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
SRUN = {
    "SLURM_PROCID": "3",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_LOCALID": "1",
    "PMI_SIZE": "4",  # which srun sets too
}


@pytest.mark.parametrize("launcher", ["WORLD_SIZE", "LOCAL_WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE"])
@pytest.mark.parametrize("words", [("train", "-m", "seed=0,1"), ("eval", "run=none"), ("find-rate",)])
def test_commands_of_one_process_are_refused_before_they_begin(repronet, tmp_path, monkeypatch, launcher, words):
    monkeypatch.setenv(launcher, "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    outcome = repronet(*words)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"repronet: {launcher}=2: a launcher started 2 processes; start this command without")
    assert outcome.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("count", ["1", "", "many"])
def test_one_process_is_none_too_many(monkeypatch, count):
    monkeypatch.setenv("WORLD_SIZE", count)
    refuse_several()
    assert launched() is None


@pytest.mark.parametrize("said", [TORCHRUN, SRUN], ids=["torchrun", "srun"])
def test_launchers_say_which_process_this_is(monkeypatch, said):
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    place = launched()
    assert place == Place(rank=3, size=4, local_rank=1, local_size=2)
    assert (place.node, place.nodes) == (1, 2)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"OMPI_COMM_WORLD_SIZE": "2"}, "torchrun and srun are known as launchers"),
        (TORCHRUN | {"WORLD_SIZE": "5"}, "every machine must have as many"),
        (TORCHRUN | {"LOCAL_RANK": "first"}, "LOCAL_RANK=first: must be a whole number"),
    ],
)
def test_what_cannot_be_understood_is_said(monkeypatch, said, expected):
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=expected):
        launched()
