"""Bad command lines: one line with the key, the value and what would have been right; exit code 2; nothing made."""

from __future__ import annotations

import subprocess
import sys

import pytest

BAD = [
    # words, what the line must hold
    (["train", "modle=lenet5"], ["modle=lenet5", "nearest: model"]),
    (["train", "optimizer.lrr=0.1"], ["optimizer.lrr=0.1", "nearest: optimizer.lr"]),
    (["train", "lr=0.1"], ["lr=0.1", "nearest: optimizer.lr"]),
    (["train", "sede=1"], ["sede=1", "nearest: seed"]),
    (["train", "epochs=3"], ["epochs=3", "nearest: trainer.max_epochs"]),
    (["train", "trainer.epochs=3"], ["trainer.epochs=3", "nearest: trainer.max_epochs"]),
    (["train", "+optimizer.speed=1"], ["optimizer.speed=1", "no such key"]),
    (["train", "~optimizer.lr"], ["optimizer.lr: missing", "a number above 0"]),
    (["train", "model=lenet6"], ["model=lenet6", "nearest: lenet5", "`repronet list model` names all"]),
    (["train", "data=minst"], ["data=minst", "nearest: mnist"]),
    (["train", "optimizer=sdg"], ["optimizer=sdg", "nearest: sgd"]),
    (["train", "optimizer=null"], ["optimizer=null", "adamw"]),
    (["train", "experiment=lenet5_minst"], ["experiment=lenet5_minst", "nearest: lenet5_mnist"]),
    (["train", "layers=costum"], ["layers=costum", "custom, torch"]),
    (["train", "model.name=vgg"], ["model.name=vgg", "choose with model=", "`repronet list model` names all"]),
    (["train", "optimizer.lr=fast"], ["optimizer.lr=fast", "a number above 0"]),
    (["train", "optimizer.lr=-1"], ["optimizer.lr=-1", "a number above 0"]),
    (["train", "optimizer.lr=0"], ["optimizer.lr=0", "a number above 0"]),
    (["train", "optimizer.lr=nan"], ["optimizer.lr=nan", "a number above 0"]),
    (["train", "optimizer.lr=inf"], ["optimizer.lr=inf", "a number above 0"]),
    (["train", "optimizer.lr=null"], ["optimizer.lr=", "a number above 0"]),
    (["train", "optimizer.lr="], ["optimizer.lr=", "a number above 0"]),
    (["train", "optimizer.lr=???"], ["optimizer.lr", "missing"]),
    (["train", "optimizer.lr=${nowhere}"], ["optimizer.lr=${nowhere}", "not found"]),
    (["train", "optimizer.lr=[1,2]"], ["optimizer.lr=[1, 2]", "a number above 0"]),
    (["train", "optimizer.nesterov=perhaps"], ["optimizer.nesterov=perhaps", "true or false"]),
    (["train", "optimizer.momentum=1"], ["optimizer.momentum=1", "not including 1"]),
    (["train", "optimizer=adam", "optimizer.betas=[0.9]"], ["optimizer.betas=[0.9]", "two numbers"]),
    (["train", "schedule=multistep", "schedule.milestones=[9,3]"], ["schedule.milestones=[9.0, 3.0]", "rising"]),
    (["train", "schedule=lecun", "schedule.epochs_each=[1]"], ["schedule.epochs_each=[1]", "1 lengths for 5 rates"]),
    (["train", "trainer.max_epochs=2.5"], ["trainer.max_epochs=2.5", "whole number"]),
    (["train", "trainer.max_epochs=0"], ["trainer.max_epochs=0", "at least 1"]),
    (["train", "trainer.accelerator=npu"], ["trainer.accelerator=npu", "auto, cpu, gpu, cuda, mps, tpu"]),
    (["train", "trainer.clip_norm=2"], ["trainer.clip_norm=2", "no such key"]),
    (["train", "trainer.accumulate=2"], ["trainer.accumulate=2", "nearest: trainer.accumulate_grad_batches"]),
    (["train", "trainer.max_time=3h"], ["trainer.max_time=3h", "DD:HH:MM:SS"]),
    (["train", "trainer.limit_val_batches=1.5"], ["trainer.limit_val_batches=1.5", "at most 1.0"]),
    (["train", "trainer.devices=0"], ["trainer.devices=0", "auto, -1 (all)"]),
    (["train", "trainer.strategy=magic"], ["trainer.strategy=magic", "auto, ddp"]),
    (["train", "trainer.min_epochs=50"], ["trainer.min_epochs=50", "trainer.max_epochs=40"]),
    (["train", "trainer.benchmark=perhaps"], ["trainer.benchmark=perhaps", "true, false or null"]),
    (["train", "callbacks=quiet"], ["callbacks=quiet", "a list of names"]),
    (["train", "logger={csv: {}}"], ["no such logger", "choices: csv"]),
    (["train", "logger=tensorbord"], ["logger=tensorbord", "nearest: tensorboard"]),
    (["train", "logger=[csv,tensorbord]"], ["logger=[csv,tensorbord]", "nearest: tensorboard"]),
    (["train", "logger=[none,csv]"], ["logger=[none,csv]", "none cannot be combined"]),
    (["train", "logger=wandb", "logger.wandb.projekt=x"], ["logger.wandb.projekt=x", "nearest: logger.wandb.project"]),
    (["train", "logger.wandb.project=x"], ["logger.wandb.project=x", "with logger=[tensorboard]"]),
    (["train", "data.batch_size=-4"], ["data.batch_size=-4", "at least 1"]),
    (["train", "seed=-1"], ["seed=-1", "whole number from 0"]),
    (["train", "seed=0,1"], ["seed=0,1", "add -m"]),
    (["train", "-m", "seed=interval(0,1)"], ["seed=interval(0,1)", "range("]),
    (["train", "-m", "seed=0,1", "run_dir=x"], ["run_dir=x", "cannot share"]),
    (["train", "-m", "seed=0,1", "model=lenet5,lenet7"], ["model=lenet7", "nearest: lenet5"]),
    (["train", "lenet5"], ["lenet5", "KEY=VALUE"]),
    (["train", "=3"], ["=3", "no such key"]),
    (["train", "model@x=lenet5"], ["model@x=lenet5", "package"]),
    (["train", "--epochs", "3"], ["--epochs"]),
    (["train", "--config-dir", "nowhere"], ["nowhere", "no such folder"]),
    (["train", "data=mnist", "data.root=nowhere"], ["data.root=", "nowhere", "no such folder"]),
    (["train", "data.root=somewhere"], ["data.root=", "add data=image_folder"]),
    (
        ["train", "layers=torch", "algorithm=im2col"],
        ["algorithm=im2col", "PyTorch's layers have no choice", "layers=custom"],
    ),
    (["train", "model=lenet5_1998", "normalization=batch"], ["normalization=batch", "lenet5_1998"]),
    (["train", "optimizer.nesterov=true", "optimizer.momentum=0"], ["optimizer.momentum=0", "Nesterov"]),
    (["train", "trainer.precision=16-mixed", "trainer.accelerator=cpu"], ["trainer.precision=16-mixed", "bf16-mixed"]),
    (["train", "trainer.accelerator=gpu"], ["trainer.accelerator=gpu", "no such device"]),
    (["train", "data.batch_size=100000000000000000000"], ["data.batch_size=100000000000000000000", "below"]),
    (["train", "run_dir="], ["run_dir=", "a folder"]),
    (["train", "data=mnist", "data.root="], ["data.root=", "a folder"]),
    (["train", "run_dir=${seed}"], ["run_dir=${seed}", "used as it is"]),
    (["train", "optimizer=adam", "optimizer.momentum=0.5"], ["optimizer.momentum=0.5", "with optimizer=adam"]),
    (["train", "-m", "model=glob(zzz)"], ["model=glob(zzz)", "no value"]),
    (["train", "-m", "seed=range(3,0)"], ["seed=range(3,0)", "no value"]),
    (["train", "-m", "seed=range(0,1,0)"], ["seed=range(0,1,0)"]),
    (["train", "-m", "seed=0,1", "--cfg", "job"], ["--cfg job", "-m"]),
    (["train", "-m", "resume=x"], ["resume", "-m"]),
    (["train", "debug=ture"], ["debug=ture", "true or false"]),
    (["train", "resume="], ["resume=", "run folder"]),
    (["train", "resume_sweep=nowhere"], ["resume_sweep=nowhere", "no sweep there"]),
    (["train", "preprocessing.mean=[0.5]"], ["preprocessing.mean=[0.5]", "preprocessing.std"]),
    (["train", "preprocessing=imagenet"], ["preprocessing.mean=[0.485", "3 numbers for images of 1 channel"]),
    (["train", "averaging=swa"], ["averaging=swa", "ema, none, polyak"]),
    (["train", "dropout=-0.5"], ["dropout=-0.5", "a number from 0"]),
    (["train", "initialization=hee"], ["initialization=hee", "he, xavier"]),
    (["find-rat"], ["find-rat", "nearest: find-rate"]),
    (["train", "resume=a=b,c ü'"], ["resume=a=b,c ü'", "no run there"]),
    (["train", "model.loss=rbf_map"], ["model.loss=rbf_map", "cross_entropy"]),
    (["train", "preprocessing=scale", "preprocessing.low=1"], ["preprocessing.low=1", "preprocessing.high=1"]),
    (["train", "trainer.threads=0"], ["trainer.threads=0", "at least 1"]),
    (["train", "resume=nowhere"], ["resume=nowhere", "no run there"]),
    (["train", "resume=x", "seed=1"], ["seed=1", "resume=x alone"]),
    (["eval"], ["run: missing"]),
    (["eval", "run=nowhere"], ["run=nowhere", "no run there"]),
    (["eval", "run=x", "checkpoint=frist"], ["checkpoint=frist", "best, last"]),
    (["eval", "-m", "run=x"], ["-m"]),
    (["eval", "--config-dir", "x", "run=x"], ["--config-dir"]),
    (["list", "modles"], ["list modles", "nearest: model"]),
    (["trian"], ["trian", "nearest: train"]),
    (
        ["train", "optimizer._target_=os.system"],
        ["_target_ is not supported", "--plugin"],
    ),
    (["train", "data=mnist", "data.root='my photos'"], ["data.root=", "/my photos: no such folder"]),
    (["train", "data=mnist", 'data.root="my photos"'], ["data.root=", "/my photos: no such folder"]),
    (["train", "--plugin", "nowhere.py"], ["--plugin nowhere.py", "no such file"]),
    (["bench"], ["bench: needs a second word, one of: bench conv, bench step"]),
    (["train", "--epochs", "3"], ["--epochs: no such option; keys are written KEY=VALUE, without dashes"]),
    (["train", "--multi"], ["--multi: no such option; nearest: --multirun; keys are written KEY=VALUE"]),
    (["reproduce", "lenet5_mnist", "data.root=x"], ["data.root=x: no such key; nearest: data_root"]),
    (["finetune", "compete"], ["finetune compete", "one of: finetune compare"]),
]


