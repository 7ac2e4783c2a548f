"""The run of a paper, its record, and what interruptions change of it: nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
import torch
from omegaconf import OmegaConf

from interrupted import interrupted_at
from repronet import runs
from repronet.config.build import written_config
from repronet.config.compose import checked
from repronet.papers import NETWORKS
from repronet.papers.datasets import OFFICIAL_MIDDLE, OFFICIAL_TEST
from repronet.papers.experiments import EXPERIMENTS
from repronet.papers.records import Protocol
from repronet.reproduction import record as records
from repronet.runs.atomic import DRAFT
from repronet.training.module import ImageClassifier

NAME = "lenet5_1998_mnist5k"
SMOKE = ("reproduce", NAME, "budget=smoke", "threads=1")
FOLDER = Path("runs") / "reproduced" / NAME / "smoke" / "seed0"
TIMING = ("train_seconds", "finished", records.HASH)


@pytest.fixture(autouse=True)
def threads():
    """Those of this process, which runs with threads=1 change, are as before for the tests that follow."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_an_experiment_of_one_s_own_is_listed_and_reproduced(repronet, tmp_path):
    (tmp_path / "own dir" / "experiment").mkdir(parents=True)
    text = "# @package _global_\n# A little LeNet-5\ntrainer:\n  max_epochs: 1\n"
    (tmp_path / "own dir" / "experiment" / "little.yaml").write_text(text)
    own = ("--config-dir", "own dir")
    listed = repronet("list", "experiment", *own)
    assert "  little                            A little LeNet-5\n" in listed.out
    assert "  resnet20_cifar10 " in listed.out
    alone = repronet("list", "experiment", "little", *own)
    assert alone.out.startswith("A little LeNet-5\n")
    assert "repronet reproduce little --config-dir 'own dir'" in alone.out
    assert "little: no such experiment" in repronet("list", "experiment", "little").err
    assert "little: no such experiment" in repronet("reproduce", "little").err
    outcome = repronet("reproduce", "little", *own, "threads=1", "budget=smoke")
    assert (outcome.code, outcome.err) == (0, "")
    record = records.read(records.place(tmp_path / "results", "little", "smoke", 0))
    assert (record["experiment"], record["deviations"][0]) == ("little", "1 of 1 epochs")
    outcome = repronet("reproduce", "little", *own, "budget=minutes")
    assert "budget=minutes: experiment=little is not one of repronet's; take smoke or paper" in outcome.err


def recorded(tmp_path, seed=0):
    return records.read(records.place(tmp_path / "results", NAME, "smoke", seed))


def without_timing(record):
    history = [{key: value for key, value in row.items() if key != "seconds"} for row in record["history"]]
    return {**{key: value for key, value in record.items() if key not in TIMING}, "history": history}


def test_the_algorithm_is_a_key_and_recorded(repronet, tmp_path):
    assert repronet(*SMOKE, "algorithm=im2col").code == 0
    assert recorded(tmp_path)["config"]["algorithm"] == "im2col"
    assert "algorithm=fast: must be" in repronet(*SMOKE, "algorithm=fast").err
    assert "algorithm=im2col, now auto" in repronet(*SMOKE).err  # an earlier run of the other kind is kept


def test_a_record_a_seed_with_the_figures_of_the_run(repronet, tmp_path):
    outcome = repronet(*SMOKE, "seeds=[0,1]")
    assert (outcome.code, outcome.err) == (0, "")
    said = " ".join(outcome.out.split())
    assert f" {NAME}: here " in said
    assert "(2) with budget=smoke, too short for a comparison" in said
    record, result = recorded(tmp_path), runs.read_result(tmp_path / FOLDER)
    for key in ("test_error", "best_val_error", "best_epoch", "epochs", "steps", "versions", "hardware"):
        assert record[key] == result[key]
    assert result["git_commits"] == [result["git_commit"] or "unknown"]
    assert record["commit"] == result["git_commits"][0]
    assert record["deviations"][:2] == ["1 of 20 epochs", "20 training images of each class"]
    assert record["data_sha256"] == result["data_sha256"]
    assert record["data_sha256"]["test"] == OFFICIAL_TEST["mnist5k"]
    assert len(record["history"]) == record["epochs"] == 1
    assert str(tmp_path) not in json.dumps(record)
    assert recorded(tmp_path, 1)["config_sha256"] == record["config_sha256"]
    assert recorded(tmp_path, 1)["history"][0]["val_loss"] != record["history"][0]["val_loss"]


