"""Whether another machine does the same: the first steps of a record once more, and its run folder moved."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from interrupted import interrupted_at
from repronet import runs
from repronet.reproduction import record as records

NAME = "lenet5_1998_mnist5k"
SMOKE = ("reproduce", NAME, "budget=smoke", "threads=1")


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def recorded(repronet, tmp_path):
    assert repronet(*SMOKE).code == 0
    return records.place(tmp_path / "results", NAME, "smoke", 0)


def resealed(path, without=(), **values):
    content = {key: value for key, value in json.loads(path.read_text()).items() if key not in (records.HASH, *without)}
    path.write_text(json.dumps(records.sealed({**content, **values})))


def test_the_same_machine_gives_the_same_bits(repronet, recorded):
    outcome = repronet("replay", str(recorded))
    assert (outcome.code, outcome.err) == (0, "")
    assert "bit-identical: 13 steps, every loss and 9 layers" in outcome.out
    resealed(recorded, without=["fingerprint"])
    outcome = repronet("replay", str(recorded))
    assert outcome.code == 0
    assert "no fingerprint, repeating the first epoch" in outcome.out
    assert "bit-identical: 13 steps, losses and errors" in outcome.out


@pytest.mark.slow
def test_other_threads_part_at_a_step_and_a_layer_that_are_named(repronet, recorded):
    outcome = repronet("replay", str(recorded), "threads=2")
    assert (outcome.code, outcome.err) == (1, "")
    assert "another number of threads (1 recorded, 2 here): sums are added in another order" in outcome.out
    (line,) = [line for line in outcome.out.splitlines() if line.startswith("first difference: ")]
    assert line.startswith("first difference: step ")
    assert line.endswith(("'s output", "'s update", "the loss itself"))


def test_what_else_is_other_is_said(repronet, recorded):
    record = json.loads(recorded.read_text())
    loss = record["fingerprint"]["loss"]
    changed = {**record["fingerprint"], "loss": loss[:16] + "00000000" + loss[24:]}
    versions, hardware = {**record["versions"], "torch": "2.0"}, {**record["hardware"], "processor": "abacus"}
    resealed(recorded, fingerprint=changed, versions=versions, hardware=hardware)
    out = repronet("replay", str(recorded)).out
    assert "first difference: step 3, at in a layer" not in out
    assert "first difference: step 3, in a layer that was not kept of this step" in out
    assert "loss 0 recorded, " in out
    assert "another processor (abacus recorded, " in out
    assert "another torch (2.0 recorded, " in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "replay: takes one record"),
        (("a.json", "b.json"), "replay: takes one record"),
        (("a.json",), "a.json: cannot be read (No such file or directory)"),
        (("repronet/none",), "weights=repronet/none: no such weights"),
        (("repronet/lenet5-mnist", "threads=0"), "threads=0: must be"),
    ],
)
def test_bad_words_are_one_line(repronet, words, said):
    outcome = repronet("replay", *words)
    assert outcome.code == 2
    assert outcome.err.startswith(f"repronet: {said}")
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.slow
def test_a_run_goes_on_on_another_machine_with_the_same_bits(repronet, recorded, tmp_path, monkeypatch):
    """The folders runs/reproduced and results, copied to another root, are all that it needs."""
    whole = records.read(recorded)
    shutil.rmtree(tmp_path / "runs")
    shutil.rmtree(tmp_path / "results")
    with interrupted_at(7):
        assert repronet(*SMOKE).code == 130
    out = repronet("reproduce", "status").out
    assert f"{NAME}  smoke      0     0/1" in " ".join(out.split("\n"))
    assert "stopped" in out
    elsewhere = tmp_path / "elsewhere"
    for folder in ("runs", "results"):
        shutil.move(tmp_path / folder, elsewhere / folder)
    monkeypatch.chdir(elsewhere)
    assert repronet(*SMOKE).code == 0
    moved = records.read(records.place(elsewhere / "results", NAME, "smoke", 0))
    for key in ("test_error", "best_val_error", "fingerprint", "steps", "config_sha256"):
        assert moved[key] == whole[key]
    assert moved["history"][0]["train_loss"] == whole["history"][0]["train_loss"]
    assert "ended" in repronet("reproduce", "status", NAME).out


def test_status_of_nothing_and_of_what_runs(repronet, recorded, tmp_path):
    nothing = repronet("reproduce", "status", "runs=elsewhere")
    assert (nothing.code, nothing.err) == (0, "")
    assert nothing.out == "no run in elsewhere; `repronet reproduce EXPERIMENT` starts one\n"
    with runs.locked(tmp_path / "runs/reproduced" / NAME / "smoke/seed0"):
        (tmp_path / "runs/reproduced" / NAME / "smoke/seed0" / runs.RESULT).unlink()
        out = repronet("reproduce", "status").out
    assert "running" in out
    assert "90.00%" in out
    assert max(map(len, out.splitlines())) <= 80
    outcome = repronet("reproduce", "status", "resnet20_cifar10")
    assert outcome.code == 2
    assert outcome.err.startswith("repronet: runs=runs/reproduced: no run of resnet20_cifar10;")


def test_a_record_from_elsewhere_is_checked(repronet, recorded, tmp_path):
    resealed(recorded, commit="0" * 40, hardware={**records.read(recorded)["hardware"], "gpu": "NVIDIA H200"})
    sent = shutil.copy(recorded, tmp_path / "sent.json")
    outcome = repronet("reproduce", "check", str(sent))
    assert (outcome.code, outcome.err) == (0, "")
    assert "NVIDIA H200" in outcome.out
    assert "whole; belongs at results/lenet5_1998_mnist5k/smoke-seed0.json" in outcome.out
    resealed(recorded, hardware={**records.read(recorded)["hardware"], "gpu": None})
    out = repronet("reproduce", "check", str(sent)).out
    assert "whole; belongs at results/lenet5_1998_mnist5k/smoke-seed0-on-nvidia-h200.json" in out
    config = {**records.read(recorded)["config"], "label_smoothing": 0.1}
    resealed(sent, without=["fingerprint"], commit="abc-dirty", config=config, config_sha256=records.digest(config))
    outcome = repronet("reproduce", "check", str(sent))
    assert outcome.code == 1
    for said in (
        "commit abc-dirty: must be one clean commit",
        "is not that of the experiment today (label_smoothing=0.1, now 0.0)",
        "has no fingerprint",
    ):
        assert said in outcome.out
    assert "needs the file of a record" in repronet("reproduce", "check").err
