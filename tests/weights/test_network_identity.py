"""Which of our networks a module is."""

from __future__ import annotations

import pytest
import torchvision
from tiny_networks import Tiny, drawn, install

from repronet.layers import convert, set_algorithm
from repronet.weights import identity


@pytest.fixture(autouse=True)
def zoo(monkeypatch):
    install(monkeypatch)


@pytest.mark.parametrize("layers", ["custom", "torch"])
@pytest.mark.parametrize("name", ["lenet5", "tiny", "tiny_v1_5", "tiny_wide"])
def test_every_network_is_known_by_its_structure(name, layers):
    for settings in ({}, {"num_classes": 3}, {"in_channels": 2}):
        assert identity.name_of(drawn(name, layers=layers, **settings)) == name


def test_so_is_one_of_fixed_classes_and_channels():
    for layers in ("custom", "torch"):
        assert identity.name_of(drawn("lenet5_1998", layers=layers)) == "lenet5_1998"


def test_how_it_is_used_does_not_make_it_another():
    network = drawn("tiny_v1_5").eval().double()
    network.drop.p = 0.7
    set_algorithm(network, "im2col")
    assert identity.name_of(network) == "tiny_v1_5"
    assert identity.name_of(convert(network, to="torch")) == "tiny_v1_5"
    assert identity.name_of(drawn("lenet5", normalization="batch")) == "lenet5"


def test_a_changed_stride_makes_it_another():
    network = drawn("tiny")
    network.conv1.stride, network.conv2.stride = (1, 1), (2, 2)
    assert identity.name_of(network) == "tiny_v1_5"
    network.conv1.stride = (3, 3)
    assert identity.name_of(network) is None


def test_a_network_of_others_has_no_name(monkeypatch):
    network = drawn("tiny")
    monkeypatch.setattr(Tiny, "__module__", "somebody.elses")
    assert identity.name_of(network) is None
    assert identity.name_of(torchvision.models.resnet18(num_classes=2)) is None


def test_classes_and_channels_are_read_off():
    assert identity.counts(drawn("tiny", num_classes=7, in_channels=2)) == (7, 2)
    assert identity.counts(drawn("lenet5_1998")) == (10, 1)
    assert identity.counts(drawn("tiny").bn1) == (None, None)
