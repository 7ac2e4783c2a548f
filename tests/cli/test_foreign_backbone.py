"""A backbone of another library on a person's own images, from the command line to what leaves the house."""

from __future__ import annotations

import csv
import json

import pytest
import timm
import torch
import yaml

import repronet as package
from odd_images import write_good
from repronet import ImageClassifier, weights
from repronet.config.compose import compose
from repronet.errors import UserError

WORDS = ("data=image_folder", "data.root=photos", "data.batch_size=8", "augmentation=none", "algorithm=vendor")


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for split, count in (("train", 10), ("val", 4), ("test", 4)):
        write_good(tmp_path / "photos" / split, count=count, seed=count)
    weights.save(timm.create_model("test_resnet"), tmp_path / "saved.safetensors")


@pytest.mark.slow
def test_trained_tested_named_reported_and_exported(repronet, tmp_path, photos):
    words = ("model=timm/test_resnet", "weights=saved.safetensors", "finetune=head_then_all", "trainer.max_epochs=2")
    outcome = repronet("train", *words, *WORDS, "run_dir=run")
    assert (outcome.code, outcome.err) == (0, "")
    assert "  fresh: fc\n  standardizing by their mean 0.500, 0.500, 0.500, std 0.500, 0.500, 0.500" in outcome.out
    assert [line.split()[0] for line in outcome.out.splitlines() if " parameters  from epoch" in line] == [
        *("conv1", "layer1", "layer2", "layer3", "layer4", "head")
    ]
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["model"]["name"] == "timm/test_resnet"
    error = json.loads((tmp_path / "run" / "result.json").read_text())["test_error"]
    assert f"test_error  {error!r}" in repronet("eval", "run=run").out
    assert repronet("predict", "run=run", "images=photos/test").code == 0
    named = list(csv.DictReader((tmp_path / "predictions.csv").read_text().splitlines()))
    classifier = package.load(tmp_path / "run")
    assert [row["class1"] for row in named] == classifier.predict([row["image"] for row in named])
    assert repronet("report", "run").code == 0
    exported = repronet("export", "run=run", "to=onnx")
    assert "run/timm-test_resnet.onnx: " in exported.out
    assert repronet("export", "run=run", "to=safetensors", "out=own.safetensors").code == 0
    again = package.load(tmp_path / "own.safetensors")
    image = torch.randn(1, 3, 160, 160)
    torch.testing.assert_close(again.network(image), classifier.network(image))


@pytest.mark.slow
def test_what_a_library_did_not_make_of_torchs_layers_is_said(repronet, photos):
    outcome = repronet("train", "model=timm/test_efficientnet", *WORDS, "trainer=debug", "run_dir=run")
    assert (outcome.code, outcome.err) == (0, "")
    assert "layers stay as their library made them: " in outcome.out
    assert " BatchNormAct2d" in outcome.out


def test_an_experiment_of_ones_own_names_a_backbone(tmp_path):
    (tmp_path / "experiment").mkdir()
    for file, name in (("mine", "timm/convnext_atto"), ("slip", "timm/convnext_atoo")):
        text = f"# @package _global_\ndefaults:\n  - override /model: {name}\n"
        (tmp_path / "experiment" / f"{file}.yaml").write_text(text)
    assert compose("train", ["experiment=mine"], tmp_path).model.name == "timm/convnext_atto"
    with pytest.raises(UserError, match=r"^model=timm/convnext_atoo: no such network; nearest: timm/convnext_atto "):
        compose("train", ["experiment=slip"], tmp_path)


def test_a_classifier_of_a_plain_trainer_takes_the_name():
    task = ImageClassifier("timm/test_resnet", num_classes=7)
    assert task.network(torch.zeros(2, 3, 64, 64)).shape == (2, 7)
    assert task.hparams["network"]["name"] == "timm/test_resnet"


def test_the_library_names_its_networks(repronet):
    assert "torchvision/resnet50\n" in repronet("list", "torchvision").out
