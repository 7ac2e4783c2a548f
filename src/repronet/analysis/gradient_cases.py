"""The cases of `repronet gradcheck`: every layer in every way that its gradient could be wrong."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from repronet import functional as ours
from repronet.algorithms import CONVOLUTIONS
from repronet.analysis import naive
from repronet.analysis.gradients import Case


def all_cases(algorithm: str, seed: int) -> list[Case]:
    """Every case, layer by layer.

    Args:
        algorithm: of the layers that have a choice.
        seed: of the numbers.
    """
    draw = _Numbers(seed)
    return [
        *_conv2d(draw, algorithm),
        *_linear(draw),
        *_max_pool2d(draw, algorithm),
        *_avg_pool2d(draw),
        *_batch_norm(draw, algorithm),
        *_activations(draw, algorithm),
    ]


class _Numbers:
    """Draws the inputs."""

    def __init__(self, seed: int):
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, dtype=torch.float64, generator=self.generator)

    def distinct(self, *shape: int) -> Tensor:
        """No two numbers near each other, so that a small step changes no maximum."""
        count = torch.Size(shape).numel()
        return torch.randperm(count, generator=self.generator).double().reshape(shape) / count - 0.5

    def away_from_zero(self, *shape: int) -> Tensor:
        """So that a small step crosses no kink at 0."""
        numbers = self.normal(*shape)
        return numbers + 0.1 * numbers.sign()

    def positive(self, *shape: int) -> Tensor:
        return self.normal(*shape).abs() + 0.1


def _conv2d(draw: _Numbers, algorithm: str) -> list[Case]:
    """Under "own" every algorithm of ours, since which of them is the fastest is not the question here."""
    names = CONVOLUTIONS if algorithm == "own" else (algorithm,)
    return [case for name in names for case in _conv2d_by(draw, name)]


def _conv2d_by(draw: _Numbers, algorithm: str) -> list[Case]:
    ways: dict[str, dict[str, Any]] = {
        "plain": {},
        "stride 2": {"stride": (2, 2)},
        "stride leaves a rest": {"stride": (3, 2), "padding": (1, 2)},
        "padding": {"padding": (1, 2)},
        "dilation": {"dilation": (2, 1), "padding": (2, 1)},
        "stride and dilation": {"stride": (2, 2), "dilation": (2, 2), "padding": (2, 2)},
        "groups": {"groups": 2, "padding": (1, 1)},
        "depthwise": {"groups": 4, "padding": (1, 1)},
    }
    if algorithm == "winograd":  # all that it is written for
        ways = {label: way for label, way in ways.items() if not {"stride", "dilation"} & way.keys()}
    cases = []
    for label, way in ways.items():
        inputs = {
            "input": draw.normal(2, 4, 6, 5),
            "weight": draw.normal(4, 4 // way.get("groups", 1), 3, 3),
            "bias": draw.normal(4),
        }
        compute = partial(ours.conv2d, algorithm=algorithm, **way)
        label = f"{algorithm}, {label}"
        cases.append(Case("conv2d", label, compute, partial(naive.conv2d, **way), partial(F.conv2d, **way), inputs))
    return cases


def _linear(draw: _Numbers) -> list[Case]:
    return [
        Case(
            "linear",
            label,
            ours.linear,
            naive.linear,
            F.linear,
            {"input": draw.normal(*shape, 5), "weight": draw.normal(4, 5), "bias": draw.normal(4)},
        )
        for label, shape in {"a batch": (3,), "further dimensions": (2, 3)}.items()
    ]


def _max_pool2d(draw: _Numbers, algorithm: str) -> list[Case]:
    ways = {
        "side by side": ((2, 2), (2, 2), (0, 0), (1, 1)),
        "overlapping": ((3, 3), (2, 2), (0, 0), (1, 1)),
        "padding": ((3, 2), (2, 1), (1, 1), (1, 1)),
        "dilation": ((2, 2), (1, 1), (0, 0), (2, 3)),
    }
    return [
        Case(
            "max_pool2d",
            label,
            lambda x, way=way: ours.max_pool2d(x, *way, algorithm=algorithm),
            lambda x, way=way: naive.max_pool2d(x, *way),
            lambda x, way=way: F.max_pool2d(x, *way),
            {"input": draw.distinct(2, 2, 7, 6)},
        )
        for label, way in ways.items()
    ]


def _avg_pool2d(draw: _Numbers) -> list[Case]:
    ways = {
        "side by side": ((2, 2), (2, 2), (0, 0), True),
        "overlapping": ((3, 3), (2, 2), (0, 0), True),
        "padding counted": ((3, 2), (2, 1), (1, 1), True),
        "padding not counted": ((3, 2), (2, 1), (1, 1), False),
    }
    return [
        Case(
            "avg_pool2d",
            label,
            lambda x, way=way: ours.avg_pool2d(x, *way[:3], count_include_pad=way[3]),
            lambda x, way=way: naive.avg_pool2d(x, *way),
            lambda x, way=way: F.avg_pool2d(x, *way[:3], count_include_pad=way[3]),
            {"input": draw.normal(2, 2, 7, 6)},
        )
        for label, way in ways.items()
    ]


def _batch_norm(draw: _Numbers, algorithm: str) -> list[Case]:
    cases = []
    for label, shape in {"a batch of vectors": (5, 3), "a batch of maps": (2, 3, 4, 3)}.items():
        cases.append(
            Case(
                "batch_norm",
                label,
                lambda x, w, b: ours.batch_norm(x, None, None, w, b, training=True, algorithm=algorithm),
                naive.batch_norm,
                lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
                {"input": draw.normal(*shape), "weight": draw.normal(3), "bias": draw.normal(3)},
            )
        )
    return cases


def _activations(draw: _Numbers, algorithm: str) -> list[Case]:
    return [
        Case(
            "relu",
            "away from 0",
            lambda x: ours.relu(x, algorithm=algorithm),
            lambda x: x * (x > 0),
            F.relu,
            {"input": draw.away_from_zero(3, 4)},
        ),
        Case("tanh", "", ours.tanh, lambda x: 1 - 2 / (1 + (2 * x).exp()), torch.tanh, {"input": draw.normal(3, 4)}),
    ]
