"""Hydra's own settings: what could run code is refused in one line, what is allowed has its effect."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from repronet.config.hydra_words import ALLOWED, sorted_out
from repronet.errors import UserError

HOSTILE = [
    "hydra.launcher._target_=os.system",
    "hydra/launcher=evil",
    "hydra/launcher=[basic]",
    "+hydra/launcher=joblib_evil",
    "hydra.launcher.setup=[rm]",
    "hydra.launcher.submitit_folder=/etc",
    "hydra.sweeper._target_=subprocess.run",
    "hydra/sweeper=ax",
    "hydra.sweeper.sampler._target_=os.system",
    "hydra.sweeper.params={a:1}",
    "+hydra.callbacks.mine._target_=os.system",
    "hydra/callbacks=evil",
    "++hydra.callbacks={x:{_target_:os.system}}",
    "hydra.searchpath=[pkg://antigravity]",
    "hydra.searchpath=pkg://antigravity",
    "hydra.searchpath=[structured://x]",
    "hydra.job_logging.handlers.console.class=os.system",
    "hydra.job_logging.handlers.file.filename=/etc/passwd",
    '+hydra.job_logging.formatters.x={"()":os.system}',
    "hydra.hydra_logging.root.level=DEBUG",
    "hydra/hydra_logging=evil",
    "hydra/job_logging=evil",
    "hydra.job_logging.root.level=LOUD",
    "hydra.job.env_set.LD_PRELOAD=x.so",
    "hydra.job.chdir=true",
    "hydra.output_subdir=/etc",
    "hydra.help.template=x",
    "hydra/help=evil",
    "hydra/output=evil",
    "hydra.mode=ELSE",
    "hydra.sweep.dir=a,b",
    "~hydra.sweep.dir",
    "~hydra",
    "hydra=x",
    "hydra@x=y",
    "hydra.verbose.x=1",
    "hydra.sweep.dir=",
]


@pytest.mark.parametrize("word", HOSTILE)
def test_what_could_run_code_is_refused_in_one_line(repronet, tmp_path, word):
    outcome = repronet("train", "-m", word, "seed=0,1")
    assert outcome.code == 2, outcome.err
    assert outcome.err.startswith(f"repronet: {word}: ")
    assert outcome.err.count("\n") == 1
    assert outcome.out == ""
    assert list(tmp_path.iterdir()) == []


FILES = {  # the content of a primary config behind its defaults, and what the line names
    "hydra:\n  searchpath: [pkg://antigravity]\n": "searchpath",
    "hydra:\n  callbacks:\n    x: {_target_: os.system}\n": "hydra.callbacks.x._target_=os.system",
    "hydra:\n  launcher: {_target_: os.system}\n": "hydra.launcher._target_=os.system",
    "hydra:\n  sweeper: {_target_: os.system}\n": "hydra.sweeper._target_=os.system",
    "hydra:\n  job_logging:\n    handlers:\n      x: {class: os.system}\n": "hydra.job_logging.handlers.x.class",
    "hydra:\n  job:\n    env_set: {LD_PRELOAD: x.so}\n": "hydra.job.env_set.LD_PRELOAD=x.so",
    "hydra:\n  job_logging: {root: {level: LOUD}}\n": "hydra.job_logging.root.level=LOUD",
}


@pytest.mark.parametrize("content", FILES)
@pytest.mark.parametrize("place", ["primary", "experiment"])
def test_files_are_under_the_same_list(repronet, tmp_path, content, place):
    if place == "experiment" and "searchpath" in content:
        pytest.skip("Hydra itself takes it of a primary config alone")
    (tmp_path / "mine/experiment").mkdir(parents=True)
    (tmp_path / "mine/own.yaml").write_text(f"defaults: [train, _self_]\n{content}")
    (tmp_path / "mine/experiment/own.yaml").write_text(f"# @package _global_\n{content}")
    chosen = ["--config-name", "own"] if place == "primary" else ["experiment=own"]
    outcome = repronet("train", "--config-dir", "mine", *chosen, "--cfg", "job")
    assert outcome.code == 2
    assert FILES[content] in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_file_chooses_no_launcher_class(repronet, tmp_path):
    (tmp_path / "mine/hydra/launcher").mkdir(parents=True)
    (tmp_path / "mine/hydra/launcher/evil.yaml").write_text("_target_: os.system\n")
    (tmp_path / "mine/own.yaml").write_text("defaults: [train, _self_, {override hydra/launcher: evil}]\n")
    outcome = repronet("train", "--config-dir", "mine", "--config-name", "own", "--cfg", "job")
    assert outcome.code == 2
    assert "hydra.launcher._target_=os.system: this Hydra setting is not allowed" in outcome.err


def test_words_that_hydra_s_plugins_know_are_ours_under_another_name():
    words = ["hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu", "hydra.sweeper.n_trials=7", "seed=1"]
    assert sorted_out(words).ours == ["launcher=slurm", "launcher.partition=gpu", "search.trials=7", "seed=1"]
    assert sorted_out(words).hydra == []


def test_every_allowed_setting_has_a_value_that_is_right():
    right = (
        *("hydra.run.dir=x", "hydra.sweep.dir=${now:%Y}", "hydra.mode=RUN", "hydra.verbose=[a,b]"),
        *("hydra.searchpath=[file://x]", "hydra.job.name=x", "hydra.job_logging.root.level=DEBUG"),
        *("+hydra.job_logging.loggers.repronet.train.level=ERROR", "hydra/job_logging=disabled"),
    )
    assert len(sorted_out(right).hydra) == len(ALLOWED)
    with pytest.raises(UserError, match="file://DIR"):
        sorted_out(["hydra.searchpath=[x]"])


@pytest.mark.parametrize(
    ("word", "name", "level"),
    [
        ("hydra.job_logging.root.level=ERROR", "repronet", logging.ERROR),
        ("hydra.verbose=true", "repronet", logging.DEBUG),
        ("hydra.verbose=[repronet.train]", "repronet.train", logging.DEBUG),
        ("+hydra.job_logging.loggers.repronet.train.level=WARNING", "repronet.train", logging.WARNING),
        ("hydra/job_logging=disabled", "repronet", logging.ERROR),
    ],
)
def test_job_logging_sets_levels_for_the_time_of_the_command(repronet, monkeypatch, word, name, level):
    before, seen = logging.getLogger(name).level, []
    monkeypatch.setattr("repronet.cli.run._work", lambda *_: seen.append(logging.getLogger(name).level) or 0)
    assert repronet("train", word).code == 0
    assert seen == [level]
    assert logging.getLogger(name).level == before


@pytest.mark.parametrize("multirun", [False, True])
def test_hydra_s_folders_are_ours(repronet, tmp_path, monkeypatch, multirun):
    seen = []
    monkeypatch.setattr("repronet.cli.commands.train.run", lambda *given: seen.append(given) or True)
    mode = ["hydra.mode=MULTIRUN"] if multirun else []
    assert repronet("train", *mode, "hydra.run.dir=r/${now:x}", "hydra.sweep.dir=s/${hydra.job.name}").code == 0
    words, many, _, folder = seen[0]
    assert many == multirun
    assert [*words] == ([] if multirun else ["run_dir=r/x"])
    assert str(folder) == ("s/app" if multirun else "None")


@pytest.mark.parametrize("setting", ["hydra.run.dir=there", "hydra.verbose=true", "hydra.job_logging.root.level=DEBUG"])
def test_settings_are_the_first_thing_that_a_process_composes(setting, tmp_path):
    """In a process of its own: any command before it in this one would have stored the networks' configs."""
    words = [sys.executable, "-m", "repronet", "train", setting, "data=image_folder", "data.root=nowhere"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"repronet: data.root={tmp_path}/nowhere: no such folder"
