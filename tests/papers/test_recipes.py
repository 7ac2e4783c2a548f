"""Recipes through time: five for each of two networks, which differ in the network alone."""

from __future__ import annotations

import pytest

from repronet.config.compose import compose
from repronet.papers.experiments import EXPERIMENTS
from repronet.papers.figures import FIGURES

YEARS = ("1998", "2012", "2015", "2021", "2024")


@pytest.mark.parametrize("year", YEARS)
def test_both_networks_have_the_same_recipe(year):
    one, other = (compose("train", [f"experiment=recipe_{year}{suffix}"]) for suffix in ("", "_lenet5"))
    assert (one.model.name, other.model.name) == ("resnet20", "lenet5")
    for config in (one, other):
        del config["model"], config["experiment"]
    assert one == other


def test_no_two_years_have_the_same_recipe_on_the_same_images():
    configs = [compose("train", [f"experiment=recipe_{year}"]) for year in YEARS]
    assert all((config.data.per_class, config.trainer.max_epochs) == (500, 20) for config in configs)
    assert {EXPERIMENTS[f"recipe_{year}"].images for year in YEARS} == {500 * 10}  # by which their cost is counted
    recipes = [
        str((config.optimizer, config.schedule, config.augmentation, config.initialization)) for config in configs
    ]
    assert len(set(recipes)) == len(YEARS)


def test_each_is_drawn():
    drawn = [name for figure in FIGURES.values() for name in figure.experiments]
    assert {name for name in EXPERIMENTS if name.startswith("recipe_")} <= set(drawn)
