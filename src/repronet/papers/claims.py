"""What papers claim of one network against another, as pairs of experiments that decide it. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Figure = Literal["test_error", "last_train_error"]


@dataclass(frozen=True)
class Lower:
    """``figure`` of the experiment ``better`` lies below that of ``worse``.

    Args:
        equal_steps: whether both must be trained for as many steps, as in all papers whose recipes are the same.
    """

    figure: Figure
    better: str
    worse: str
    equal_steps: bool = True


@dataclass(frozen=True)
class Sooner:
    """``better`` comes down to an error in fewer steps than ``worse``.

    Args:
        figure: of every epoch.
        error: the share to come down to; None for the lowest that ``worse`` reaches at all, on average over its seeds.
    """

    figure: Literal["train_error", "val_error"]
    error: float | None
    better: str
    worse: str


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper and what would show it.

    Args:
        text: the sentence, in our words.
        where: paper and section.
    """

    text: str
    where: str
    shown_by: Lower | Sooner


_HE = "He et al. 2016, figure 6"
_ALEX = "Krizhevsky et al. 2012"

CLAIMS: dict[str, Claim] = {
    "degradation": Claim(
        "A plain network of 56 layers trains worse than one of 20",
        _HE,
        Lower("last_train_error", "plain20_cifar10", "plain56_cifar10"),
    ),
    "shortcuts": Claim(
        "With shortcuts 56 layers train better than without",
        _HE,
        Lower("last_train_error", "resnet56_cifar10", "plain56_cifar10"),
    ),
    "depth": Claim(
        "With shortcuts 56 layers err less than 20",
        "He et al. 2016, table 6",
        Lower("test_error", "resnet56_cifar10", "resnet20_cifar10"),
    ),
    "relu": Claim(
        "With ReLU a four-layer network comes to 25 % training error sooner than with tanh (in the paper six times)",
        f"{_ALEX}, figure 1",
        Sooner("train_error", 0.25, "four_layer_relu_cifar10", "four_layer_tanh_cifar10"),
    ),
    "response_norm": Claim(
        "Local response normalisation lowers the error of a four-layer network",
        f"{_ALEX}, section 3.3",
        Lower("test_error", "four_layer_lrn_cifar10", "four_layer_plain_cifar10"),
    ),
    "overlap": Claim(
        "Overlapping pooling lowers the error",
        f"{_ALEX}, section 3.4",
        Lower("test_error", "four_layer_lrn_cifar10", "four_layer_abutting_cifar10"),
    ),
    "batch_norm": Claim(
        "Batch normalisation comes to the same validation error in fewer steps (in the paper less than half)",
        "Ioffe and Szegedy 2015, figure 2",
        Sooner("val_error", None, "four_layer_bn_cifar10", "four_layer_relu_cifar10"),
    ),
    "squeeze_excitation": Claim(
        "Squeeze-and-excitation lowers the error at equal depth",
        "Hu et al. 2018, table 4",
        Lower("test_error", "se_resnet20_cifar10", "resnet20_cifar10"),
    ),
    "dense": Claim(
        "A DenseNet of half the parameters errs less than a ResNet",
        "Huang et al. 2017, table 2",
        Lower("test_error", "densenet_bc_100_12_cifar10", "resnet110_cifar10", equal_steps=False),
    ),
    "distortions": Claim(
        "Distorted digits lower the error of LeNet-5",
        "LeCun et al. 1998, section III.B",
        Lower("test_error", "lenet5_1998_mnist_distorted", "lenet5_1998_mnist"),
    ),
}
