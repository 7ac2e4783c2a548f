"""The Zeiler-Fergus projection against a case worked by hand, and the units that it begins with."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import repronet.layers
from repronet import models
from repronet.analysis.complexity import summarize
from repronet.visualization.deconvolution import patch, project, strongest
from repronet.visualization.layer_outputs import layer_names, probe, watched
from repronet.visualization.rectifiers import deconvolution_backward, guided_backward, probe_with


def by_hand(layers) -> nn.Sequential:
    """Two filters of 2×2, a rectifier, the largest of all four places, and 2·first − second, rectified."""
    network = nn.Sequential(
        layers.Conv2d(1, 2, 2, bias=False),
        layers.ReLU(inplace=True),
        layers.MaxPool2d(2),
        layers.Conv2d(2, 1, 1, bias=False),
        layers.ReLU(inplace=True),
    )
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[[[1.0, 0], [0, 1]]], [[[0, -1], [1, 0]]]]))
        network[3].weight.copy_(torch.tensor([2.0, -1]).reshape(1, 2, 1, 1))
    return network


# The first filter gives 4, 3, 0, 5 over this image, the second −2, 3, −1, −1: so the pool takes 5 from the lower right
# place and 3 from the upper right one, and the output is 2·5 − 3 = 7.
IMAGE = torch.tensor([[1.0, 2, 0], [0, 3, 1], [2, 0, 2]]).reshape(1, 1, 3, 3)


@pytest.mark.parametrize("layers", [repronet.layers, nn], ids=["custom", "torch"])
def test_a_projection_worked_by_hand(layers):
    network = by_hand(layers)
    [[found]] = strongest(probe(network), IMAGE, "3")
    assert (found.image, found.place, found.value) == (0, (0, 0), 7.0)
    # 7 goes back as 14 and −7. The switches put 14 on the lower right place of the first map and −7 on the upper right
    # of the second, where the rectifier takes it away. 14 lies then where the first filter has its ones.
    projected = project(probe_with(network, "deconvolution"), IMAGE, "3", 0, [found])
    assert projected.tolist() == [[[[0.0, 0, 0], [0, 14, 0], [0, 0, 14]]]]
    # The gradient keeps −7, since the unit was excited: it adds 7 at the upper right and −7 in the middle.
    gradient = project(probe_with(network, "gradient"), IMAGE, "3", 0, [found])
    assert gradient.tolist() == [[[[0.0, 0, 7], [0, 7, 0], [0, 0, 14]]]]


def test_what_goes_back_through_rectifiers():
    above, below = torch.tensor([2.0, -3, 4, -5]), torch.tensor([1.0, 1, -1, -1])
    assert deconvolution_backward(above).tolist() == [2, 0, 4, 0]
    assert guided_backward(above, below).tolist() == [2, 0, 0, 0]


def test_a_rectifier_that_stands_in_two_places_and_one_with_a_ceiling():
    twice = nn.ReLU()
    network = nn.Sequential(nn.Linear(1, 1), twice, nn.Linear(1, 1), twice, nn.ReLU6())
    for layer in (network[0], network[2]):
        nn.init.ones_(layer.weight), nn.init.zeros_(layer.bias)
    twin = probe_with(network, "guided")
    assert twin[1] is twin[3]
    assert type(twin[1]) is not nn.ReLU
    assert twin(torch.tensor([[9.0], [2.0], [-1.0]])).flatten().tolist() == [6, 2, 0]
    assert type(network[1]) is nn.ReLU


def test_a_contrast_normalisation_hands_on_what_comes_back():
    network = nn.Sequential(nn.Conv2d(3, 2, 1), repronet.layers.LocalResponseNorm(5))
    x = torch.randn(1, 3, 4, 4, requires_grad=True)
    above = torch.randn(1, 2, 4, 4)
    twin = probe_with(network, "deconvolution")
    torch.testing.assert_close(twin(x), network(x))
    back = torch.autograd.grad(twin(x), x, above)[0]
    torch.testing.assert_close(back, torch.autograd.grad(network[0](x), x, above)[0])


def test_the_strongest_units_are_the_strongest():
    network = probe(models.create("lenet5"))
    images = torch.randn(40, 1, 32, 32)
    found = strongest(network, images, "c3", count=5)
    with watched(network) as outputs:
        network(images)
    maps = outputs.of["c3"]
    assert len(found) == 16
    for unit, excitations in enumerate(found):
        peaks = maps[:, unit].amax(dim=(1, 2))
        assert [one.image for one in excitations] == peaks.topk(5).indices.tolist()
        for one in excitations:
            torch.testing.assert_close(torch.tensor(one.value), maps[(one.image, unit, *one.place)])


@pytest.mark.parametrize("name", ["lenet5", "resnet20", "nin"])
def test_a_unit_sees_its_patch_and_nothing_else(name):
    network = probe(models.create(name, layers="torch"))
    channels = 1 if name == "lenet5" else 3
    fields = {row.name: row.field for row in summarize(network, (channels, 32, 32)).rows}
    for layer in layer_names(network, torch.zeros(1, channels, 32, 32))[:3]:
        image = torch.randn(1, channels, 32, 32, requires_grad=True)
        with watched(network) as outputs:
            network(image)
        place = (outputs.of[layer].shape[2] - 1, outputs.of[layer].shape[3] // 3)
        unit = outputs.of[layer][(0, slice(None), *place)]
        moved = torch.autograd.grad(unit.sum() + 0 * image.sum(), image)[0].abs().sum(dim=(0, 1)) > 0
        rows, columns = patch(fields[layer], place, (32, 32))
        assert not torch.nonzero(moved).numel() or moved[rows, columns].sum() == moved.sum()
        assert moved[rows, columns].any()


def test_a_projection_stays_within_the_patch():
    network = models.create("lenet5")
    images = torch.randn(20, 1, 32, 32)
    found = strongest(probe(network), images, "c3", count=3)
    field = next(row.field for row in summarize(network, (1, 32, 32)).rows if row.name == "c3")
    projected = project(probe_with(network, "deconvolution"), images, "c3", 4, found[4])
    for one, back in zip(found[4], projected, strict=True):
        rows, columns = patch(field, one.place, (32, 32))
        assert torch.count_nonzero(back) == torch.count_nonzero(back[:, rows, columns]) > 0
