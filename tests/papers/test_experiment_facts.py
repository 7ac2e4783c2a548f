"""What experiments are held against: the table alone. Their files are in tests/cli/test_experiments.py."""

from __future__ import annotations

import subprocess
import sys

import pytest

from repronet.papers import NETWORKS
from repronet.papers.experiments import EXPERIMENTS, published


def test_a_figure_is_found_by_its_percent_among_those_of_the_network():
    assert published("densenet40_12", 7.0).note == "no augmentation"
    assert published("alexnet", 18.2).of == "ImageNet val top-5"


@pytest.mark.parametrize(("network", "percent"), [("resnet20", 8.76), ("plain20", 8.75), ("resnet21", 8.75)])
def test_one_that_was_not_published_is_refused(network, percent):
    with pytest.raises(KeyError):
        published(network, percent)


def test_a_figure_is_of_the_data_that_the_run_trains_on():
    sets = {"mnist": "MNIST test", "cifar10": "CIFAR-10 test", "imagenet": "ImageNet val"}
    for name, experiment in EXPERIMENTS.items():
        assert experiment.network in NETWORKS, name
        if experiment.published is not None:
            assert experiment.published.of.startswith(sets[experiment.dataset]), name


def test_every_single_network_whose_error_on_small_pictures_was_published_has_its_run():
    baselines = {"mlp"}  # beside LeNet-5, and with another recipe in the paper
    there = {(experiment.network, experiment.published) for experiment in EXPERIMENTS.values()}
    for network, facts in NETWORKS.items():
        if facts.input[1] <= 32 and network not in baselines:
            assert {(network, error) for error in facts.errors} <= there, network


def test_more_time_buys_no_fewer_epochs():
    for name, experiment in EXPERIMENTS.items():
        assert (experiment.minutes or 0) <= (experiment.hour or 0), name
        assert experiment.minutes is None or experiment.hour is not None, name


def test_the_table_needs_no_torch():
    code = "import sys, repronet.papers.experiments; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