@pytest.mark.parametrize(("name", "said"), [("four_layer_lrn_cifar10", True), ("four_layer_plain_cifar10", False)])
def test_what_is_said_of_the_response_norm_is_said_of_runs_that_have_it(name, said):
    from repronet.cli.commands.reproduce import deviations
    from repronet.config.compose import compose

    found = deviations(compose("train", [f"experiment={name}"]))
    assert any(deviation.startswith("α of the response norm") for deviation in found) == said
    assert len(set(found)) == len(found)


def test_other_test_images_are_a_deviation(repronet, tmp_path, monkeypatch):
    monkeypatch.setitem(OFFICIAL_TEST, "mnist5k", "0" * 64)
    assert repronet(*SMOKE).code == 0
    assert recorded(tmp_path)["deviations"][-1].startswith("tested on other images")


@pytest.mark.parametrize("name", [name for name, known in EXPERIMENTS.items() if known.dataset in OFFICIAL_TEST])
def test_experiments_on_these_sets_take_images_of_the_size_that_was_hashed(name):
    sizes = {(32, 32)} | ({(24, 24)} if EXPERIMENTS[name].dataset in OFFICIAL_MIDDLE else set())
    assert NETWORKS[EXPERIMENTS[name].network].input[1:] in sizes


def test_a_paper_that_took_ten_crops_is_tested_so(repronet, tmp_path, monkeypatch):
    from repronet.cli.commands import reproduce
    from repronet.papers.records import Error

    monkeypatch.setattr(reproduce, "published", lambda name: Error(1.0, "MNIST test", "10-crop", "nowhere"))
    assert repronet(*SMOKE).code == 0
    record, result = recorded(tmp_path), runs.read_result(tmp_path / FOLDER)
    assert (record["protocol"], record["center_error"]) == ("ten_crop", result["test_error"])
    said = repronet("eval", f"run={FOLDER}", "protocol=ten_crop").out
    assert f"test_error  {record['test_error']!r}" in said


def test_every_published_protocol_is_one_of_ours_or_a_single_view():
    from repronet.cli.commands.reproduce import PROTOCOLS
    from repronet.data.eval_transform import DENSE, VIEWS

    assert {*get_args(Protocol)} == {*PROTOCOLS, "1-crop", "test images"}
    assert {*PROTOCOLS.values()} == {*VIEWS, *DENSE} - {"center", "multi_scale"}


def test_a_run_from_before_there_were_budgets_is_read(repronet, finished_run, tmp_path):
    config = written_config(finished_run / runs.CONFIG)
    plain = {key: value for key, value in OmegaConf.to_container(config).items() if key != "budget"}
    assert checked("train", OmegaConf.create(plain)).budget == "paper"


def test_what_has_ended_is_not_run_again(repronet, tmp_path, monkeypatch):
    repronet(*SMOKE)
    first = recorded(tmp_path)
    monkeypatch.setattr(ImageClassifier, "training_step", None)  # a step would break
    outcome = repronet(*SMOKE)
    assert (outcome.code, outcome.err) == (0, "")
    assert "already finished" in outcome.out
    assert "as recorded before" in outcome.out
    assert recorded(tmp_path) == first


def test_an_interrupted_run_goes_on_and_ends_with_the_same_record(repronet, tmp_path):
    repronet(*SMOKE)
    whole = recorded(tmp_path)
    (tmp_path / "runs").rename(tmp_path / "whole")
    with interrupted_at(7):
        outcome = repronet(*SMOKE)
    assert outcome.code == 130
    assert outcome.err == f"repronet: interrupted; to continue, run: repronet {' '.join(SMOKE)}\n"
    assert not (tmp_path / FOLDER / runs.RESULT).exists()
    assert repronet(*SMOKE).code == 0
    assert without_timing(recorded(tmp_path)) == without_timing(whole)


def test_a_folder_of_another_config_is_refused_and_the_other_seeds_go_on(repronet, tmp_path):
    repronet(*SMOKE)
    config = tmp_path / FOLDER / runs.CONFIG
    config.write_text(config.read_text().replace("lr: 0.001", "lr: 0.002"))
    outcome = repronet(*SMOKE, "seeds=2")
    assert outcome.code == 1
    assert "was started with another config (optimizer.lr=0.002, now 0.001)" in outcome.err
    assert recorded(tmp_path, 1)


