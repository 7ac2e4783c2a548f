"""Networks against the releases of their authors: what agrees, what is named, and that errors of old are seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from repronet import models
from repronet.analysis.release import NONE, compare, written
from repronet.layers import KrizhevskyResponseNorm
from repronet.models.alexnet import AlexNet
from repronet.models.googlenet import InceptionModule
from repronet.models.preact_resnet import PreActBlock
from repronet.papers.releases import RELEASES, Difference
from repronet.papers.releases.notation import RELU, add, chain, concat, conv, head, max_pool, mean

QUICK = (
    *("lenet5_1998", "four_layer_18pct", "four_layer_13pct", "four_layer_11pct", "nin", "alexnet", "alexnet_owt"),
    *(
        "vgg16",
        "googlenet",
        "inception_v3",
        "resnet50",
        "resnet50_caffe",
        "resnet20",
        "resnet20_b",
        "resnet50_v1_5",
        "resnext50_32x4d",
    ),
    *("densenet40_12", "se_resnet50", "se_resnext50_32x4d"),
)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in RELEASES]
)
def test_every_network_is_as_released_or_the_difference_is_named(name):
    verdict = compare(name)
    wrong = [(row.where, found) for row in verdict.rows for found in row.found if found.why is None]
    assert not wrong
    assert not verdict.stale
    assert verdict.passed
    assert verdict.operators == len(written(RELEASES[name].operators))


@pytest.mark.parametrize(
    ("name", "convolutions"),
    [
        ("resnet50", 53),
        ("se_resnet50", 53),
        ("se_resnext50_32x4d", 53),
        pytest.param("resnet152", 155, marks=pytest.mark.slow),
        pytest.param("senet154", 157, marks=pytest.mark.slow),
    ],
)
def test_residual_networks_agree_convolution_by_convolution(name, convolutions):
    rows = [row for row in compare(name).rows if row.theirs.startswith("convolution")]
    assert len(rows) == convolutions
    assert [(row.where, f.what) for row in rows for f in row.found] == [("conv1", "bias")] * (name == "resnet50")


@pytest.fixture
def changed(monkeypatch):
    """Lets ``models.create`` change what it has built."""
    create = models.create

    def change(do: Callable[[nn.Module], object]) -> None:
        def changing(*args, **kwargs):
            network = create(*args, **kwargs)
            do(network)
            return network

        monkeypatch.setattr(models, "create", changing)

    return change


def unnamed(name: str) -> list[tuple[str, str, str, str]]:
    verdict = compare(name)
    assert not verdict.passed
    found = [(row.where, f.what, f.theirs, f.ours) for row in verdict.rows for f in row.found if f.why is None]
    return list(dict.fromkeys(found))


def test_nin_with_a_mean_for_its_second_pool_is_seen(changed):
    changed(lambda net: setattr(net, "pool2", nn.AvgPool2d(3, stride=2, ceil_mode=True)))
    words = "{} pool 3, stride 2, padding 0"
    assert unnamed("nin") == [("pool2", "operator", words.format("max"), words.format("average"))]


def test_dropout_before_the_hidden_layers_is_seen(monkeypatch):
    def forward(self, images):
        x = self.pool(self.norm1(self.relu(self.conv1(images))))
        x = self.pool(self.norm2(self.relu(self.conv2(x))))
        x = self.pool(self.relu(self.conv5(self.relu(self.conv4(self.relu(self.conv3(x)))))))
        x = self.relu(self.fc6(self.dropout(x.flatten(1))))
        return self.fc8(self.relu(self.fc7(self.dropout(x))))

    monkeypatch.setattr(AlexNet, "forward", forward)
    assert unnamed("alexnet") == [
        ("dropout", "operator", NONE, "dropout 0.5"),
        ("relu", "operator", "dropout 0.5", NONE),
    ]


def test_a_transition_that_drops_nothing_is_seen(changed):
    changed(lambda net: setattr(net.features.transition1, "dropout", nn.Identity()))
    assert unnamed("densenet40_12") == [("features.transition1.conv", "operator", "dropout 0.2", NONE)]


def test_a_padded_pool_must_be_named(monkeypatch):
    others = tuple(named for named in RELEASES["resnet50"].differences if named.at != "maxpool")
    assert others
    monkeypatch.setitem(RELEASES, "resnet50", replace(RELEASES["resnet50"], differences=others))
    assert unnamed("resnet50") == [("maxpool", "padding", "0", "1"), ("maxpool", "rounds", "up", "down")]


def test_an_alpha_five_times_too_large_is_seen(changed):
    changed(lambda net: setattr(net.norm2, "alpha", 5 * net.norm2.alpha))
    assert unnamed("alexnet") == [("norm2", "alpha", "0.0001", "0.0025")]


def test_an_alpha_of_the_sum_is_read_as_one_of_the_mean(changed):
    changed(lambda net: setattr(net, "norm1", KrizhevskyResponseNorm(5, alpha=2e-4)))
    assert unnamed("alexnet") == [("norm1", "alpha", "0.0001", "0.001")]


def test_a_name_for_what_is_not_there_is_stale(monkeypatch):
    old = Difference("share", 0.5, 0.4, "it was so once")
    monkeypatch.setitem(RELEASES, "nin", replace(RELEASES["nin"], differences=(old,)))
    verdict = compare("nin")
    assert not any(row.found for row in verdict.rows)
    assert verdict.stale == (old,)
    assert not verdict.passed


def test_a_name_holds_for_its_place_alone(monkeypatch, changed):
    named = Difference("share", 0.5, 0.4, "for this once", at="dropout")
    monkeypatch.setitem(RELEASES, "nin", replace(RELEASES["nin"], differences=(named,)))
    changed(lambda net: setattr(net.dropout, "p", 0.4))
    assert compare("nin").passed
    monkeypatch.setitem(RELEASES, "nin", replace(RELEASES["nin"], differences=(replace(named, at="dropouts"),)))
    assert not compare("nin").passed


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda net: nn.init.normal_(net.block1[0].weight, std=0.01), ("weights start", "normal 0.05", "normal 0.01")),
        (lambda net: nn.init.constant_(net.block1[0].bias, 0.1), ("bias starts", "0", "0.1")),
        (lambda net: setattr(net.block3[0], "stride", (2, 2)), ("stride", "1", "2")),
        (lambda net: setattr(net.block3[0], "dilation", (2, 2)), ("window", "3", "5")),
        (lambda net: setattr(net.pool1, "ceil_mode", False), ("rounds", "up", "down")),
        (lambda net: setattr(net.dropout, "p", 0.4), ("share", "0.5", "0.4")),
        (lambda net: setattr(net.block1, "1", nn.Tanh()), ("operator", "relu", "Tanh")),
        (lambda net: setattr(net, "average", nn.AdaptiveAvgPool2d((1, 2))), ("window", "whole map", "1×2 regions")),
    ],
)
def test_what_differs_of_an_operator_is_seen(changed, change, found):
    def changes(net):
        with torch.no_grad():
            change(net)

    changed(changes)
    assert unnamed("nin")[0][1:] == found


def test_a_shortcut_that_starts_before_the_activation_is_seen(monkeypatch):
    def forward(self, x):
        y = self.relu(self.norms[0](x))
        around = x if self.projection is None else self.projection(x)
        y = self.convolutions[0](y)
        for norm, convolution in list(zip(self.norms, self.convolutions, strict=True))[1:]:
            y = convolution(self.relu(norm(y)))
        return y + around

    monkeypatch.setattr(PreActBlock, "forward", forward)
    assert unnamed("preact_resnet164")[0] == ("stages.0.0.projection", "fed by", "stages.0.0.relu", "stem")


def test_branches_in_another_order_are_seen(monkeypatch):
    def forward(self, x):
        return torch.cat((self.branch1(x), self.branch3(x), self.branch2(x), self.branch4(x)), dim=1)

    monkeypatch.setattr(InceptionModule, "forward", forward)
    assert ("inception3a.branch3.0.conv", "maps", "96", "16") in unnamed("googlenet")


def test_what_a_network_computes_without_a_layer_is_seen(monkeypatch):
    plain = AlexNet.forward
    monkeypatch.setattr(AlexNet, "forward", lambda self, images: plain(self, images).tanh())
    assert unnamed("alexnet")[-1] == ("fc8", "operator", NONE, "tanh")


def test_the_steps_of_a_release():
    release = chain(
        *(conv(4, 3), max_pool(2, 2), RELU),
        *(add((conv(4, 1), RELU), ()), head(mean())),
        concat((conv(1, 1),), (RELU, concat((conv(2, 1),), (conv(3, 1),)))),
    )
    steps = [(step.kind, step.settings.get("maps"), step.inputs) for step in written(release)]
    assert steps == [
        *[("convolution", 4, (-1,)), ("max pool", None, (0,)), ("relu", None, (1,))],
        *[("convolution", 4, (2,)), ("relu", None, (3,)), ("sum", None, (4, 2))],
        *[("convolution", 1, (5,)), ("relu", None, (5,)), ("convolution", 2, (7,)), ("convolution", 3, (7,))],
        *[("concatenation", None, (6, 8, 9)), ("average pool", None, (5,))],
    ]
