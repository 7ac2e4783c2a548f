"""Every file of configs/experiment: that it composes, as long as its budgets say, and holds differences alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from repronet.config.compose import compose
from repronet.papers.experiments import EXPERIMENTS

FOLDER = Path(__file__).resolve().parents[2] / "configs/experiment"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))

every_file = pytest.mark.parametrize("name", NAMES)


def text(name: str) -> str:
    return (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


def values(config: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and what they hold."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from values(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def without_own_values(name: str, folder: Path) -> DictConfig:
    """What the file's choices of groups come to before its own values."""
    defaults = {"defaults": yaml.safe_load(text(name))["defaults"]}
    (folder / "experiment").mkdir()
    bare = f"# @package _global_\n{yaml.safe_dump(defaults)}"
    (folder / "experiment" / "bare.yaml").write_text(bare, encoding="utf-8")
    return compose("train", ["experiment=bare"], folder)


def repeated(name: str, folder: Path) -> list[str]:
    """The keys of the file that say what would hold without them."""
    base = without_own_values(name, folder)
    own = {key: value for key, value in yaml.safe_load(text(name)).items() if key != "defaults"}
    return [key for key, value in values(own) if OmegaConf.select(base, key) == value]


def test_every_file_has_its_facts():
    assert set(NAMES) == EXPERIMENTS.keys()


@every_file
def test_it_composes_to_the_network_and_the_data_of_its_facts(name):
    config, facts = compose("train", [f"experiment={name}"]), EXPERIMENTS[name]
    assert config.experiment == name
    assert (config.model.name, config.data.name) == (facts.network, facts.dataset)
    assert (facts.hour or 0) <= config.trainer.max_epochs  # a smaller budget buys no more


@pytest.mark.slow
@every_file
def test_it_holds_what_differs_alone(name, tmp_path):
    assert repeated(name, tmp_path) == []


def test_a_value_that_says_nothing_new_is_found(tmp_path, monkeypatch):
    """In a file whose rate differs, whose batch is the data's and whose decay is that of the file that it builds on."""
    (tmp_path / "own.yaml").write_text(
        "# @package _global_\ndefaults: [resnet20_cifar10]\n"
        "data: {batch_size: 128}\noptimizer: {lr: 0.07, weight_decay: 1.0e-4}\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(f"{__name__}.FOLDER", tmp_path)
    assert repeated("own", tmp_path) == ["data.batch_size", "optimizer.weight_decay"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "resnet20_cifar10",
            ['"Deep Residual Learning', "8.75 % (CIFAR-10 test, table 6", "64,064 steps of 128", "182"],
        ),
        ("four_layer_bn_cifar10", ["no figure", "the paper prints no recipe", "variance 2/fan-in"]),
        ("lenet5_mnist", ["0.95 %", "not comparable with this run", "a dense C3"]),
    ],
)
def test_list_shows_what_must_be_known_of_one(repronet, name, said):
    outcome = repronet("list", "experiment", name)
    assert outcome.code == 0
    assert max(map(len, outcome.out.splitlines())) <= 80
    text = " ".join(outcome.out.split())
    assert text.startswith(EXPERIMENTS[name].title)
    assert f"repronet reproduce {name}" in text
    assert [part for part in said if part not in text] == []


def test_list_shows_the_titles_of_all(repronet):
    assert re.search(r"^  resnet20_cifar10 +ResNet-20 on CIFAR-10$", repronet("list", "experiment").out, re.MULTILINE)


def test_one_that_there_is_not_is_answered_by_the_nearest(repronet):
    outcome = repronet("list", "experiment", "resnet20_cifar1")
    assert outcome.code == 2
    assert outcome.err == "repronet: list experiment resnet20_cifar1: no such experiment; nearest: resnet20_cifar10\n"
