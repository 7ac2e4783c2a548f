"""Many runs from one line, and what of them is missing."""

from __future__ import annotations

import pytest

from repronet import runs
from repronet.training.module import ImageClassifier

WORDS = ("train", "-m", "seed=0,1", "trainer.max_epochs=1")


def sweep_of(tmp_path):
    (folder,) = (tmp_path / "runs" / "sweeps").iterdir()
    return folder


def test_a_sweep_has_a_folder_for_each_job_and_ends_with_a_table(repronet, tmp_path):
    outcome = repronet(*WORDS)
    assert (outcome.code, outcome.err) == (0, "")
    assert "job 2 of 2: seed=1" in outcome.out
    sweep = sweep_of(tmp_path)
    assert sorted(path.name for path in sweep.iterdir()) == ["1_seed=0", "2_seed=1", "sweep.json"]
    assert [runs.read_result(sweep / name)["seed"] for name in ("1_seed=0", "2_seed=1")] == [0, 1]
    table = outcome.out[outcome.out.index("all jobs") :]
    assert "1_seed=0" in table
    assert "2_seed=1" in table
    again = repronet("train", f"resume_sweep={sweep}")
    assert again.code == 0
    assert "job 1 of 2" not in again.out  # nothing is missing
    assert again.out[again.out.index("all jobs") :] == table


def test_a_failed_job_is_said_at_once_and_the_others_go_on(repronet, tmp_path):
    outcome = repronet("train", "-m", "model=lenet5_1998,lenet5", "normalization=batch", "trainer.max_epochs=1")
    assert outcome.code == 1
    assert "normalization=batch: lenet5_1998 has no normalization" in outcome.err
    assert "failed" in outcome.out[outcome.out.index("all jobs") :]
    assert "1 to be run again: repronet train resume_sweep=runs/sweeps/" in outcome.out
    assert [path.parent.name for path in sweep_of(tmp_path).glob("*/result.json")] == ["2_model=lenet5"]


@pytest.mark.slow
def test_only_what_is_missing_is_run_and_what_was_stopped_goes_on(repronet, tmp_path, monkeypatch):
    step = ImageClassifier.training_step

    def breaking(self, batch, batch_idx):
        if list(sweep_of(tmp_path).glob("1_*/result.json")) and self.global_step == 70:
            raise RuntimeError("pulled the plug")
        return step(self, batch, batch_idx)

    words = ("train", "-m", "seed=0,1", "trainer.max_epochs=2")
    with monkeypatch.context() as patch:
        patch.setattr(ImageClassifier, "training_step", breaking)
        assert repronet(*words).code == 1
    sweep = sweep_of(tmp_path)
    finished = (sweep / "1_seed=0" / runs.RESULT).stat().st_mtime_ns
    outcome = repronet("train", f"resume_sweep={sweep}")
    assert (outcome.code, outcome.err) == (0, "")
    assert "going on after epoch 1" in outcome.out
    assert (sweep / "1_seed=0" / runs.RESULT).stat().st_mtime_ns == finished
    assert runs.read_result(sweep / "2_seed=1")["epochs"] == 2


def test_ctrl_c_says_how_the_sweep_goes_on(repronet, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(ImageClassifier, "training_step", interrupt)
    outcome = repronet(*WORDS)
    assert outcome.code == 130
    assert outcome.err == (
        f"repronet: interrupted; go on with: repronet train resume_sweep={sweep_of(tmp_path).relative_to(tmp_path)}\n"
    )
    assert "job 2" not in outcome.out


@pytest.mark.slow
def test_names_are_such_as_any_system_takes(repronet, tmp_path):
    outcome = repronet("train", "-m", "optimizer.lr=1e-3,5e-2", "model.loss=svm,mse", "trainer.max_epochs=1", "seed=3")
    assert outcome.code == 0
    names = sorted(path.name for path in sweep_of(tmp_path).iterdir())
    assert names[0] == "1_optimizer.lr=0.001,model.loss=svm"
    assert len(names) == 5


@pytest.mark.parametrize("content", [None, "", "[]", '{"jobs": 3}', '{"jobs": [["seed=7"]]}'])
def test_what_is_no_sweep_is_one_line(repronet, tmp_path, content):
    if content is not None:
        (tmp_path / "sweep.json").write_text(content)
    outcome = repronet("train", "resume_sweep=.")
    assert outcome.code == 2
    assert outcome.err.startswith("repronet: resume_sweep=.: ")
    assert outcome.err.count("\n") == 1


def test_it_stands_alone(repronet):
    assert "resume_sweep=x alone" in repronet("train", "resume_sweep=x", "seed=1").err
    assert "a sweep folder" in repronet("train", "resume_sweep=").err
    assert "leave -m out" in repronet("train", "-m", "resume_sweep=x").err
