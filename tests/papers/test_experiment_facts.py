"""What experiments are held against: the table alone. Their files are in tests/cli/test_experiments.py."""

from __future__ import annotations

import subprocess
import sys

import pytest

from repronet.papers import NETWORKS, published
from repronet.papers.cost import WORKLOADS, multiplications
from repronet.papers.experiments import EXPERIMENTS, described


def test_a_figure_is_found_by_its_percent_among_those_of_the_network():
    assert published("densenet40_12", 7.0).note == "no augmentation"
    assert published("alexnet", 18.2).of == "ImageNet val top-5"


@pytest.mark.parametrize(("network", "percent"), [("resnet20", 8.76), ("plain20", 8.75), ("resnet21", 8.75)])
def test_one_that_was_not_published_is_refused(network, percent):
    with pytest.raises(KeyError):
        published(network, percent)


def test_a_figure_is_of_the_data_that_the_run_trains_on():
    sets = {"mnist": "MNIST test", "cifar10": "CIFAR-10 test", "cifar100": "CIFAR-100 test", "imagenet": "ImageNet val"}
    for name, experiment in EXPERIMENTS.items():
        assert experiment.network in NETWORKS, name
        if experiment.published is not None:
            assert experiment.published.of.startswith(sets[experiment.dataset]), name


def test_a_figure_is_that_of_the_network_or_is_said_to_be_of_another():
    for name, run in EXPERIMENTS.items():
        own = run.published is None or run.published in NETWORKS[run.network].errors
        assert own or any("figure is that" in deviation for deviation in run.deviations), name


def test_every_one_says_what_it_is_where_it_stands_and_what_it_takes():
    for name, run in EXPERIMENTS.items():
        facts = described(name, 10, 100, "paper")
        assert run.title, name
        assert not run.title.endswith("."), name
        assert all(facts.values()), name
        assert f'"{NETWORKS[run.network].paper.title}"' in facts["paper"], name
        assert all(deviation in facts["deviations"] for deviation in run.deviations), name


def test_every_network_whose_error_on_mnist_or_cifar_10_its_paper_prints_has_its_run():
    baselines = {"mlp"}  # beside LeNet-5, and with another recipe in the paper
    others = ("a reproduction", "batches of 64", "the variant")  # not by the paper's recipe
    there = {(experiment.network, experiment.published) for experiment in EXPERIMENTS.values()}
    for network, facts in NETWORKS.items():
        if facts.input[1] <= 32 and network not in baselines:
            printed = {error for error in facts.errors if not error.of.startswith("CIFAR-100")}
            own = {(network, error) for error in printed if not error.note.startswith(others)}
            assert own <= there, network


def test_more_time_buys_no_fewer_epochs():
    for name, experiment in EXPERIMENTS.items():
        assert (experiment.minutes or 0) <= (experiment.hour or 0), name
        assert experiment.minutes is None or experiment.hour is not None, name


def test_a_budget_pays_for_its_epochs():
    """Five minutes of two cores, which 56 layers pass a little, and an hour of one."""
    for name, run in EXPERIMENTS.items():
        for epochs, seconds in ((run.minutes, 2 * 340), (run.hour, 3600)):
            needed = multiplications(run.network, run.dataset, epochs or 0) / WORKLOADS[run.dataset].core
            assert needed <= seconds, (name, epochs)


def test_the_table_needs_no_torch():
    code = "import sys, repronet.papers.experiments; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