@pytest.mark.parametrize(("words", "holds"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_one_line_and_exit_code_2(repronet, tmp_path, words, holds):
    outcome = repronet(*words)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1, outcome.err
    assert outcome.err.startswith("repronet: ")
    assert "Traceback" not in outcome.err
    for part in holds:
        assert part in outcome.err
    assert outcome.out == ""
    assert list(tmp_path.iterdir()) == []


def test_an_unrelated_name_is_not_suggested(repronet):
    assert repronet("nosuch").err.startswith("repronet: nosuch: no such command (commands: train, ")


def test_a_target_in_a_file_is_refused_by_name(repronet, tmp_path):
    (tmp_path / "mine/model").mkdir(parents=True)
    (tmp_path / "mine/model/own.yaml").write_text("# Mine\n_target_: my.Network\nname: lenet5\nloss: svm\n")
    outcome = repronet("train", "--config-dir", "mine", "model=own")
    assert outcome.code == 2
    assert outcome.err.startswith("repronet: model._target_=my.Network: _target_ is not supported: a config chooses by")


def test_debug_brings_the_traceback(repronet):
    outcome = repronet("train", "model=lenet6", "debug=true")
    assert outcome.code == 2
    assert "Traceback" in outcome.err
    assert "Traceback" not in repronet("train", "model=lenet6", "debug=false").err


def test_an_unforeseen_failure_is_one_line_too(repronet, monkeypatch):
    monkeypatch.setattr("repronet.config.build.dataset", lambda config, size: 1 / 0)
    outcome = repronet("train")
    assert outcome.code == 1
    assert outcome.err == "repronet: ZeroDivisionError: division by zero (debug=true shows where)\n"


DANGEROUS = [
    "+model._target_=os.system",
    "model._target_=os.system",
    "++optimizer._target_=builtins.open",
    "model={_target_: os.system, command: touch hacked}",
    "optimizer={name: sgd, _target_: os.system}",
    "+hydra.callbacks.x._target_=os.system",
    "hydra.job_logging.handlers.x={'()': os.system}",
    "hydra/launcher=evil",
    "hydra.searchpath=[pkg://evil]",
    "run_dir=${oc.eval:1}",
    "run_dir=${evil:1}",
    "model.name=os.system",
    "model.loss=os.system",
    "data.name=__import__",
    "optimizer.name=torch.load",
    "+model._target_=torch.hub.load",
    "++data._target_=numpy.load",
    "++trainer._target_=pathlib.Path.write_text",
    "weights=${oc.env:HOME}",
    "seed=${oc.env:HOME}",
]


@pytest.mark.parametrize("word", DANGEROUS)
def test_no_override_reaches_code(repronet, tmp_path, word, monkeypatch):
    monkeypatch.setattr("os.system", lambda command: pytest.fail("os.system was called"))
    outcome = repronet("train", word)
    assert outcome.code == 2, outcome
    assert outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "body",
    [
        "model:\n  _target_: os.system\n",
        "optimizer:\n  lr: {_target_: os.system}\n",
        "data:\n  root: {_target_: pathlib.Path.write_text, _args_: [hacked, x]}\n",
        "model:\n  name: ../../evil\n",
        "seed: !!python/object/apply:os.system ['touch hacked']\n",
        "seed: ${eval:1}\n",
        "layers: ${oc.decode:\"__import__('os').system('touch hacked')\"}\n",
        "defaults:\n  - override /hydra/launcher: evil\n",
        "hydra:\n  searchpath: [pkg://os]\n",
    ],
)
def test_no_config_file_reaches_code(repronet, tmp_path, monkeypatch, body):
    monkeypatch.setattr("os.system", lambda command: pytest.fail("os.system was called"))
    folder = tmp_path / "mine" / "experiment"
    folder.mkdir(parents=True)
    (folder / "evil.yaml").write_text("# @package _global_\n" + body)
    outcome = repronet("train", "--config-dir", str(tmp_path / "mine"), "experiment=evil")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_hydra_settings_in_a_config_file_are_refused(repronet, tmp_path, monkeypatch):
    monkeypatch.setattr("os.system", lambda command: pytest.fail("os.system was called"))
    folder = tmp_path / "mine" / "experiment"
    folder.mkdir(parents=True)
    callback = "hydra:\n  callbacks:\n    x:\n      _target_: os.system\n      command: touch hacked\n"
    (folder / "evil.yaml").write_text("# @package _global_\n" + callback)
    outcome = repronet("train", "--config-dir", str(tmp_path / "mine"), "experiment=evil", "--cfg", "job")
    assert outcome.code == 2
    assert outcome.err.startswith("repronet: hydra.callbacks.x._target_=os.system: this Hydra setting is not allowed")


@pytest.mark.parametrize(
    "words", [("eval",), ("predict", "images=x.png"), ("export", "to=onnx"), ("visualize", "what=filters")]
)
def test_a_run_that_is_not_there_is_said_before_torch_is_imported(words, tmp_path):
    code = (
        "import sys; from repronet.cli import main\n"
        f"sys.argv[1:] = {[words[0], 'run=runs/nope', *words[1:]]!r}\n"
        "try: main()\n"
        "finally: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False", done.stderr
    assert done.stderr == "repronet: run=runs/nope: no run there; give the folder that holds config.yaml\n"
