"""Parameters, neurons, connections, multiplications: the figures of lectures, papers and torchvision."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor, nn

from repronet import layers, models
from repronet.analysis.complexity import summarize
from repronet.analysis.layer_record import Row

HEADED = ("googlenet", "inception_v3")


def torchvision_model(name: str) -> nn.Module:
    drawn = {"init_weights": False} if name in HEADED else {}
    with torch.device("meta"):
        return getattr(torchvision.models, name)(**drawn)


def row(network: nn.Module, *size: int, name: str = "") -> Row:
    """That of the one layer, or the layer called so."""
    return next(row for row in summarize(network, size).rows if name in ("", row.name))


# -- the lectures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [nn, layers])
@pytest.mark.parametrize(
    ("filters", "kernel", "stride", "size", "weights", "neurons", "connections", "parameters"),
    [
        pytest.param(6, 5, 1, 32, 76, 4_704, 357_504, 456, id="LeNet conv1 on 32×32×3"),
        pytest.param(96, 11, 4, 227, 364, 290_400, 105_705_600, 34_944, id="AlexNet conv1"),
    ],
)
def test_first_layers(family, filters, kernel, stride, size, weights, neurons, connections, parameters):
    found = row(family.Conv2d(3, filters, kernel, stride), 3, size, size)
    assert (found.neurons, found.connections, found.parameters) == (neurons, connections, parameters)
    assert found.connections == weights * neurons
    assert found.macs == (weights - 1) * neurons


def test_lenet_of_1998_has_the_connections_of_its_paper():
    for family in ("custom", "torch"):
        summary = summarize(models.create("lenet5_1998", layers=family), (1, 32, 32))
        found = {row.name: row.connections for row in summary.rows if row.connections}
        assert found == {
            "c1": 122_304, "s2": 5_880, "c3": 151_600, "s4": 2_000, "c5": 48_120, "f6": 10_164, "output": 840,
        }  # fmt: skip
        assert summary.connections == 340_908
        assert summary.parameters == 60_000
        assert {r.name: r.parameters for r in summary.rows if r.parameters} == {
            "c1": 156, "s2": 12, "c3": 1_516, "s4": 32, "c5": 48_120, "f6": 10_164,
        }  # fmt: skip
        assert [r.field.size[0] for r in summary.rows if r.name in ("c1", "s2", "c3", "s4", "c5")] == [5, 6, 14, 16, 32]


VGG16_SLIDE = [
    # layer of the slide, its units, its weights without biases
    ("conv", 64 * 224 * 224, 1_728), ("conv", 64 * 224 * 224, 36_864), ("pool", 64 * 112 * 112, 0),
    ("conv", 128 * 112 * 112, 73_728), ("conv", 128 * 112 * 112, 147_456), ("pool", 128 * 56 * 56, 0),
    ("conv", 256 * 56 * 56, 294_912), ("conv", 256 * 56 * 56, 589_824), ("conv", 256 * 56 * 56, 589_824),
    ("pool", 256 * 28 * 28, 0),
    ("conv", 512 * 28 * 28, 1_179_648), ("conv", 512 * 28 * 28, 2_359_296), ("conv", 512 * 28 * 28, 2_359_296),
    ("pool", 512 * 14 * 14, 0),
    ("conv", 512 * 14 * 14, 2_359_296), ("conv", 512 * 14 * 14, 2_359_296), ("conv", 512 * 14 * 14, 2_359_296),
    ("pool", 512 * 7 * 7, 0),
    ("fc", 4_096, 102_760_448), ("fc", 4_096, 16_777_216), ("fc", 1_000, 4_096_000),
]  # fmt: skip


def test_vgg16_is_the_slide():
    summary = summarize(torchvision_model("vgg16"))
    kinds = {"Conv2d": "conv", "MaxPool2d": "pool", "Linear": "fc"}
    rows = [r for r in summary.rows if r.kind in kinds]
    biases = [r.output[0] if r.parameters else 0 for r in rows]
    found = [(kinds[r.kind], r.neurons, r.parameters - bias) for r, bias in zip(rows, biases, strict=True)]
    assert found == VGG16_SLIDE
    assert summary.parameters == 138_357_544  # 138 M
    assert [r.activation_bytes for r in rows] == [4 * units for _, units, _ in VGG16_SLIDE]
    # The slide says 24 M values, 96 MB, for one image forward. Its own lines, with the 150,528 of the image, add up to
    # 15.2 M, 61 MB. What is computed here has in addition the average pool before the classifier, 7×7 to 7×7.
    units = 3 * 224 * 224 + sum(units for _, units, _ in VGG16_SLIDE)
    assert units == 15_237_608
    assert summary.forward_bytes == 4 * (units + 512 * 7 * 7)


def test_vgg16_sees():
    fields = {r.name: r.field for r in summarize(torchvision_model("vgg16")).rows}
    assert fields["features.28"].size == (196, 196)  # conv5_3
    assert fields["features.30"].size == (212, 212)  # pool5
    assert fields["features.30"].stride == (32, 32)
    assert fields["features.30"].padding == (90, 90)
    assert fields["classifier.0"].whole


@pytest.mark.parametrize(
    ("name", "layer", "sees"),
    [
        ("alexnet", "features.12", 195),
        # 7/2 and 3/2 see 11; the 3×3 of each block adds 2·stride: 11 + 3·8 + (8 + 3·16) + (16 + 5·32) + (32 + 2·64).
        # The strided 3×3 of v1.5 adds with the stride before it; He et al.'s with the one behind: 483.
        ("resnet50", "layer4.2.conv2", 11 + 24 + 56 + 176 + 160),
        ("resnet18", "layer4.1.conv2", 435),
        ("densenet121", "features.norm5", 2_071),
        ("googlenet", "inception5b.branch4.1.conv", 379),
    ],
)
def test_whole_networks_see(name, layer, sees):
    assert row(torchvision_model(name), 3, 224, 224, name=layer).field.size == (sees, sees)


def test_resnet50_as_published_sees_483():
    """torchvision's, with the stride on the first 1×1 of each stage instead of its 3×3, as He et al. have it."""
    network = torchvision_model("resnet50")
    for stage in (network.layer2, network.layer3, network.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    assert row(network, 3, 224, 224, name="layer4.2.conv2").field.size == (483, 483)
    assert summarize(network).macs == pytest.approx(3.858e9, rel=1e-3)  # "3.8 billion" in the paper


class Inception(nn.Module):
    """Side by side and concatenated."""

    def __init__(self, *branches: nn.Module):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def same(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)


def test_naive_inception():
    pool = nn.MaxPool2d(3, 1, 1)
    network = Inception(same(256, 128, 1), same(256, 192, 3), same(256, 96, 5), pool)
    summary = summarize(network, (256, 28, 28))
    assert [r.macs for r in summary.rows] == [28 * 28 * 128 * 256, 28 * 28 * 192 * 9 * 256, 28 * 28 * 96 * 25 * 256, 0]
    assert summary.macs == 854_196_224  # 854 M
    assert summary.blocks[-1].output == (672, 28, 28)


def test_inception_with_bottlenecks():
    """The slides print 358 M, or 353 M; their own terms add up to 271 M."""
    network = Inception(
        same(256, 128, 1),
        nn.Sequential(same(256, 64, 1), same(64, 192, 3)),
        nn.Sequential(same(256, 64, 1), same(64, 96, 5)),
        nn.Sequential(nn.MaxPool2d(3, 1, 1), same(256, 64, 1)),
    )
    summary = summarize(network, (256, 28, 28))
    assert summary.macs == 271_351_808
    assert summary.blocks[-1].output == (480, 28, 28)


def test_three_small_filters_against_a_large_one():
    c = 64
    three = summarize(nn.Sequential(*(same(c, c, 3) for _ in range(3))), (c, 20, 20))
    one = summarize(same(c, c, 7), (c, 20, 20))
    assert three.parameters == 3 * (3**2 * c**2)
    assert one.parameters == 7**2 * c**2
    assert three.rows[-1].field == one.rows[-1].field
    assert three.macs * 49 == one.macs * 27


def test_resnet_bottleneck():
    direct = summarize(same(256, 256, 3), (256, 14, 14)).parameters
    through_64 = summarize(nn.Sequential(same(256, 64, 1), same(64, 64, 3), same(64, 256, 1)), (256, 14, 14)).parameters
    assert (direct, through_64) == (589_824, 69_632)  # 600 K, 70 K


def alexnet_of_2012() -> nn.Module:
    """Its convolutions and linear layers, two groups where the paper has two processors."""
    return nn.Sequential(
        nn.Conv2d(3, 96, 11, 4), nn.MaxPool2d(3, 2), nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1), nn.Conv2d(384, 384, 3, padding=1, groups=2),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.MaxPool2d(3, 2), nn.Flatten(),
        nn.Linear(9_216, 4_096), nn.Linear(4_096, 4_096), nn.Linear(4_096, 1_000),
    )  # fmt: skip


