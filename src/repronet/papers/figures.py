"""Figures of papers redrawn from records: their runs and curves, and the values that the paper prints. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from repronet.papers.records import Citation

Curve = Literal["train_error", "val_error"]


@dataclass(frozen=True)
class Redrawn:
    """A figure of a paper."""

    title: str  #: what it shows
    citation: Citation | None  #: its place in the paper; None if it is from no paper
    experiments: tuple[str, ...]  #: the experiments whose records have its curves, in the order of its legend
    #: the curves per experiment: training error dashed; validation error, in place of the paper's test error, solid
    curves: tuple[Curve, ...] = ("train_error", "val_error")
    #: other errors that the paper prints for the figure, each a label and a percentage; those of the experiments
    #: are in ``repronet.papers.experiments``
    levels: tuple[tuple[str, float], ...] = ()
    by: Literal["step", "epoch"] = "step"  #: the horizontal axis of the curves
    note: str = ""  #: the differences from the paper's figure


FIGURES: dict[str, Redrawn] = {
    "he_6": Redrawn(
        "Plain and residual networks on CIFAR-10",
        Citation("arXiv:1512.03385v1", "figure 6"),
        (
            *(f"plain{depth}_cifar10" for depth in (20, 32, 44, 56)),
            *(f"resnet{depth}_cifar10" for depth in (20, 32, 44, 56, 110)),
        ),
        note="validation error of 5,000 training images for the paper's test error",
    ),
    "krizhevsky_1": Redrawn(
        "A four-layer network with ReLU and with tanh",
        Citation("NIPS 2012", "figure 1"),
        ("four_layer_relu_cifar10", "four_layer_tanh_cifar10"),
        ("train_error",),
        (("the paper's mark", 25.0),),
        note="a network of this suite's own, as the paper does not say which",
    ),
    "ioffe_2": Redrawn(
        "With batch normalization and without",
        Citation("arXiv:1502.03167", "figure 2"),
        ("four_layer_bn_cifar10", "four_layer_relu_cifar10"),
        ("val_error",),
        note="a four-layer network on CIFAR-10 for Inception on ImageNet",
    ),
    "lecun_5": Redrawn(
        "LeNet-5 by passes through the training set",
        Citation("LeCun et al. 1998", "figure 5", "secondary"),
        ("lenet5_1998_mnist",),
        note="validation error of 5,000 training digits for the paper's test error",
    ),
    **{
        f"recipes_{network}": Redrawn(
            f"{shown} with the recipes of five years, on 5,000 images of CIFAR-10",
            None,
            tuple(f"recipe_{year}{suffix}" for year in (1998, 2012, 2015, 2021, 2024)),
            ("val_error",),
            by="epoch",
            note="500 images of each class and 20 epochs, so no paper's error stands beside them",
        )
        for network, shown, suffix in (("resnet20", "ResNet-20", ""), ("lenet5", "LeNet-5", "_lenet5"))
    },
}
