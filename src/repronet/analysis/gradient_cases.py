"""The cases of `repronet gradcheck`: every layer, with every kind of setting that could make its gradient wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from repronet import functional as ours
from repronet.algorithms import CONVOLUTIONS
from repronet.analysis import naive
from repronet.analysis.gradients import Case, Numbers, Operator


def all_cases(algorithm: str, seed: int) -> list[Case]:
    """Every case, layer by layer.

    Args:
        algorithm: of the layers that have a choice of algorithms.
        seed: of the random inputs.
    """
    draw = Numbers(seed)
    # "own" stands for all our convolution algorithms, since here it does not matter which one is fastest.
    convolutions = CONVOLUTIONS if algorithm == "own" else (algorithm,)
    return [
        *_convolutions(draw, convolutions),
        *_linear_and_local(draw, algorithm),
        *_pools(draw, algorithm),
        *_norms(draw, algorithm),
        *_activations(draw, algorithm),
        *_share_losses(draw),
        *_label_losses(draw),
    ]


def _case(
    layer: str,
    label: str,
    formula: Operator,
    inputs: dict[str, Tensor],
    settings: Mapping[str, Any],
    algorithm: str | None = None,
    theirs: str | None = "",
) -> Case:
    """A case whose settings have the same names in our operator, the formula and torch's operator.

    Args:
        algorithm: None for a layer without a choice of algorithms.
        theirs: the name of torch's operator; "" for the same name, None if torch has no such operator.
    """
    vendor = None if theirs is None else partial(getattr(F, theirs or layer), **settings)
    compute: Operator = partial(getattr(ours, layer), **settings)
    compute = compute if algorithm is None else partial(compute, algorithm=algorithm)
    return Case(layer, label, compute, partial(formula, **settings), vendor, inputs)


def _convolutions(draw: Numbers, algorithms: Sequence[str]) -> list[Case]:
    """Convolution and transposed convolution, with filters of the same shapes: 4 channels to 4."""
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
    rest = {**ways["stride leaves a rest"], "output_padding": (2, 1)}
    beyond = {"dilation": (3, 2), "padding": (2, 1), "output_padding": (2, 1)}
    back = {**ways, "stride leaves a rest": rest, "large output padding": beyond}
    cases = []
    for layer, formula, size, ways_ in (
        ("conv2d", naive.conv2d, (6, 5), ways),
        ("conv_transpose2d", naive.conv_transpose2d, (3, 4), back),
    ):
        for algorithm, (label, way) in product(algorithms, ways_.items()):
            if algorithm == "winograd" and {"stride", "dilation"} & way.keys():  # which it does not support
                continue
            inputs = {
                "input": draw.normal(2, 4, *size),
                "weight": draw.normal(4, 4 // way.get("groups", 1), 3, 3),
                "bias": draw.normal(4),
            }
            cases.append(_case(layer, f"{algorithm}, {label}", formula, inputs, way, algorithm))
    return cases


def _linear_and_local(draw: Numbers, algorithm: str) -> list[Case]:
    cases = []
    for label, shape in {"a batch": (3,), "further dimensions": (2, 3)}.items():
        inputs = {"input": draw.normal(*shape, 5), "weight": draw.normal(4, 5), "bias": draw.normal(4)}
        cases.append(_case("linear", label, naive.linear, inputs, {}, algorithm))
    inputs = {"input": draw.normal(2, 2, 5, 4), "weight": draw.normal(3, 2, 3, 2, 3, 2), "bias": draw.normal(3, 3, 2)}
    name, way = "locally_connected2d", {"stride": (2, 2), "padding": (1, 0)}
    return [*cases, _case(name, "stride 2 and padding", naive.locally_connected2d, inputs, way, theirs=None)]


def _pools(draw: Numbers, algorithm: str) -> list[Case]:
    side_by_side, overlapping = {"kernel_size": (2, 2), "stride": (2, 2)}, {"kernel_size": (3, 3), "stride": (2, 2)}
    padded = {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 1)}
    maxima = {
        "side by side": side_by_side,
        "overlapping": overlapping,
        "padding": padded,
        "dilation": {"kernel_size": (2, 2), "stride": (1, 1), "dilation": (2, 3)},
    }
    means = {
        "side by side": side_by_side,
        "overlapping": overlapping,
        "padding counted": padded,
        "padding not counted": {**padded, "count_include_pad": False},
    }
    sizes = {"whole maps": (1, 1), "even windows": (3, 2), "uneven windows": (4, 4)}

    def case(layer: str, label: str, formula: Operator, input: Tensor, way: Mapping[str, Any]) -> Case:
        return _case(layer, label, formula, {"input": input}, way, algorithm)

    cases = [
        *(case("max_pool2d", label, naive.max_pool2d, draw.distinct(2, 2, 7, 6), way) for label, way in maxima.items()),
        *(case("avg_pool2d", label, naive.avg_pool2d, draw.normal(2, 2, 7, 6), way) for label, way in means.items()),
    ]
    adaptive: tuple[tuple[str, Operator, Callable[..., Tensor]], ...] = (
        ("adaptive_avg_pool2d", partial(naive.adaptive_pool2d, pool=torch.mean), draw.normal),
        ("adaptive_max_pool2d", partial(naive.adaptive_pool2d, pool=torch.amax), draw.distinct),
    )
    for layer, formula, numbers in adaptive:
        cases += [case(layer, label, formula, numbers(2, 2, 6, 6), {"output_size": s}) for label, s in sizes.items()]
    for p in (1.5, 2.0, 3.0):
        way = {"norm_type": p, **overlapping}
        cases.append(case("lp_pool2d", f"p = {p}, overlapping", naive.lp_pool2d, draw.positive(2, 2, 7, 6), way))
    channels, way = {"input": draw.normal(2, 6, 2, 2)}, {"pool_size": 3}
    return [*cases, _case("feature_pool", "3 channels", naive.feature_pool, channels, way, theirs=None)]


def _norms(draw: Numbers, algorithm: str) -> list[Case]:
    cases = [
        Case(
            "batch_norm",
            label,
            lambda x, w, b: ours.batch_norm(x, None, None, w, b, training=True, algorithm=algorithm),
            naive.batch_norm,
            lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
            {"input": draw.normal(*shape), "weight": draw.normal(3), "bias": draw.normal(3)},
        )
        for label, shape in {"a batch of vectors": (5, 3), "a batch of maps": (2, 3, 4, 3)}.items()
    ]
    maps, w, b = draw.normal(2, 4, 3, 2), draw.normal(4), draw.normal(4)
    cases += [
        Case(
            "batch_norm_relu",
            "with a residual",
            lambda x, w, b, r: ours.batch_norm_relu(x, None, None, w, b, r, training=True, algorithm=algorithm),
            lambda x, w, b, r: (naive.batch_norm(x, w, b) + r).clamp(min=0),
            lambda x, w, b, r: F.relu(F.batch_norm(x, None, None, w, b, training=True) + r),
            {"input": maps, "weight": w, "bias": b, "residual": draw.normal(2, 4, 3, 2)},
        ),
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
        Case(
            "local_response_norm_within_maps",
            "3×3",
            lambda x: ours.local_response_norm_within_maps(x, 3, 0.5),
            lambda x: naive.local_response_norm_within_maps(x, 3, 0.5, 0.75, 1.0),
            None,
            {"input": maps},
        ),
    ]
    for name, function in (("subtractive_norm", naive.subtractive_norm), ("divisive_norm", naive.divisive_norm)):
        compute = partial(getattr(ours, name), size=3, deviation=1.0)
        cases.append(Case(name, "3×3", compute, function, None, {"input": draw.normal(2, 2, 4, 3)}))
    return cases


# name: the formula for x away from 0, the settings, and whether torch's operator is compared.
_ACTIVATIONS: dict[str, tuple[Operator, dict[str, Any], bool]] = {
    "leaky_relu": (
        lambda x, negative_slope: naive.split(x, lambda v: negative_slope * v),
        {"negative_slope": 0.1},
        True,
    ),
    "relu6": (lambda x: naive.split(x, lambda v: 0 * v), {}, True),
    "elu": (lambda x: naive.split(x, lambda v: v.exp() - 1), {}, True),
    "sigmoid": (lambda x: 1 / (1 + (-x).exp()), {}, True),
    "tanh": (lambda x: 1 - 2 / (1 + (2 * x).exp()), {}, True),
    "scaled_tanh": (lambda x: 1.7159 * (1 - 2 / (1 + (4 / 3 * x).exp())), {}, False),
    # Not compared with torch's operator, whose float64 gradient uses 1/6 rounded to float32.
    "hardsigmoid": (lambda x: (x + 3).clamp(0, 6) / 6, {}, False),
    "hardswish": (lambda x: x * (x + 3).clamp(0, 6) / 6, {}, True),
    "silu": (lambda x: x / (1 + (-x).exp()), {}, True),
    "softmax": (lambda x, dim: x.exp() / x.exp().sum(dim, keepdim=True), {"dim": 1}, True),
    "log_softmax": (lambda x, dim: x - x.exp().sum(dim, keepdim=True).log(), {"dim": 1}, True),
}


def _activations(draw: Numbers, algorithm: str) -> list[Case]:
    """Elementwise functions, softmax and maxout."""
    label, inputs = "away from 0", {"input": draw.away_from_zero(3, 4)}
    cases = [_case("relu", label, lambda x: naive.split(x, lambda v: 0 * v), inputs, {}, algorithm)]
    for name, (formula, settings, compared) in _ACTIVATIONS.items():
        inputs = {"input": draw.away_from_zero(3, 4)}
        cases.append(_case(name, label, formula, inputs, settings, theirs="" if compared else None))
    inputs = {"input": draw.away_from_zero(2, 3, 2), "weight": draw.normal(3)}
    cases.append(
        _case("prelu", "a slope per channel", lambda x, w: naive.split(x, lambda v: w[:, None] * v), inputs, {})
    )

    def maxout(x: Tensor, pool_size: int) -> Tensor:
        return torch.stack([part.amax(1) for part in x.split(pool_size, 1)], 1)

    channels = {"input": draw.distinct(3, 6)}
    return [*cases, _case("maxout", "2 of 6 channels", maxout, channels, {"pool_size": 2}, theirs=None)]


def _label_losses(draw: Numbers) -> list[Case]:
    x, labels, weight = draw.normal(4, 3), torch.tensor([0, 2, 1, 2]), draw.positive(3)
    inputs, weighted = {"input": x}, {"target": labels, "weight": weight}

    def smoothed(x: Tensor, target: Tensor, label_smoothing: float) -> Tensor:
        shares = (1 - label_smoothing) * F.one_hot(target, 3).double() + label_smoothing / 3
        return naive.soft_cross_entropy(x, shares)

    def likelihood(x: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        return -(x[range(4), target] * weight[target]).sum() / weight[target].sum()

    smoothing, squared = {"target": labels, "label_smoothing": 0.1}, {"target": labels, "p": 2}
    return [
        _case("cross_entropy", "labels, class weights", naive.cross_entropy, inputs, weighted),
        _case("cross_entropy", "labels, smoothed", smoothed, inputs, smoothing),
        _case("nll_loss", "class weights", likelihood, inputs, weighted),
        _case("multiclass_hinge", "squared", naive.multiclass_hinge, inputs, squared, theirs="multi_margin_loss"),
        Case(
            "rbf_loss",
            "LeNet-5's",
            lambda x: ours.rbf_loss(x, labels, 2.0),
            lambda x: naive.rbf_loss(x, labels, 2.0),
            None,
            {"input": -draw.positive(4, 3)},
        ),
    ]


def _share_losses(draw: Numbers) -> list[Case]:
    """Losses whose targets have a gradient as well."""
    inputs, weight = {"input": draw.normal(4, 3), "target": draw.positive(4, 3)}, {"pos_weight": draw.positive(3)}
    binary = "binary_cross_entropy_with_logits"
    return [
        _case("mse_loss", "mean", lambda x, t: ((x - t) ** 2).mean(), inputs, {}),
        _case(binary, "a weight of positives", naive.binary_cross_entropy, inputs, weight),
        _case("cross_entropy", "shares of classes", naive.soft_cross_entropy, inputs, {}),
    ]