def test_alexnet_of_2012():
    with torch.device("meta"):
        network = alexnet_of_2012()
    summary = summarize(network, (3, 227, 227))
    assert summary.parameters == 60_965_224  # "60 million"
    assert summary.neurons == 659_272  # "650,000"
    # The lecture says 630 M connections; the layers of the paper have 725 M, 724.4 M of them multiplications.
    assert summary.connections == 724_406_816 + 659_272
    convolutions = [r for r in summary.rows if r.kind == "Conv2d"]
    assert sum(r.parameters for r in convolutions) / summary.parameters == pytest.approx(0.04, abs=0.01)
    assert 0.9 < sum(r.macs for r in convolutions) / summary.macs < 0.95


# -- torchvision and timm ---------------------------------------------------------------------------------------------

PUBLISHED = (
    "alexnet", "vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn", "googlenet",
    "inception_v3", "resnet18", "resnet34", "resnet50", "resnext50_32x4d", "densenet121",
    "squeezenet1_0", "mobilenet_v2", "convnext_tiny", "vit_b_16",
)  # fmt: skip
PUBLISHED_DEEPER = (
    "resnet101", "resnet152", "resnext101_32x8d", "resnext101_64x4d", "densenet161", "densenet169", "densenet201",
)  # fmt: skip


