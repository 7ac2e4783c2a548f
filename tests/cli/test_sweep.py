"""Many runs from one line, and what of them is missing."""

from __future__ import annotations

import json

import pytest

from repronet import runs
from repronet.cli.commands import finetune_compare, sweep
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
    assert "1 to run again: repronet train resume_sweep=runs/sweeps/" in outcome.out
    assert [path.parent.name for path in sweep_of(tmp_path).glob("*/result.json")] == ["2_model=lenet5"]


@pytest.mark.slow
def test_only_what_is_missing_is_run_and_what_was_stopped_goes_on(repronet, tmp_path, monkeypatch):
    step = ImageClassifier.training_step

    def breaking(self, batch, batch_idx):
        if self.trainer.datamodule.seed == 1 and self.trainer.global_step == 69:
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
    assert "resuming after epoch 1" in outcome.out
    assert (sweep / "1_seed=0" / runs.RESULT).stat().st_mtime_ns == finished
    assert runs.read_result(sweep / "2_seed=1")["epochs"] == 2


def test_ctrl_c_says_how_the_sweep_goes_on(repronet, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(ImageClassifier, "training_step", interrupt)
    outcome = repronet(*WORDS)
    assert outcome.code == 130
    assert outcome.err == (
        f"repronet: interrupted; resume with: repronet train resume_sweep={sweep_of(tmp_path).relative_to(tmp_path)}\n"
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


def test_ways_are_ranked_by_precision_where_images_have_several_labels(tmp_path):
    jobs = [[f"finetune={way}", "seed=0"] for way in ("head", "all", "scratch")]
    begun, figures = sweep.Sweep(tmp_path, jobs, compared=True), ((0.6, 0.3), (0.8, 0.4), (0.5, 0.9))
    for folder, (precision, error) in zip(begun.runs, figures, strict=True):
        folder.mkdir()
        result = {"best_val_map": 0.1, "test_map": precision, "best_val_error": 0.2, "test_error": error}
        result |= {"train_seconds": 1.0, "trained_parameters": 10, "old_task": None}
        (folder / runs.RESULT).write_text(json.dumps(result))
    rows = finetune_compare.rows_of(begun)
    assert [(row.way, row.measure, row.mean) for row in rows] == [
        ("all", "mAP", 0.8),
        ("head", "mAP", 0.6),
        ("scratch", "mAP", 0.5),
    ]
    finetune_compare._write_csv(tmp_path / "compare.csv", rows)
    lines = (tmp_path / "compare.csv").read_text().splitlines()
    assert lines[:2] == [
        "way,mean_mAP,std_mAP,seeds,seconds,trained_parameters,mAPs,old_task_errors",
        "all,0.8,0.0,1,1.000,10,0.8,",
    ]
