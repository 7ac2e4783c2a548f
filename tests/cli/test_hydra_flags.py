"""Hydra's flags show what Hydra itself shows of the same configs in a plain application."""

from __future__ import annotations

import logging
import sys

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from repronet.config.groups import GROUPS


@pytest.fixture
def plain_application(monkeypatch, capsys):
    """What ``python app.py WORDS`` prints, for an application of three lines over the packaged configs."""
    from repronet.config.compose import compose

    compose("train", [])  # networks have no files; this stores their configs

    def run(*words):
        @hydra.main(config_path="pkg://repronet.configs", config_name="train", version_base="1.3")
        def main(config):
            raise AssertionError("a flag was to be answered")

        root = logging.getLogger()
        handlers, level = list(root.handlers), root.level
        monkeypatch.setattr(sys, "argv", ["app.py", *words])
        try:
            main()
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
            GlobalHydra.instance().clear()
            HydraConfig.instance().cfg = None
        return capsys.readouterr().out

    return run


ALIKE = [
    ["--cfg", "hydra", "--package", "hydra.sweep"],
    ["--cfg", "hydra", "--package", "hydra.sweep", "hydra.sweep.dir=x"],
    ["--cfg", "hydra", "--package", "hydra.job.config"],
    ["--cfg", "hydra", "--package", "hydra.job_logging.root", "hydra.job_logging.root.level=DEBUG"],
    ["--cfg", "all", "--package", "hydra.launcher"],
    ["--cfg", "job", "--package", "normalization"],
    ["--cfg", "job", "--package", "optimizer.lr", "optimizer.lr=0.3"],
    ["--cfg", "job", "--package", "schedule.name", "schedule=cosine"],
    ["--cfg", "job", "--package", "trainer.max_epochs", "trainer.max_epochs=3", "--resolve"],
    ["--info", "defaults"],
    ["--info", "defaults-tree"],
    ["--info", "defaults-tree", "optimizer=adam"],
    ["--info", "searchpath"],
]


@pytest.mark.parametrize("words", ALIKE, ids=" ".join)
def test_it_is_what_hydra_shows(repronet, plain_application, words):
    outcome = repronet("train", *words)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == plain_application(*words)


def test_info_shows_all_and_plugins(repronet):
    everything = repronet("train", "--info").out
    assert "Config search path" in everything
    assert "Defaults List" in everything
    assert "max_epochs: 40" in everything
    assert "Installed Hydra Plugins" in repronet("train", "--info", "plugins").out
    assert not [h for h in logging.getLogger().handlers if getattr(h, "stream", None) is sys.stdout]


def test_cfg_all_is_hydra_s_and_the_run_s(repronet):
    found = OmegaConf.create(repronet("train", "--cfg", "all", "seed=3").out)
    assert found.seed == 3
    assert found.hydra.overrides.task == ["++seed=3"]
    assert set(found) == {"hydra", *OmegaConf.create(repronet("train", "--cfg", "job").out)}


def test_interpolations_stay_unless_resolved(repronet):
    word = "trainer.max_epochs=${seed}"
    assert "max_epochs: ${seed}" in repronet("train", "--cfg", "job", "seed=7", word).out
    assert "max_epochs: 7" in repronet("train", "--cfg", "job", "--resolve", "seed=7", word).out
    part = repronet("train", "--cfg", "job", "--resolve", "--package", "trainer", "seed=7", word).out
    assert part.startswith("# @package trainer\n")
    assert "max_epochs: 7" in part


def test_a_primary_config_of_the_user_s_own(repronet, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/own.yaml").write_text(
        "defaults: [train, {override optimizer: adam}, _self_]\nseed: 5\nhydra: {sweep: {dir: here}}\n"
    )
    words = ("train", "--config-dir", "mine", "--config-name", "own")
    found = OmegaConf.create(repronet(*words, "--cfg", "job").out)
    assert (found.seed, found.optimizer.name) == (5, "adam")
    assert "dir: here" in repronet(*words, "--cfg", "hydra", "--package", "hydra.sweep").out
    assert "own" in repronet(*words, "--info", "defaults-tree").out