def test_what_was_edited_by_hand_is_not_recorded(repronet, tmp_path):
    repronet(*SMOKE)
    result = runs.read_result(tmp_path / FOLDER)
    better = {**result, "test_error": result["test_error"] - 0.001}
    (tmp_path / FOLDER / runs.RESULT).write_text(json.dumps(better))
    outcome = repronet(*SMOKE)
    assert outcome.code == 1
    wrong = round(result["test_error"] * result["test_images"])
    assert f"but confusion.csv has {wrong} wrong answers" in outcome.err
    (tmp_path / FOLDER / runs.RESULT).write_text(json.dumps(result))
    config = tmp_path / FOLDER / runs.CONFIG
    config.write_text(config.read_text().replace("max_epochs: 1", "max_epochs: 2"))
    repronet("train", *(f"run_dir={tmp_path / 'other'}", f"experiment={NAME}", "budget=smoke", "optimizer.lr=0.01"))
    (tmp_path / FOLDER / "checkpoints" / "best.ckpt").write_bytes(
        (tmp_path / "other/checkpoints/best.ckpt").read_bytes()
    )
    config.write_text(config.read_text().replace("max_epochs: 2", "max_epochs: 1"))
    outcome = repronet(*SMOKE)
    assert outcome.code == 1
    assert "is not what the run was trained with (optimizer.lr=0.01, now 0.001)" in outcome.err


def test_a_record_is_not_replaced_by_another_figure_unasked(repronet, tmp_path):
    repronet(*SMOKE)
    path = records.place(tmp_path / "results", NAME, "smoke", 0)
    earlier = {key: value for key, value in records.read(path).items() if key != records.HASH}
    earlier = {**earlier, "test_error": 0.5, "center_error": 0.5}
    records.write(tmp_path / "results", records.sealed(earlier))
    outcome = repronet(*SMOKE)
    assert outcome.code == 1
    assert "has a test error of 50.00%" in outcome.err
    assert "remove it to replace it" in outcome.err
    path.unlink()
    assert repronet(*SMOKE).code == 0


def test_a_record_changed_by_hand_is_found_before_the_run_begins(repronet, tmp_path):
    path = records.place(tmp_path / "results", NAME, "smoke", 0)
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    outcome = repronet(*SMOKE)
    assert outcome.code == 2
    assert outcome.err.startswith(f"repronet: {Path('results') / NAME / 'smoke-seed0.json'}: is not a record of a run")
    assert not Path("runs").exists()


def test_a_budget_that_pays_for_the_whole_schedule_is_the_papers():
    from repronet.cli.commands.reproduce import _budget

    assert [_budget("lenet5_1998_mnist5k", budget) for budget in ("smoke", "minutes", "hour")] == [
        "smoke",
        "paper",
        "paper",
    ]
    assert _budget("resnet20_cifar10", "hour") == "hour"


def test_a_run_killed_at_its_very_first_file_begins_again(repronet, tmp_path):
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / f".config.yaml.abc{DRAFT}").write_text("half")
    assert repronet(*SMOKE).code == 0


def test_a_record_changed_by_hand_stops_the_report(repronet, tmp_path):
    repronet(*SMOKE)
    outcome = repronet("report", "results")
    assert (outcome.code, outcome.err) == (0, "")
    assert "no run at full length yet" in outcome.out
    assert f"`{NAME}`" in (tmp_path / "results" / "README.md").read_text()
    path = records.place(tmp_path / "results", NAME, "smoke", 0)
    assert repronet("report", "results", "out=page.html").err == (
        "repronet: out=page.html: is the page of run folders; results has its own, README.md in it\n"
    )
    path.write_text(path.read_text().replace('"test_error": 0.', '"test_error": 0.0'))
    outcome = repronet("report", "results")
    assert outcome.code == 2
    assert "is not what its run wrote" in outcome.err
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "reproduce: needs an experiment; `repronet list experiment` names all"),
        (("resnet20_cifar",), "reproduce resnet20_cifar: no such experiment; nearest: resnet20_cifar10"),
        ((NAME, "seeds=0"), "seeds=0: must be a number of seeds, such as 3, or a list of whole numbers"),
        ((NAME, "seeds=[1,1]"), "seeds=[1, 1]: must be a number of seeds"),
        ((NAME, "seeds=two"), "seeds=two: must be a number of seeds"),
        ((NAME, "budget=day"), "budget=day: must be one of smoke, minutes, hour, paper"),
        ((NAME, "optimizer.lr=1"), "optimizer.lr=1: no such key"),
        ((NAME, "data_root=nowhere"), "data_root=nowhere: no such folder"),
        ((NAME, "results=/dev/null"), "results=/dev/null: cannot be made (Not a directory)"),
        (("vgg16_imagenet", "budget=hour"), "budget=hour: is too short for one epoch of experiment=vgg16_imagenet"),
    ],
)
def test_bad_words_are_one_line(repronet, words, said):
    outcome = repronet("reproduce", *words)
    assert outcome.code == 2
    assert said in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert not Path("runs").exists()
