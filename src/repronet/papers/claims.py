"""What papers claim of one network against another, with the experiments or the sums that decide it. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from repronet.papers.records import Citation, Printed

Figure = Literal["test_error", "last_train_error"]
Convolution = tuple[int, int, int, int]


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
class Fewer:
    """One way of computing the same takes fewer of ``unit``, which is counted and needs no run.

    Args:
        smaller, larger: convolutions of both ways: channels in, channels out, side of the kernel, side of the output.
        printed: both counts, as the source prints them; None for one that is not the sum of its terms.
    """

    unit: str
    smaller: tuple[Convolution, ...]
    larger: tuple[Convolution, ...]
    printed: tuple[Printed | None, Printed]


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper and what would show it.

    Args:
        text: the sentence, in our words.
        citation: where it stands.
        shown_by: what decides it.
        printed: the figures of the paper, and of which networks they are.
    """

    text: str
    citation: Citation
    shown_by: Lower | Sooner | Fewer
    printed: str = ""


_HE = "arXiv:1512.03385v1"
_ALEX = "NIPS 2012"
_VGG = "arXiv:1409.1556"
_SE = "arXiv:1709.01507v4"
_DENSE = "arXiv:1608.06993v5"
_NIN = "Lin et al. 2014"
_LECTURE = "CS231n, lecture on architectures"


def _of_imagenet(text: str, better: str, worse: str, citation: Citation, printed: str) -> Claim:
    return Claim(text, citation, Lower("test_error", f"{better}_imagenet", f"{worse}_imagenet"), printed)


def _of_cifar(text: str, better: str, worse: str, citation: Citation, printed: str, of: int = 10) -> Claim:
    return Claim(text, citation, Lower("test_error", f"{better}_cifar{of}", f"{worse}_cifar{of}"), printed)


def _inception_branches(*reductions: Convolution) -> tuple[Convolution, ...]:
    """128 maps of 1×1, 192 of 3×3 and 96 of 5×5 over 28×28, from what the reductions leave, or from all 256 maps."""
    left = [maps for _, maps, _, _ in reductions] or [256, 256]
    return ((256, 128, 1, 28), (left[0], 192, 3, 28), (left[1], 96, 5, 28), *reductions)


