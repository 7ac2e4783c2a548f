"""The groups ``trainer=`` and ``logger=``: Lightning's names, presets, lists of loggers, earlier configs."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest
import pytorch_lightning as pl
from omegaconf import OmegaConf

from repronet.config.compose import checked, compose
from repronet.config.fields import MISSING, defaults_of
from repronet.config.groups import choices
from repronet.config.schema import LOGGERS
from repronet.config.schema_trainer import Trainer
from repronet.errors import UserError
from repronet.session.trainer import Resumed, make_loggers

OURS = {"threads", "channels_last", "compile", "filter_rms", "freeze_norm_epochs", "patience", "board", "save_minutes"}


def test_every_key_that_is_not_ours_is_one_of_lightnings():
    keys = Trainer.__dataclass_fields__.keys() - OURS
    assert keys <= inspect.signature(pl.Trainer).parameters.keys()
    assert len(keys) == 27


@pytest.mark.parametrize("preset", ["default", "gpu", "ddp", "debug"])
def test_presets_compose(preset):
    trainer = compose("train", [f"trainer={preset}"]).trainer
    assert set(trainer) == set(Trainer.__dataclass_fields__)


def test_what_presets_are_for():
    gpu, ddp, debug = (compose("train", [f"trainer={name}"]).trainer for name in ("gpu", "ddp", "debug"))
    assert (gpu.accelerator, gpu.precision) == ("gpu", "bf16-mixed")
    assert (ddp.devices, ddp.strategy) == ("auto", "ddp")
    assert (debug.max_epochs, debug.detect_anomaly) == (1, True)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("trainer.devices=[0,1]", [0, 1]),
        ("trainer.devices=auto", "auto"),
        ("trainer.limit_train_batches=10", 10),
        ("trainer.limit_train_batches=0.25", 0.25),
        ("trainer.fast_dev_run=3", 3),
        ("trainer.fast_dev_run=true", True),
        ("trainer.max_steps=7", 7),
        ("trainer.max_time=00:01:30:00", "00:01:30:00"),
        ("trainer.accelerator=mps", "mps"),
        ("trainer.accelerator=cuda", "cuda"),
        ("trainer.profiler=pytorch", "pytorch"),
        ("trainer.val_check_interval=50", 50),
        ("trainer.overfit_batches=0.1", 0.1),
    ],
)
def test_a_value_is_taken_as_it_is(word, value):
    key = word.partition("=")[0]
    assert OmegaConf.select(compose("train", [word]), key) == value


@pytest.mark.parametrize(
    ("word", "logger"),
    [
        ("logger=tensorboard", {"tensorboard": {}}),
        ("logger=[tensorboard,csv]", {"tensorboard": {}, "csv": {}}),
        ("logger=none", {}),
        ("logger=[mlflow]", {"mlflow": {"experiment_name": "repronet", "tracking_uri": None}}),
    ],
)
def test_loggers(word, logger):
    assert compose("train", [word]).logger == logger


def test_a_logger_has_keys():
    config = compose("train", ["logger=[csv,wandb]", "logger.wandb.project=digits", "logger.wandb.offline=true"])
    assert config.logger == {"csv": {}, "wandb": {"project": "digits", "entity": None, "offline": True}}


def test_every_logger_has_a_file():
    assert set(choices("logger")) == {*LOGGERS, "none"}


def test_an_experiment_chooses_loggers(tmp_path):
    (tmp_path / "experiment").mkdir()
    head = "# @package _global_\n# Mine\ndefaults:\n  - override /logger: [csv, wandb]\n"
    (tmp_path / "experiment/mine.yaml").write_text(head + "logger:\n  wandb: {project: digits}\n")
    config = compose("train", ["experiment=mine"], tmp_path)
    assert {name: dict(values) for name, values in config.logger.items()}["wandb"]["project"] == "digits"


@pytest.mark.parametrize("body", ["logger: {tensorbord: {}}", "logger: {csv: {_target_: os.system}}", "logger: csv"])
def test_a_file_chooses_among_the_loggers_alone(tmp_path, body):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/mine.yaml").write_text(f"# @package _global_\n# Mine\n{body}\n")
    with pytest.raises(UserError):
        compose("train", ["experiment=mine"], tmp_path)


def recorded_by_an_earlier_version(**trainer):
    config = OmegaConf.to_container(compose("train", []))
    assert isinstance(config, dict)
    for key in ("logger", "callbacks", "plugins"):
        del config[key]
    old = {"max_epochs": 40, "accelerator": "auto", "precision": "32-true", "clip_norm": None, "log_every_n_steps": 10}
    old |= {"threads": None, "accumulate": 1, "channels_last": False, "compile": False, "filter_rms": None}
    config["trainer"] = {**old, "patience": None, "board": "full", "profile": 0, "save_minutes": 5.0, **trainer}
    return OmegaConf.create(config)


def test_a_config_of_an_earlier_version_is_read():
    """Whose layout was torch's own where nothing was said."""
    assert checked("train", recorded_by_an_earlier_version()) == compose("train", ["trainer.channels_last=false"])


def test_parts_of_a_batch_become_batches():
    config = checked("train", recorded_by_an_earlier_version(accumulate=4, clip_norm=2.0))
    assert (config.data.batch_size, config.trainer.accumulate_grad_batches) == (16, 4)
    assert config.trainer.gradient_clip_val == 2.0


def test_parts_that_are_not_equal_are_refused():
    with pytest.raises(UserError, match=r"trainer\.accumulate=3: data\.batch_size=64"):
        checked("train", recorded_by_an_earlier_version(accumulate=3))


def test_no_default_breaks_its_rule():
    for item in Trainer.__dataclass_fields__.values():
        rule, value = item.metadata["rule"], defaults_of(Trainer).get(item.name)
        assert rule is None or value in (None, MISSING) or rule.check(value), item.name


@pytest.mark.parametrize(("name", "package"), [("wandb", "wandb"), ("mlflow", "mlflow-skinny")])
def test_a_logger_without_its_package_is_one_line_and_no_folder(repronet, tmp_path, monkeypatch, name, package):
    monkeypatch.setattr("repronet.session.trainer.find_spec", lambda package: None)
    outcome = repronet("train", f"logger=[tensorboard,{name}]", "run_dir=r")
    assert outcome.code == 2
    assert outcome.err == f"repronet: logger={name}: the package is missing; pip install {package}\n"
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(("name", "given"), [("wandb", "id"), ("mlflow", "run_id")])
def test_a_run_is_its_own_with_a_service_and_goes_on_there(tmp_path, monkeypatch, name, given):
    """Two folders of one name are two runs; what is resumed is the run that its checkpoint names."""
    kind = {"wandb": "WandbLogger", "mlflow": "MLFlowLogger"}[name]
    made = []
    monkeypatch.setattr(f"repronet.session.trainer.{kind}", lambda **values: made.append(values))
    config = compose("train", [f"logger={name}"])
    resumed = Resumed(tmp_path / "last.ckpt", 7, {"epochs": 1, "batches": 0}, 1, {}, {kind: "a1b2"}, 1)
    for before in (None, resumed, replace(resumed, logged={})):
        make_loggers(config, tmp_path / "r", before)
    assert [values[given] for values in made] == [None, "a1b2", None]
    assert {values["name" if name == "wandb" else "run_name"] for values in made} == {"r"}
