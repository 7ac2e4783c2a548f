"""The parts of residual networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from repronet import layers, models
from repronet.models.residual import Design, PaddedShortcut, SqueezeExcitation


def test_option_a_subsamples_and_pads_with_zeros():
    x = torch.arange(2 * 3 * 4 * 4, dtype=torch.float64).reshape(2, 3, 4, 4)
    y = PaddedShortcut(3, 8, stride=2)(x)
    assert y.shape == (2, 8, 2, 2)
    assert torch.equal(y[:, 2:5], x[:, :, [0, 2]][:, :, :, [0, 2]])  # two planes of zeros before, three behind
    assert not y[:, :2].any()
    assert not y[:, 5:].any()


def test_option_a_holds_no_parameters_and_b_projects_where_the_shape_changes():
    a, b = models.create("resnet20"), models.create("resnet20_b")
    assert isinstance(a.layer2[0].downsample, PaddedShortcut)
    assert sum(p.numel() for p in b.parameters()) - sum(p.numel() for p in a.parameters()) == 2_752
    assert isinstance(b.layer1[0].downsample, nn.Identity)
    assert [tuple(p.shape) for p in b.layer2[0].downsample.parameters()] == [(32, 16, 1, 1), (32,), (32,)]


def test_plain_networks_lead_nothing_around_a_block():
    block = models.create("plain20").layer1[0].double().eval()
    x = torch.randn(2, 16, 8, 8, dtype=torch.float64)
    by_hand = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(x))))).relu()
    torch.testing.assert_close(block(x), by_hand)


def test_squeeze_and_excitation_by_hand():
    torch.manual_seed(0)
    module = SqueezeExcitation(8, 4, layers).double()
    x = torch.randn(2, 8, 3, 5, dtype=torch.float64)
    z = x.mean(dim=(2, 3))
    hidden = torch.relu(z @ module.fc1.weight.flatten(1).T + module.fc1.bias)
    s = torch.sigmoid(hidden @ module.fc2.weight.flatten(1).T + module.fc2.bias)
    torch.testing.assert_close(module(x), x * s[:, :, None, None])


def test_where_each_network_halves_the_image():
    """Shapes alone do not show it."""

    def strides(name: str) -> list[tuple[int, ...]]:
        with torch.device("meta"):
            block = models.create(name).layer2[0]
        return [block.conv1.stride, block.conv2.stride]

    assert strides("resnet50") == [(2, 2), (1, 1)]
    assert strides("resnet50_v1_5") == [(1, 1), (2, 2)]
    assert strides("resnext50_32x4d") == [(1, 1), (2, 2)]
    assert strides("se_resnet50") == [(2, 2), (1, 1)]


def test_senet154_projects_by_3x3_behind_the_first_stage():
    with torch.device("meta"):
        network = models.create("senet154")
    kernels = [getattr(network, f"layer{n}")[0].downsample[0].kernel_size for n in (1, 2, 3, 4)]
    assert kernels == [(1, 1), (3, 3), (3, 3), (3, 3)]
    block = network.layer1[0]
    assert (block.conv1.out_channels, block.conv2.out_channels, block.conv2.groups) == (128, 256, 64)


def test_weights_start_with_a_variance_of_two_by_kernel_and_planes_out():
    """He et al. 2015, equation 14: in a network that doubles its planes, fan-in is half of fan-out."""
    torch.manual_seed(0)
    convolution = models.create("resnet20").layer3[0].conv1
    assert convolution.weight.shape == (64, 32, 3, 3)
    assert convolution.weight.std().item() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.02)


def test_the_first_pool_of_the_caffe_release_is_unpadded_and_rounds_up():
    with torch.device("meta"):
        pools = [
            models.create(name).maxpool for name in ("resnet50", "resnet50_caffe", "resnet152_caffe", "se_resnet50")
        ]
    assert [(pool.padding, pool.ceil_mode) for pool in pools] == [(1, False), (0, True), (0, True), (0, True)]


@pytest.mark.parametrize("name", ["se_preact_resnet110", "se_preact_resnet164"])
def test_squeeze_and_excitation_stands_on_the_branch_of_a_pre_activation_block(name):
    """Hu et al. 2018, table 4: on the networks of He et al. 2016, before the sum and not on the way around."""
    torch.manual_seed(0)
    network, plain = models.create(name).double().eval(), models.create(name.removeprefix("se_")).double().eval()
    plain.load_state_dict({key: value for key, value in network.state_dict().items() if ".se." not in key})
    block, without = network.stages[1][0], plain.stages[1][0]
    x = torch.randn(2, block.norms[0].num_features, 8, 8, dtype=torch.float64)
    around = without.projection(torch.relu(without.norms[0](x)))
    torch.testing.assert_close(block(x), block.se(without(x) - around) + around)
    planes = around.shape[1]
    assert block.se.fc1.weight.shape == (planes // 16, planes, 1, 1)


def test_a_design_is_plain_data():
    assert Design((1,), (8,), bottleneck=False, stem="32px") == Design((1,), (8,), bottleneck=False, stem="32px")
    assert models.create("resnet20").design.depths == (3, 3, 3)


def test_pre_activation_leads_a_clean_way_around_all_blocks():
    """With every branch silenced the network is its stem and the projections."""
    network = models.create("preact_resnet110").double().eval()
    block = network.stages[0][1]
    for convolution in block.convolutions:
        nn.init.zeros_(convolution.weight)
    x = torch.randn(1, 16, 4, 4, dtype=torch.float64)
    assert torch.equal(block(x), x)
