"""The cases of `repronet gradcheck`: every layer in every way that its gradient could be wrong."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch.nn import functional as F

from repronet import functional as ours
from repronet.algorithms import CONVOLUTIONS
from repronet.analysis import naive
from repronet.analysis.gradient_cases_elementwise import activations, losses
from repronet.analysis.gradients import Case, Numbers


def all_cases(algorithm: str, seed: int) -> list[Case]:
    """Every case, layer by layer.

    Args:
        algorithm: of the layers that have a choice.
        seed: of the numbers.
    """
    draw = Numbers(seed)
    return [
        *_conv2d(draw, algorithm),
        *_linear(draw, algorithm),
        *_locally_connected(draw),
        *_max_pool2d(draw, algorithm),
        *_avg_pool2d(draw, algorithm),
        *_adaptive_pools(draw, algorithm),
        *_lp_pools(draw, algorithm),
        *_batch_norm(draw, algorithm),
        *_other_norms(draw),
        *activations(draw, algorithm),
        *losses(draw),
    ]


def _conv2d(draw: Numbers, algorithm: str) -> list[Case]:
    """Under "own" every algorithm of ours, since which of them is the fastest is not the question here."""
    names = CONVOLUTIONS if algorithm == "own" else (algorithm,)
    return [case for name in names for case in _conv2d_by(draw, name)]


def _conv2d_by(draw: Numbers, algorithm: str) -> list[Case]:
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


def _linear(draw: Numbers, algorithm: str) -> list[Case]:
    return [
        Case(
            "linear",
            label,
            partial(ours.linear, algorithm=algorithm),
            naive.linear,
            F.linear,
            {"input": draw.normal(*shape, 5), "weight": draw.normal(4, 5), "bias": draw.normal(4)},
        )
        for label, shape in {"a batch": (3,), "further dimensions": (2, 3)}.items()
    ]


def _max_pool2d(draw: Numbers, algorithm: str) -> list[Case]:
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
            lambda x, way=way: ours.max_pool2d(x, *way, return_indices=False, algorithm=algorithm),
            lambda x, way=way: naive.max_pool2d(x, *way),
            lambda x, way=way: F.max_pool2d(x, *way),
            {"input": draw.distinct(2, 2, 7, 6)},
        )
        for label, way in ways.items()
    ]


def _avg_pool2d(draw: Numbers, algorithm: str) -> list[Case]:
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
            lambda x, way=way: ours.avg_pool2d(x, *way[:3], count_include_pad=way[3], algorithm=algorithm),
            lambda x, way=way: naive.avg_pool2d(x, *way),
            lambda x, way=way: F.avg_pool2d(x, *way[:3], count_include_pad=way[3]),
            {"input": draw.normal(2, 2, 7, 6)},
        )
        for label, way in ways.items()
    ]


def _batch_norm(draw: Numbers, algorithm: str) -> list[Case]:
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


def _locally_connected(draw: Numbers) -> list[Case]:
    inputs = {"input": draw.normal(2, 2, 5, 4), "weight": draw.normal(3, 2, 3, 2, 3, 2), "bias": draw.normal(3, 3, 2)}
    ways = {"stride 2 and padding": ((2, 2), (1, 0))}
    return [
        Case(
            "locally_connected2d",
            label,
            lambda x, w, b, way=way: ours.locally_connected2d(x, w, b, *way),
            lambda x, w, b, way=way: naive.locally_connected2d(x, w, b, *way),
            None,
            inputs,
        )
        for label, way in ways.items()
    ]


def _adaptive_pools(draw: Numbers, algorithm: str) -> list[Case]:
    cases, maxima = [], []
    for label, size in {"whole maps": (1, 1), "even windows": (3, 2), "uneven windows": (4, 4)}.items():
        cases += [
            Case(
                "adaptive_avg_pool2d",
                label,
                lambda x, size=size: ours.adaptive_avg_pool2d(x, size, algorithm=algorithm),
                lambda x, size=size: naive.adaptive_pool2d(x, size, naive.mean),
                lambda x, size=size: F.adaptive_avg_pool2d(x, size),
                {"input": draw.normal(2, 2, 6, 6)},
            ),
        ]
        maxima += [
            Case(
                "adaptive_max_pool2d",
                label,
                lambda x, size=size: ours.adaptive_max_pool2d(x, size, algorithm=algorithm),
                lambda x, size=size: naive.adaptive_pool2d(x, size, naive.maximum),
                lambda x, size=size: F.adaptive_max_pool2d(x, size),
                {"input": draw.distinct(2, 2, 6, 6)},
            ),
        ]
    return [*cases, *maxima]


def _lp_pools(draw: Numbers, algorithm: str) -> list[Case]:
    cases = [
        Case(
            "lp_pool2d",
            f"p = {p}, overlapping",
            lambda x, p=p: ours.lp_pool2d(x, p, 3, 2, algorithm=algorithm),
            lambda x, p=p: naive.lp_pool2d(x, p, (3, 3), (2, 2)),
            lambda x, p=p: F.lp_pool2d(x, p, 3, 2),
            {"input": draw.positive(2, 2, 7, 6)},
        )
        for p in (1.5, 2.0, 3.0)
    ]
    features = partial(ours.feature_pool, pool_size=3)
    channels = {"input": draw.normal(2, 6, 2, 2)}
    return [*cases, Case("feature_pool", "3 channels", features, naive.feature_pool, None, channels)]


def _other_norms(draw: Numbers) -> list[Case]:
    maps, w, b = draw.normal(2, 4, 3, 2), draw.normal(4), draw.normal(4)
    cases = [
        Case(
            "layer_norm",
            "one dimension",
            lambda x, w, b: ours.layer_norm(x, (4,), w, b),
            lambda x, w, b: naive.standardized(x, (-1,)) * w + b,
            lambda x, w, b: F.layer_norm(x, (4,), w, b),
            {"input": draw.normal(3, 4), "weight": w, "bias": b},
        ),
        Case(
            "group_norm",
            "2 groups of 2",
            lambda x, w, b: ours.group_norm(x, 2, w, b),
            lambda x, w, b: naive.group_norm(x, 2, w, b),
            lambda x, w, b: F.group_norm(x, 2, w, b),
            {"input": maps, "weight": w, "bias": b},
        ),
        Case(
            "local_response_norm",
            "3 channels",
            lambda x: ours.local_response_norm(x, 3, 0.5, 0.75, 2.0),
            lambda x: naive.local_response_norm(x, 3, 0.5 / 3, 0.75, 2.0),
            lambda x: F.local_response_norm(x, 3, 0.5, 0.75, 2.0),
            {"input": maps},
        ),
        Case(
            "local_response_norm_krizhevsky",
            "5 channels",
            lambda x: ours.local_response_norm_krizhevsky(x, 5, 0.5),
            lambda x: naive.local_response_norm(x, 5, 0.5, 0.75, 2.0),
            None,
            {"input": maps},
        ),
    ]
    for name, function in (("subtractive_norm", naive.subtractive_norm), ("divisive_norm", naive.divisive_norm)):
        compute = partial(getattr(ours, name), size=3, deviation=1.0)
        cases.append(Case(name, "3×3", compute, function, None, {"input": draw.normal(2, 2, 4, 3)}))
    return cases
