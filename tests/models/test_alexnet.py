"""AlexNet, ZFNet and VGG where a count does not show what they are."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from repronet import models
from repronet.analysis.complexity import summarize
from repronet.models.alexnet import response_norm
from repronet.models.four_layer import ALPHA


def test_response_normalisation_is_the_papers():
    """b = a/(2 + 1e-4·Σ a²)^0.75 over five planes, where torch would divide α by five."""
    torch.manual_seed(0)
    a = 30 * torch.randn(1, 7, 2, 2, dtype=torch.float64)
    padded = nn.functional.pad(a.square(), (0, 0, 0, 0, 2, 2))
    sums = sum(padded[:, i : i + 7] for i in range(5))
    torch.testing.assert_close(response_norm(nn)(a), a / (2 + 1e-4 * sums) ** 0.75)


@pytest.mark.parametrize("name", ["alexnet", "zfnet", "vgg11_lrn", "googlenet", "four_layer"])
def test_alpha_of_the_sum_or_of_the_mean_by_name(name):
    """torch's module divides α by the five maps itself."""

    def alphas(normalization: str | None) -> list[float]:
        with torch.device("meta"):
            network = models.create(name, layers="torch", normalization=normalization)
        return [module.alpha for module in network.modules() if isinstance(module, nn.LocalResponseNorm)]

    plain = 5e-4 if name != "four_layer" else 5 * ALPHA
    assert len(alphas(None)) == (1 if name == "vgg11_lrn" else 2)
    assert alphas(None) == alphas("local_response") == [pytest.approx(plain)] * len(alphas(None))
    assert alphas("local_response_mean") == [pytest.approx(plain / 5)] * len(alphas(None))


@pytest.mark.parametrize("name", ["alexnet", "zfnet"])
def test_dropout_stands_on_the_outputs_of_the_first_two_fully_connected_layers(name):
    """Section 4.2. torchvision's network, alexnet_owt here, drops their inputs."""
    with torch.device("meta"):
        network = models.create(name, layers="torch").train()
        order: list[str] = []
        for key in ("fc6", "dropout", "fc7", "fc8"):
            network.get_submodule(key).register_forward_hook(lambda module, given, y, key=key: order.append(key))
        network(torch.zeros(2, 3, network.input_size, network.input_size))
    assert order == ["fc6", "dropout", "fc7", "dropout", "fc8"]


def test_alexnets_two_towers_and_their_biases():
    network = models.create("alexnet")
    groups = [getattr(network, f"conv{n}").groups for n in range(1, 6)]
    assert groups == [1, 2, 1, 2, 2]
    ones = [name for name, p in network.named_parameters() if name.endswith("bias") and p.mean() == 1]
    assert ones == ["conv2.bias", "conv4.bias", "conv5.bias", "fc6.bias", "fc7.bias"]
    assert abs(network.fc7.weight.std().item() - 0.01) < 1e-4


def test_alexnets_sizes_of_the_lecture():
    with torch.device("meta"):
        summary = summarize(models.create("alexnet", layers="torch"), (3, 227, 227))
    rows = {row.name: row for row in summary.rows}
    assert rows["conv1"].neurons == 290_400
    assert rows["conv1"].connections == 105_705_600
    assert rows["conv1"].parameters == 34_944
    assert round(summary.neurons, -4) == 660_000  # "about 650,000"
    convolutions = [row for name, row in rows.items() if name.startswith("conv")]
    assert sum(row.parameters for row in convolutions) / summary.parameters < 0.05
    assert sum(row.macs for row in convolutions) / summary.macs > 0.9


def test_vgg_c_ends_its_late_stages_with_1x1():
    with torch.device("meta"):
        kernels = [m.kernel_size[0] for m in models.create("vgg16_c").modules() if isinstance(m, nn.Conv2d)]
    assert kernels == [3, 3, 3, 3, 3, 3, 1, 3, 3, 1, 3, 3, 1]


def test_vgg_a_lrn_normalises_once():
    with torch.device("meta"):
        network = models.create("vgg11_lrn", layers="torch")
    assert [name for name, m in network.named_modules() if isinstance(m, nn.LocalResponseNorm)] == ["features.2"]