CLAIMS: dict[str, Claim] = {
    "degradation": Claim(
        "A plain network of 56 layers trains worse than one of 20",
        Citation(_HE, "figures 1 and 6"),
        Lower("last_train_error", "plain20_cifar10", "plain56_cifar10"),
        "curves",
    ),
    "shortcuts": Claim(
        "With shortcuts 56 layers train better than without",
        Citation(_HE, "figure 6"),
        Lower("last_train_error", "resnet56_cifar10", "plain56_cifar10"),
        "curves",
    ),
    "depth": _of_cifar(
        "With shortcuts 56 layers err less than 20", "resnet56", "resnet20", Citation(_HE, "table 6"), "6.97 and 8.75 %"
    ),
    "too_deep": _of_cifar(
        "1,202 layers err more than 110", "resnet110", "resnet1202", Citation(_HE, "table 6"), "7.93 and 6.43 %"
    ),
    "degradation_imagenet": _of_imagenet(
        "A plain network of 34 layers errs more than one of 18",
        *("plain18", "plain34", Citation(_HE, "table 2"), "28.54 and 27.94 %"),
    ),
    "option_b": _of_imagenet(
        "Projections where the shape changes lower the error of ResNet-34 (option B against A)",
        *("resnet34", "resnet34_a", Citation(_HE, "table 3"), "24.52 and 25.03 %"),
    ),
    "option_c": _of_imagenet(
        "Projections around every block lower it a little more (option C against B)",
        *("resnet34_c", "resnet34", Citation(_HE, "table 3"), "24.19 and 24.52 %"),
    ),
    "pre_activation": _of_cifar(
        "Pre-activation lowers the error of 110 layers",
        *("preact_resnet110", "resnet110", Citation("arXiv:1603.05027", "table 2"), "6.37 and 6.61 %"),
    ),
    "relu": Claim(
        "With ReLU a four-layer network comes to 25 % training error sooner than with tanh",
        Citation(_ALEX, "figure 1"),
        Sooner("train_error", 0.25, "four_layer_relu_cifar10", "four_layer_tanh_cifar10"),
        "six times sooner, each with its own rate; of which network is not said",
    ),
    "response_norm": _of_cifar(
        "Local response normalisation lowers the error of a four-layer network",
        *("four_layer_11pct", "four_layer_13pct", Citation(_ALEX, "section 3.3")),
        "11 and 13 %; the first has twice as many maps in its third layer, and is tested over ten crops",
    ),
    "response_norm_small": _of_cifar(
        "Local response normalisation lowers the error of a small network of this suite's own",
        *("four_layer_lrn", "four_layer_plain", Citation(_ALEX, "section 3.3")),
        "of other networks",
    ),
    "response_norm_imagenet": _of_imagenet(
        "Local response normalisation lowers the error of AlexNet",
        *("alexnet", "alexnet_no_norm", Citation(_ALEX, "section 3.3"), "by 1.4 points, top-5 by 1.2"),
    ),
    "overlap": _of_imagenet(
        "Overlapping pooling lowers the error of AlexNet",
        *("alexnet", "alexnet_abutting", Citation(_ALEX, "section 3.4"), "by 0.4 points, top-5 by 0.3"),
    ),
    "overlap_small": _of_cifar(
        "Overlapping pooling lowers the error of a small network of this suite's own",
        *("four_layer_lrn", "four_layer_abutting", Citation(_ALEX, "section 3.4")),
        "of AlexNet on ImageNet",
    ),
    "batch_norm": Claim(
        "Batch normalisation comes to the same validation error in fewer steps",
        Citation("arXiv:1502.03167", "section 4.2.2, figures 2 and 3"),
        Sooner("val_error", None, "four_layer_bn_cifar10", "four_layer_relu_cifar10"),
        "13.3 M and 31.0 M steps, of an Inception network on ImageNet",
    ),
    "squeeze_excitation": _of_cifar(
        "Squeeze-and-excitation lowers the error of 110 pre-activation layers",
        *("se_preact_resnet110", "preact_resnet110", Citation(_SE, "table 4"), "5.21 and 6.37 %"),
    ),
    "squeeze_excitation_164": _of_cifar(
        "Squeeze-and-excitation lowers the error of 164 pre-activation layers",
        *("se_preact_resnet164", "preact_resnet164", Citation(_SE, "table 4"), "4.39 and 5.46 %"),
    ),
    "squeeze_excitation_small": _of_cifar(
        "Squeeze-and-excitation lowers the error of ResNet-20, a network of this suite's own",
        *("se_resnet20", "resnet20", Citation(_SE, "table 4"), "of other networks"),
    ),
    "dense": Claim(
        "A DenseNet of half the parameters errs less than a ResNet",
        Citation(_DENSE, "table 2"),
        Lower("test_error", "densenet_bc_100_12_cifar10", "resnet110_cifar10", equal_steps=False),
        "4.51 % of 0.8 M, 6.61 % of 1.7 M parameters (6.41 % run anew)",
    ),
    "dense_wider": _of_cifar(
        "DenseNet: 190 layers with a growth of 40 err less than 250 with 24",
        *("densenet_bc_190_40", "densenet_bc_250_24", Citation(_DENSE, "table 2"), "3.46 and 3.62 %"),
    ),
    "dense_wider_of_100": _of_cifar(
        "DenseNet: 190 layers with a growth of 40 err less than 250 with 24 on CIFAR-100",
        *("densenet_bc_190_40", "densenet_bc_250_24", Citation(_DENSE, "table 2"), "17.18 and 17.60 %", 100),
    ),
    "groups_of_100": _of_cifar(
        "ResNeXt-29: sixteen groups of 64 err less than eight on CIFAR-100",
        *("resnext29_16x64d", "resnext29_8x64d", Citation("arXiv:1611.05431v2", "table 7", "secondary")),
        *("17.31 and 17.77 %", 100),
    ),
    "augmentation": Claim(
        "Shifts and flips lower the error of DenseNet-40, whose dropout they replace",
        Citation(_DENSE, "table 2"),
        Lower("test_error", "densenet40_12_cifar10", "densenet40_12_cifar10_plain"),
        "5.24 and 7.00 %",
    ),
    "augmentation_nin": Claim(
        "Shifts and flips lower the error of Network in Network",
        Citation(_NIN, "table 1", "secondary"),
        Lower("test_error", "nin_cifar10", "nin_cifar10_plain"),
        "8.81 and 10.41 %",
    ),
    "dropout": Claim(
        "Dropout between its blocks lowers the error of Network in Network",
        Citation(_NIN, "section 4.1", "secondary"),
        Lower("test_error", "nin_cifar10_plain", "nin_cifar10_plain_no_dropout"),
        "by more than a fifth",
    ),
    "vgg_13": _of_imagenet(
        "VGG: 13 layers err less than 11", "vgg13", "vgg11", Citation(_VGG, "table 3"), "28.7 and 29.6 %"
    ),
    "vgg_16": _of_imagenet(
        "VGG: 16 layers err less than 13", "vgg16", "vgg13", Citation(_VGG, "table 3"), "27.0 and 28.7 %"
    ),
    "vgg_3x3": _of_imagenet(
        "VGG: 3×3 in the deepest convolutions errs less than 1×1 (column D against C)",
        *("vgg16", "vgg16_c", Citation(_VGG, "table 3"), "27.0 and 28.1 %"),
    ),
    "vgg_19": _of_imagenet(
        "VGG: 19 layers gain nothing over 16 at one scale",
        "vgg16",
        "vgg19",
        Citation(_VGG, "table 3"),
        "27.3 and 27.0 %",
    ),
    "vgg_lrn": _of_imagenet(
        "VGG: local response normalisation gains nothing",
        "vgg11",
        "vgg11_lrn",
        Citation(_VGG, "table 3"),
        "29.7 and 29.6 %",
    ),
    "three_3x3": Claim(
        "Three 3×3 convolutions see as far as one of 7×7 with fewer weights",
        Citation(_VGG, "section 2.3"),
        Fewer("weights for one map each", ((1, 1, 3, 1),) * 3, ((1, 1, 7, 1),), (Printed("27"), Printed("49"))),
        "27 C² and 49 C²",
    ),
    "bottleneck": Claim(
        "1×1 reductions to 64 maps more than halve what an inception module multiplies",
        Citation(_LECTURE, "GoogLeNet", "secondary"),
        Fewer(
            "multiplications",
            (*_inception_branches((256, 64, 1, 28), (256, 64, 1, 28)), (256, 64, 1, 28)),
            _inception_branches(),
            (None, Printed("854 M")),
        ),
        "358 M, which is not the sum of the terms that it prints, and 854 M",
    ),
    "distortions": Claim(
        "Distorted digits lower the error of LeNet-5",
        Citation("LeCun et al. 1998", "section III.B", "secondary"),
        Lower("test_error", "lenet5_1998_mnist_distorted", "lenet5_1998_mnist"),
        "0.8 and 0.95 %",
    ),
}