def test_a_search_path_is_a_config_dir(repronet, tmp_path):
    (tmp_path / "mine/experiment").mkdir(parents=True)
    (tmp_path / "mine/experiment/own.yaml").write_text("# @package _global_\nseed: 6\n")
    assert (
        "seed: 6"
        in repronet("train", f"hydra.searchpath=[file://{tmp_path}/mine]", "+experiment=own", "--cfg", "job").out
    )
    assert "file://" in repronet("train", "--config-dir", "mine", "--info", "searchpath").out


WORDS = [  # a word of Hydra's grammar, and what is in the config then
    ("+optimizer.lr=0.3", "optimizer.lr", 0.3),
    ("++optimizer.lr=0.3", "optimizer.lr", 0.3),
    ("++trainer.patience=3", "trainer.patience", 3),
    ("+experiment=lenet5_1998_mnist5k", "experiment", "lenet5_1998_mnist5k"),
    ("+logger=csv", "logger", {"tensorboard": {}, "csv": {}}),
    ("~logger", "logger", {}),
    ("~logger.tensorboard", "logger", {}),
    ("~augmentation", "augmentation.name", "none"),
    ("~experiment", "experiment", None),
    ("~optimizer.nesterov", "optimizer.nesterov", False),
    ("~trainer.accelerator", "trainer.accelerator", "auto"),
    ("++run_dir=a b", "run_dir", "a b"),
]


@pytest.mark.parametrize(("word", "key", "value"), WORDS)
def test_adding_and_removing(repronet, word, key, value):
    outcome = repronet("train", word, "--cfg", "job")
    assert outcome.err == ""
    assert OmegaConf.select(OmegaConf.create(outcome.out), key) == value


BAD = [
    (["--cfg", "jobs"], "--cfg"),
    (["--info", "everything"], "--info"),
    (["--package", "x"], "add --cfg job"),
    (["--resolve"], "add --cfg job"),
    (["--cfg", "job", "--package", "optimiser"], "nearest: optimizer"),
    (["--cfg", "hydra", "--package", "hydra.sweep.subdir"], "hydra.job.num"),
    (["--config-name", "own"], "--config-dir"),
    (["--config-name", "own", "--config-dir", "."], "has no own.yaml"),
    (["--shell-completion", "install=tcsh"], "install=bash"),
    (["--shell-completion"], "install=bash"),
    (["~model"], "a run needs model"),
    (["~optimizer.lr"], "missing"),
    (["~optimizer.speed"], "no such key"),
    (["+optimizer.speed=1"], "no such key"),
    (["zebra=1"], "no such key; `repronet train --help` lists them"),
    (["trainer.zebra=1"], "no such key; `repronet list trainer` lists them"),
    (["launcher=joblib"], "is for several runs; add -m"),
    (["-m", "launcher=jobli", "seed=0,1"], "nearest: joblib"),
    (["-m", "launcher=joblib", "launcher.njobs=2", "seed=0,1"], "nearest: launcher.n_jobs"),
    (["-m", "launcher=slurm", "launcher.partition=a b", "seed=0,1"], "a word, as SLURM takes it"),
]


@pytest.mark.parametrize(("words", "holds"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_what_is_wrong_is_one_line(repronet, tmp_path, words, holds):
    outcome = repronet("train", *words)
    assert outcome.code == 2
    assert holds in outcome.err
    assert outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_line_break_gets_into_no_script(repronet):
    outcome = repronet("train", "-m", "launcher=slurm", "launcher.partition='a\nrm -rf'", "seed=0,1")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("word", "near"),
    [
        *(("epochs", "trainer.max_epochs"), ("sede", "seed"), ("num_workers", "data.workers"), ("lr", "optimizer.lr")),
        *(
            ("momentun", "optimizer.momentum"),
            ("trainer.patiense", "trainer.patience"),
            ("optimzer.lr", "optimizer.lr"),
        ),
        *((word, "") for word in ("optimizer.speed", "trainer.log", "resumes", "init", "crop", "zebra", "data.path")),
    ],
)
def test_only_a_key_that_is_like_it_is_suggested(repronet, word, near):
    said = repronet("train", f"{word}=1").err
    assert (f"nearest: {near} " in said or f"nearest: {near}\n" in said) if near else "nearest" not in said
    group = word.partition(".")[0]
    lists = f"list {group}" if group in GROUPS else "train --help"
    assert near or f"no such key; `repronet {lists}` lists them" in said