@pytest.mark.parametrize(
    "name", [*PUBLISHED, *(pytest.param(name, marks=pytest.mark.slow) for name in PUBLISHED_DEEPER)]
)
def test_torchvision_publishes_these_figures(name):
    weights = next(iter(torchvision.models.get_model_weights(name)))
    size = weights.transforms().crop_size[0]
    summary = summarize(torchvision_model(name), (3, size, size))
    assert summary.macs / 1e9 == pytest.approx(weights.meta["_ops"], abs=0.0006)
    heads = 6_379_984 if name == "googlenet" else 0  # its figure leaves out the heads for training
    assert summary.parameters - heads == weights.meta["num_params"]
    assert sum(r.parameters for r in summary.rows) == summary.parameters


@pytest.mark.parametrize("family", ["torch", "custom"])
@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("seresnet50", 28_088_024, 4.1e9),
        pytest.param("legacy_senet154", 115_088_984, 20.7e9, marks=pytest.mark.slow),
    ],
)
def test_timms_networks(name, parameters, macs, family):
    timm = pytest.importorskip("timm", reason="timm is not installed")
    with torch.device("meta"):
        network = layers.convert(timm.create_model(name), family)
    summary = summarize(network)
    assert summary.parameters == sum(r.parameters for r in summary.rows) == parameters
    assert summary.macs == pytest.approx(macs, abs=0.06e9)


def test_timms_fused_normalisation_is_one_row():
    timm = pytest.importorskip("timm", reason="timm is not installed")
    network = timm.layers.BatchNormAct2d(4)
    assert [(r.kind, r.parameters) for r in summarize(network, (4, 6, 6)).rows] == [("BatchNormAct2d", 8)]


# -- rows -------------------------------------------------------------------------------------------------------------


def test_groups_and_depthwise_layers():
    grouped = row(nn.Conv2d(8, 12, 3, groups=4), 8, 10, 10)
    assert (grouped.parameters, grouped.macs) == (12 * 2 * 9 + 12, 12 * 64 * 2 * 9)
    depthwise = row(nn.Conv2d(8, 8, 3, groups=8, bias=False), 8, 10, 10)
    assert (depthwise.parameters, depthwise.macs, depthwise.connections) == (8 * 9, 8 * 64 * 9, 8 * 64 * 9)


