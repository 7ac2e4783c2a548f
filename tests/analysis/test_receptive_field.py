"""Receptive fields: against the formulas of the lectures, and against what the gradient really reaches."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from repronet import layers
from repronet.analysis.complexity import summarize
from repronet.analysis.receptive_field import Field
from repronet.functional.windows import Geometry, receptive_field

SIZE = 41


def field(*stack: nn.Module, size: int = SIZE, channels: int = 1) -> Field:
    """That of the network's output."""
    found = summarize(nn.Sequential(*stack), (channels, size, size)).blocks[-1].field
    assert found is not None
    return found


def conv(kernel, stride=1, padding=0, dilation=1, inputs=1, outputs=1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation)


@pytest.mark.parametrize(
    ("stack", "sees"),
    [
        pytest.param([conv(3), conv(3)], 5, id="two 3×3"),
        pytest.param([conv(3), conv(3), conv(3)], 7, id="three 3×3"),
        pytest.param([conv(3, stride=2), conv(3)], 7, id="3×3 stride 2, 3×3"),
        pytest.param([conv(7)], 7, id="7×7"),
        *(
            pytest.param([conv(k), nn.MaxPool2d(p)], p + k - 1, id=f"{p}×{p} pool, {k}×{k}")
            for p in (2, 3)
            for k in (3, 5)
        ),
        pytest.param([conv(3, dilation=2), conv(3, dilation=4)], 13, id="dilated"),
        pytest.param([nn.AvgPool2d(3, 2), nn.LPPool2d(2, 2), conv(3)], 13, id="average and L2 pools"),
    ],
)
def test_fields_of_the_lectures(stack, sees):
    assert field(*stack).size == (sees, sees)


def test_looking_forward_is_looking_back():
    """The field tracked from the image on against r(l−1) = s·r(l) + (f − s), from the last layer back."""
    geometries = [
        Geometry((5, 3), (2, 1), (2, 0)), Geometry((3, 3), (1, 1), (1, 1), (2, 1)), Geometry((2, 2), (2, 2)),
        Geometry((3, 5), (1, 2), (0, 2)),
    ]  # fmt: skip
    found = field(*(nn.Conv2d(1, 1, g.kernel, g.stride, g.padding, g.dilation) for g in geometries))
    assert found.size == receptive_field(geometries) == (23, 14)
    assert found.stride == (4, 4)
    assert found.padding == (2 * 1 + 1 * 2, 1 * 1 + 2 * 2)  # Σ padding · stride so far


class Residual(nn.Module):
    """y = F(x) + shortcut(x), in place."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None):
        super().__init__()
        self.body, self.shortcut = body, shortcut or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        y += self.shortcut(x)
        return torch.relu_(y)


class Branches(nn.Module):
    def __init__(self, *branches: nn.Module):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class Call(nn.Module):
    """A function in a network."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def borders(x: Tensor, channels: int) -> Tensor:
    """Further channels of zeros."""
    return nn.functional.pad(x, (0, 0, 0, 0, 0, channels))


STACKS = {
    "odd sides": [conv((1, 5), (1, 2), (0, 1)), conv((3, 1), 2, (2, 0))],
    "dilated, padded": [conv(3, 1, 3, 2), nn.AvgPool2d(3, 2, 1), conv(2)],
    "residual": [conv(3, padding=1), Residual(conv(3, padding=1)), Residual(conv(3, 2, 1), conv(1, 2))],
    "branches": [conv(3, 2), Branches(conv(1), conv(5, padding=2), nn.Sequential(conv(3, padding=1), conv(1)))],
    "rectangular branches": [Branches(conv((1, 3), padding=(0, 1)), conv((3, 1), padding=(1, 0)))],
    "border outside the layer": [conv(3), nn.ZeroPad2d((0, 2, 1, 0)), conv(3, 2), nn.ReflectionPad2d(1), conv(3)],
    "every second unit": [conv(3, padding=1), Call(lambda x: x[:, :, ::2, 1::2]), conv(3, padding=1)],
    "option A": [Residual(conv(3, 2, 1, outputs=2), Call(lambda x: borders(x[:, :, ::2, ::2], channels=1)))],
    "functions": [Call(lambda x: nn.functional.avg_pool2d(x.relu() * 2, 3, 1, 1)), conv(3, 1, 1)],
    "locally connected": [conv(3, 2, 1), layers.LocallyConnected2d(1, 1, 21, (3, 2), 2, 1)],
    "response": [conv(3, outputs=4), nn.LocalResponseNorm(3), layers.KrizhevskyResponseNorm(3), layers.Maxout(2)],
    "adaptive": [conv(2), nn.AdaptiveAvgPool2d(10), conv(2)],
    "layers of ours": [layers.Conv2d(1, 2, 3), layers.ReLU(), layers.AvgPool2d(3, 2, 1), layers.FeaturePool(2)],
}  # fmt: skip


