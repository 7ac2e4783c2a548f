"""Which of our networks a module is."""

from __future__ import annotations

import pytest
import torch
import torchvision
from tiny_networks import drawn

from repronet import models
from repronet.layers import convert, set_algorithm
from repronet.weights import identity
from repronet.weights.published import BUILDERS

SMALL = ("lenet5", "lecture_net", "nin", "resnet20", "resnet20_b", "plain20", "densenet_bc_100_12", "googlenet_bn")


@pytest.mark.parametrize("name", SMALL)
def test_every_network_knows_its_name(name):
    with torch.device("meta"):
        network = models.create(name, num_classes=3, in_channels=2)
    assert identity.name_of(network) == name


def test_so_does_one_of_fixed_classes_and_channels():
    assert identity.name_of(models.create("lenet5_1998")) == "lenet5_1998"


def test_how_it_is_used_does_not_make_it_another():
    network = models.create("resnet20").eval().double()
    set_algorithm(network, "im2col")
    assert identity.name_of(network) == "resnet20"
    assert identity.name_of(convert(network, to="torch")) == "resnet20"
    assert identity.name_of(drawn("lenet5", normalization="batch")) == "lenet5"


def test_a_network_of_others_has_no_name():
    network = torchvision.models.resnet18(num_classes=2)
    assert identity.name_of(network) is None
    network.architecture = "somebody's"
    assert identity.name_of(network) is None


def test_what_torchvision_publishes_is_for_networks_that_there_are():
    assert BUILDERS.keys() <= models.MODELS.keys()
    assert set(BUILDERS.values()) <= set(torchvision.models.list_models(torchvision.models))


def test_classes_and_channels_are_read_off():
    with torch.device("meta"):
        assert identity.counts(models.create("resnet20", num_classes=7, in_channels=2)) == (7, 2)
    assert identity.counts(models.create("lenet5_1998")) == (10, 1)
    assert identity.counts(models.create("resnet20").bn1) == (None, None)


@pytest.mark.slow
def test_a_state_dict_is_held_against_every_network():
    assert identity.fitting(models.create("resnet20", num_classes=5).state_dict()) == ["resnet20", "plain20"]
