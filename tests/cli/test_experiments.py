"""Every file of configs/experiment: that it composes, says what it reproduces, and holds differences alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from repronet.config.compose import compose
from repronet.config.groups import remark
from repronet.papers import NETWORKS
from repronet.papers.experiments import EXPERIMENTS

FOLDER = Path(__file__).resolve().parents[2] / "configs/experiment"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
HEADINGS = ["Command", "Published", "Cost", "Deviations"]

every_file = pytest.mark.parametrize("name", NAMES)


def text(name: str) -> str:
    return (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


def header(name: str) -> list[str]:
    """The lines of comment that the file opens with, without their signs."""
    lines = text(name).splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return [line[1:].removeprefix(" ") for line in lines[:end]]


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


def test_every_file_is_held_against_something():
    assert set(NAMES) == EXPERIMENTS.keys()


@every_file
def test_it_composes_to_the_network_and_the_data_that_it_is_held_against(name):
    config = compose("train", [f"experiment={name}"])
    assert config.experiment == name
    assert (config.model.name, config.data.name) == (EXPERIMENTS[name].network, EXPERIMENTS[name].dataset)


@every_file
def test_it_opens_with_title_citation_command_figure_cost_and_deviations(name):
    package, title, blank, *rest = header(name)
    assert package == "@package _global_"
    assert title
    assert not title.endswith(".")
    assert blank == ""
    begin = next(number for number, line in enumerate(rest) if line.startswith("Command:"))
    assert re.search(r'".+".*\b(?:19|20)\d\d\b', " ".join(rest[:begin]))
    begun = [line for line in rest[begin:] if not line.startswith(" ")]  # what goes on below is indented
    assert [line.partition(":")[0] for line in begun] == HEADINGS
    assert remark("experiment", name, "Command") == f"repronet reproduce {name}"
    assert all(remark("experiment", name, heading) for heading in HEADINGS)
    assert max(map(len, text(name).splitlines())) <= 120


@every_file
def test_its_figure_is_among_the_facts_of_its_paper(name):
    experiment, said = EXPERIMENTS[name], remark("experiment", name, "Published")
    if experiment.published is None:
        assert said.startswith(("no ", "nothing "))
        return
    found = re.match(r"(\d+(?:\.\d+)?) % (?:test|top-1|top-5) error\b", said)
    assert found is not None
    assert float(found[1]) == experiment.published.percent
    if experiment.published not in NETWORKS[experiment.network].errors:  # that of another network, and it says so
        assert any(experiment.published in facts.errors for facts in NETWORKS.values())
        assert any("figure is that" in deviation for deviation in experiment.deviations)


@every_file
def test_its_deviations_are_those_of_its_records(name):
    said = remark("experiment", name, "Deviations").removesuffix(".")
    for deviation in EXPERIMENTS[name].deviations:
        assert deviation in said


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