def reached(network: nn.Module, row: int, column: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last line and column of the image that have a gradient from the output's unit (row, column)."""
    torch.manual_seed(0)
    x = torch.rand(1, 1, SIZE, SIZE, dtype=torch.float64).add_(0.5).requires_grad_()
    network.double()(x)[0, :, row, column].sum().backward()
    assert x.grad is not None
    hit = x.grad[0, 0].ne(0).nonzero()
    (top, left), (bottom, right) = hit.amin(0).tolist(), hit.amax(0).tolist()
    return (top, left), (bottom, right)


@pytest.mark.parametrize("name", STACKS)
def test_a_unit_reaches_its_field_and_no_further(name):
    network = nn.Sequential(*STACKS[name])
    with torch.no_grad():
        for parameter in network.parameters():  # positive, so that nothing cancels and no ReLU is shut
            parameter.uniform_(0.1, 1)
    units = network.double()(torch.ones(1, 1, SIZE, SIZE, dtype=torch.float64)).shape[2:]
    found = field(*network)
    for unit in [(0, 0), (units[0] // 2, units[1] // 2), (units[0] // 2, 1)]:
        first, last = reached(network, *unit)
        for axis in (0, 1):
            start = unit[axis] * found.stride[axis] - found.padding[axis]
            end = start + found.size[axis] - 1
            assert (first[axis], last[axis]) == (max(start, 0), min(end, SIZE - 1)), (unit, axis, found)


@pytest.mark.parametrize(
    "gathered",
    [nn.Flatten(), nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1), Call(lambda x: x.mean((2, 3))),
     Call(lambda x: x * x.mean((2, 3), keepdim=True)), Call(lambda x: x.flatten(2) @ x.flatten(2).mT)],
    ids=["flatten", "average", "maximum", "mean", "gate", "products of units"],
)  # fmt: skip
def test_what_gathers_the_map_sees_the_whole_image(gathered):
    found = field(conv(3), gathered, nn.ReLU())
    assert found.whole
    assert found.size == (SIZE, SIZE)
    assert found.padding == (0, 0)


def test_contrast_is_taken_from_a_neighbourhood_of_a_neighbourhood():
    assert field(layers.LocalContrastNorm(3), conv(3)) == Field((7, 7), (1, 1), (2, 2))


def test_response_within_maps_is_taken_from_a_neighbourhood():
    assert field(layers.ResponseNormWithinMaps(3), conv(3)) == Field((5, 5), (1, 1), (1, 1))


def test_uneven_adaptive_windows_count_as_the_longest():
    assert field(nn.AdaptiveAvgPool2d(9)) == Field((6, 6), (4, 4), (0, 0))  # 41 in nine: from ⌊41r/9⌋ to ⌈41(r+1)/9⌉


def test_a_gated_map_keeps_its_stride():
    gate = Call(lambda x: nn.functional.max_pool2d(x, 2).mean((2, 3), keepdim=True) * x)
    found = field(conv(3, 2), gate, Call(lambda x: x[:, :, 2:, 1:]), conv(3, 2, 1))
    assert found == Field((SIZE, SIZE), (4, 4), (0, 0), whole=True)


def test_a_map_of_one_unit_may_be_flattened():
    found = field(conv(5), nn.Flatten(), nn.Linear(1, 1), size=5)
    assert (found.size, found.whole) == ((5, 5), False)


@pytest.mark.parametrize("larger", [nn.Upsample(scale_factor=2), nn.ConvTranspose2d(1, 1, 2, 2)])
def test_an_upsampled_map_is_not_followed_and_not_guessed(larger):
    rows = summarize(nn.Sequential(conv(3), larger, conv(3)), (1, 9, 9)).rows
    assert [row.field is None for row in rows] == [False, True, True]


def test_sequences_and_vectors():
    rows = summarize(nn.Sequential(nn.Conv1d(2, 3, 3, stride=2), nn.MaxPool1d(3), nn.Flatten()), (2, 20)).rows
    assert [row.field.size for row in rows] == [(3,), (7,), (20,)]
    vector = summarize(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), (4,)).rows[-1]
    assert vector.field.whole
    assert vector.output == (3,)
