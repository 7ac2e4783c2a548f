"""The cases of `repronet gradcheck` for activations and losses."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from repronet import functional as ours
from repronet.analysis import naive
from repronet.analysis.gradients import Case, Numbers, Operator

# name: ours, the formula, torch's; each a function of x, away from 0
_ACTIVATIONS: dict[str, tuple[Operator, Operator, Operator | None]] = {
    "leaky_relu": (
        lambda x: ours.leaky_relu(x, 0.1),
        lambda x: naive.split(x, lambda v: 0.1 * v),
        lambda x: F.leaky_relu(x, 0.1),
    ),
    "relu6": (ours.relu6, lambda x: naive.split(x, lambda v: 0 * v), F.relu6),
    "elu": (ours.elu, lambda x: naive.split(x, lambda v: v.exp() - 1), F.elu),
    "sigmoid": (ours.sigmoid, lambda x: 1 / (1 + (-x).exp()), torch.sigmoid),
    "tanh": (ours.tanh, lambda x: 1 - 2 / (1 + (2 * x).exp()), torch.tanh),
    "scaled_tanh": (ours.scaled_tanh, lambda x: 1.7159 * (1 - 2 / (1 + (4 / 3 * x).exp())), None),
    # Not against torch's, whose gradient in float64 has 1/6 rounded to float32.
    "hardsigmoid": (ours.hardsigmoid, lambda x: (x + 3).clamp(0, 6) / 6, None),
    "hardswish": (ours.hardswish, lambda x: x * (x + 3).clamp(0, 6) / 6, F.hardswish),
    "silu": (ours.silu, lambda x: x / (1 + (-x).exp()), F.silu),
    "softmax": (
        lambda x: ours.softmax(x, 1),
        lambda x: x.exp() / x.exp().sum(1, keepdim=True),
        lambda x: torch.softmax(x, 1),
    ),
    "log_softmax": (
        lambda x: ours.log_softmax(x, 1),
        lambda x: x - x.exp().sum(1, keepdim=True).log(),
        lambda x: torch.log_softmax(x, 1),
    ),
}


def activations(draw: Numbers, algorithm: str) -> list[Case]:
    """Elementwise functions, softmax and maxout."""
    return [
        Case(
            "relu",
            "away from 0",
            lambda x: ours.relu(x, algorithm=algorithm),
            lambda x: naive.split(x, lambda v: 0 * v),
            F.relu,
            {"input": draw.away_from_zero(3, 4)},
        ),
        *(
            Case(name, "away from 0", *functions, {"input": draw.away_from_zero(3, 4)})
            for name, functions in _ACTIVATIONS.items()
        ),
        Case(
            "prelu",
            "a slope a channel",
            ours.prelu,
            lambda x, w: naive.split(x, lambda v: w[:, None] * v),
            F.prelu,
            {"input": draw.away_from_zero(2, 3, 2), "weight": draw.normal(3)},
        ),
        Case(
            "maxout",
            "2 of 6 channels",
            lambda x: ours.maxout(x, 2),
            lambda x: torch.stack([x[:, i : i + 2].amax(1) for i in (0, 2, 4)], 1),
            None,
            {"input": draw.distinct(3, 6)},
        ),
    ]


def losses(draw: Numbers) -> list[Case]:
    """Each loss by its inputs, and by its targets where these have a gradient."""
    return [*_label_losses(draw), *_share_losses(draw)]


def _label_losses(draw: Numbers) -> list[Case]:
    x, labels, weight = draw.normal(4, 3), torch.tensor([0, 2, 1, 2]), draw.positive(3)
    return [
        Case(
            "cross_entropy",
            "labels, class weights",
            lambda x: ours.cross_entropy(x, labels, weight),
            lambda x: naive.cross_entropy(x, labels, weight),
            lambda x: F.cross_entropy(x, labels, weight),
            {"input": x},
        ),
        Case(
            "cross_entropy",
            "labels, smoothed",
            lambda x: ours.cross_entropy(x, labels, label_smoothing=0.1),
            lambda x: naive.soft_cross_entropy(x, 0.9 * F.one_hot(labels, 3).double() + 0.1 / 3),
            lambda x: F.cross_entropy(x, labels, label_smoothing=0.1),
            {"input": x},
        ),
        Case(
            "nll_loss",
            "class weights",
            lambda x: ours.nll_loss(x, labels, weight),
            lambda x: -(x[range(4), labels] * weight[labels]).sum() / weight[labels].sum(),
            lambda x: F.nll_loss(x, labels, weight),
            {"input": x},
        ),
        Case(
            "multiclass_hinge",
            "squared",
            lambda x: ours.multiclass_hinge(x, labels, p=2),
            lambda x: naive.multiclass_hinge(x, labels, 2),
            lambda x: F.multi_margin_loss(x, labels, p=2),
            {"input": x},
        ),
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
    x, shares, weight = draw.normal(4, 3), draw.positive(4, 3), draw.positive(3)
    return [
        Case(
            "cross_entropy",
            "shares of classes",
            ours.cross_entropy,
            naive.soft_cross_entropy,
            F.cross_entropy,
            {"input": x, "target": shares},
        ),
        Case(
            "binary_cross_entropy_with_logits",
            "a weight of positives",
            lambda x, t: ours.binary_cross_entropy_with_logits(x, t, pos_weight=weight),
            lambda x, t: naive.binary_cross_entropy(x, t, weight),
            lambda x, t: F.binary_cross_entropy_with_logits(x, t, pos_weight=weight),
            {"input": x, "target": shares},
        ),
        Case(
            "mse_loss",
            "mean",
            ours.mse_loss,
            lambda x, t: ((x - t) ** 2).mean(),
            F.mse_loss,
            {"input": x, "target": shares},
        ),
    ]
