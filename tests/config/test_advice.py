"""What is said of recipes that are allowed and probably not meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from conftest import REPOSITORY
from repronet.config.advice import advise
from repronet.config.build import assemble
from repronet.config.compose import compose
from repronet.config.groups import choices


def said(*words: str) -> list[str]:
    config = compose("train", ["layers=torch", *words])
    return list(advise(config, assemble(config)))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["schedule=multistep", "trainer.max_epochs=12"], "the run ends after 12 epochs, before 15"),
        (["schedule=multistep", "schedule.unit=steps", "schedule.milestones=[9,5000]"], "2,200 steps, before 5000"),
        (["schedule=cosine", "schedule.warmup_epochs=40"], "the warm-up takes all 40 epochs or more"),
        (["schedule=lecun", "trainer.max_epochs=12"], "before the last rate"),
        (["schedule=plateau", "schedule.patience=50"], "before the rate can fall"),
        (["schedule.warmup_error=0.95"], "guessing gives 0.9, so it ends at once"),
        (["schedule.warmup_error=0.01"], "the warm-up may never end"),
        (["preprocessing.mean=[0.5]", "preprocessing.std=[0.3]"], "of another dataset, these images have 0.13"),
        (["preprocessing.mean=[0.13]", "preprocessing.std=[0.1]"], "of another dataset"),
        (
            ["data.per_class=2", "data.batch_size=2", "optimizer.lr=0.001"],
            "few training images of 0 2, 1 2, 2 2 and",
        ),
        (["data.per_class=10"], "100 images make 2 steps an epoch, 80 in all; data.batch_size=8 with optimizer.lr="),
        (["data.per_class=900"], "data.per_class=900: no class has more than 350 training images"),
        (["optimizer.lr=5"], "optimizer.lr=5: with batches of 64 something like 0.025 is usual"),
        (["optimizer.lr=1e-5"], "something like 0.025"),
        (["optimizer=adam", "optimizer.lr=0.1"], "Adam seldom trains"),
        (["model=resnet18", "data.fit=resize"], "takes 224 pixels, so images of 28 are enlarged 8.0 times"),
    ],
)
def test_odd_recipes_are_said(words, message):
    lines = said(*words)
    assert len(lines) == 1
    assert message in lines[0]


USUAL = [
    [],
    ["schedule.warmup_error=0.8"],
    ["preprocessing.mean=[0.1307]", "preprocessing.std=[0.3081]"],  # of the official 60,000
    ["optimizer=adam"],
    ["optimizer=adamw"],
    ["schedule=multistep"],
    ["model=resnet20"],
]


@pytest.mark.parametrize("words", USUAL)
def test_usual_recipes_are_not(words):
    assert said(*words) == []


SLOW = ("data.batch_size=4", "optimizer.lr=0.001")
OWN_MEAN, OWN_STD = ["preprocessing.mean=[0.131]"], ["preprocessing.std=[0.308]"]  # of the digits


@pytest.mark.parametrize(
    ("within", "beyond"),
    [
        (["optimizer.lr=0.39"], ["optimizer.lr=0.41"]),  # 16 times what is usual, 0.025 for batches of 64
        (["optimizer.lr=0.00011"], ["optimizer.lr=0.00009"]),  # a 250th of it
        (["optimizer=adam", "optimizer.lr=0.019"], ["optimizer=adam", "optimizer.lr=0.021"]),
        (["schedule.warmup_error=0.21"], ["schedule.warmup_error=0.19"]),
        ([*SLOW, "data.per_class=5"], [*SLOW, "data.per_class=4"]),
        (["data.batch_size=437"], ["data.batch_size=501"]),  # 3,500 digits make 9 steps and 7
        (
            [*OWN_MEAN, "preprocessing.std=[0.38]"],
            [*OWN_MEAN, "preprocessing.std=[0.39]"],
        ),  # 0.308, and a quarter of it
        ([*OWN_STD, "preprocessing.mean=[0.205]"], [*OWN_STD, "preprocessing.mean=[0.212]"]),  # 0.131, and 0.077
    ],
)
def test_where_usual_ends(within, beyond):
    assert said(*within) == []
    assert len(said(*beyond)) == 1


def heads() -> Iterator[Any]:
    """The experiments that others take their recipe from, and those that stand alone; large networks are slow."""
    for name in choices("experiment"):
        text = (REPOSITORY / "configs/experiment" / f"{name}.yaml").read_text(encoding="utf-8")
        if isinstance(yaml.safe_load(text)["defaults"][0], dict):  # a sibling names its head first
            yield pytest.param(name, marks=pytest.mark.slow if not name.startswith("lenet") else ())


@pytest.mark.parametrize("experiment", list(heads()))
def test_no_experiment_of_ours_is_odd(experiment):
    config = compose("train", [f"experiment={experiment}", "layers=torch"])
    fit = "crop" if config.data.get("fit") == "crop" else "pad"
    config.data = OmegaConf.merge(compose("train", []).data, {"batch_size": config.data.batch_size, "fit": fit})
    said_of_it = list(advise(config, assemble(config)))
    # 3,500 digits stand for a million images here, which make more steps.
    # The stand-ins are few and small, which is no matter of the recipe's.
    of_stand_ins = [line for line in said_of_it if line.startswith("data.batch_size=") or "are enlarged" in line]
    assert [line for line in said_of_it if line not in of_stand_ins] == []


def test_a_run_says_it_before_its_first_step(repronet):
    outcome = repronet("train", "schedule=multistep", "trainer.max_epochs=1", "layers=torch")
    assert outcome.code == 0
    assert outcome.out.index("note: schedule.milestones: the run ends after 1 epochs") < outcome.out.index("epoch 1/1")


def test_unbalanced_classes_are_said(tmp_path):
    from PIL import Image

    for name, count in (("common", 80), ("rare", 7)):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "val" / name).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / "train" / name / f"{number}.png")
        Image.new("RGB", (8, 8), (0, 9, count)).save(tmp_path / "val" / name / "0.png")
    words = ("data=image_folder", f"data.root={tmp_path}", "augmentation=cifar_standard", "data.batch_size=10")
    assert said(*words) == [
        "unbalanced: 80 training images of common and 7 of rare; a network may ignore rare classes: check the "
        "error of each class, or weight classes equally with data.balance=loss"
    ]
    assert said(*words, "data.balance=sampler") == []