def test_a_transposed_convolution_multiplies_what_a_convolution_the_other_way_does():
    assert row(nn.ConvTranspose2d(3, 5, 4, 2, 1), 3, 8, 8).macs == row(nn.Conv2d(5, 3, 4, 2, 1), 5, 16, 16).macs


def test_locally_connected_weights_are_connections():
    layer = layers.LocallyConnected2d(3, 6, 32, 5)
    found = row(layer, 3, 32, 32)
    assert found.connections == found.parameters == 357_504
    assert found.macs == 357_504 - 4_704


def test_linear_layers_on_every_kind_of_input():
    assert row(nn.Linear(3, 5), 3).connections == 20
    assert row(nn.Linear(3, 5), 7, 3).connections == 7 * 20
    assert row(nn.Linear(3, 5, bias=False), 2, 7, 3).connections == 2 * 7 * 15
    attention = row(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 5, 8, name="self_attn")
    assert attention.connections == 5 * (8 * 24 + 24 + 8 * 8 + 8)
    assert attention.macs == 5 * (8 * 24 + 8 * 8) + 2 * 5 * 5 * 8  # products of two maps have no weights


class Shared(nn.Module):
    """One layer twice, one that computes by function alone, and one that does not run."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.scale = nn.Parameter(torch.ones(2, 1, 1))
        self.own = nn.Parameter(torch.ones(4, 2, 1, 1))
        self.idle = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Linear(3, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.conv(x) * self.scale)
        return nn.functional.conv2d(x, self.own)


def test_a_shared_layer_is_counted_once_and_works_twice():
    summary = summarize(Shared(), (2, 6, 6))
    assert [(r.name, r.parameters, r.macs) for r in summary.rows] == [
        ("conv", 38, 36 * 36),
        ("conv", 0, 36 * 36),
        ("Shared", 10, 36 * 8),  # of the network itself
        ("idle", 21, 0),
    ]
    assert summary.rows[-1].output == ()
    assert summary.parameters == 69


def test_tied_weights_are_counted_once():
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    summary = summarize(nn.Sequential(first, second), (4,))
    assert [r.parameters for r in summary.rows] == [20, 4]
    assert summary.parameters == 24


def test_identities_and_containers_have_no_row():
    network = nn.Sequential(nn.Identity(), nn.Sequential(nn.ReLU(), nn.Dropout()), nn.BatchNorm2d(2))
    assert [(r.name, r.kind) for r in summarize(network, (2, 3, 3)).rows] == [
        ("1.0", "ReLU"),
        ("1.1", "Dropout"),
        ("2", "BatchNorm2d"),
    ]


def test_heads_that_do_not_run_have_a_row():
    rows = summarize(torchvision_model("inception_v3"), (3, 299, 299)).rows
    assert [(r.name, r.output, r.parameters) for r in rows if not r.output] == [("AuxLogits", (), 3_326_696)]


def test_folding_adds_up():
    summary = summarize(torchvision_model("resnet50"))
    one = summary.folded(1)
    assert [r.name for r in one][-7:] == ["maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool", "fc"]
    blocks = [r for r in summary.folded(2) if r.name.startswith("layer3")]
    assert [(r.name, r.kind) for r in blocks] == [(f"layer3.{n}", "Bottleneck") for n in range(6)]
    for name in ("parameters", "macs", "connections", "activation_bytes"):
        totals = {sum(getattr(r, name) for r in rows) for rows in (summary.rows, one, summary.folded(2))}
        assert len(totals) == 1, name
    assert next(r for r in one if r.name == "layer4").output == (2048, 7, 7)


def test_folding_gives_a_blocks_own_output():
    folded = summarize(torchvision_model("densenet121")).folded(2)
    found = {r.name: r.output for r in folded}
    assert found["features.denseblock1"] == (256, 56, 56)  # the concatenation, not the 32 maps of the last layer
    squashed = summarize(models.create("lenet5_1998"), (1, 32, 32)).folded(1)
    assert [r.output for r in squashed if r.name == "squash"][:2] == [(6, 28, 28), (6, 14, 14)]
