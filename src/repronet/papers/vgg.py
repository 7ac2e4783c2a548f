"""VGG, Network in Network."""

from dataclasses import replace
from functools import partial

from repronet.papers.records import (
    CIFAR,
    IMAGENET,
    RESPONSE_NORM_ALPHA,
    TORCHVISION,
    Citation,
    Error,
    Facts,
    Paper,
    Printed,
    Recipe,
    Source,
    both,
    cifar10_error,
    stages,
)

VERY_DEEP = Paper(
    "K. Simonyan, A. Zisserman",
    "Very Deep Convolutional Networks for Large-Scale Image Recognition",
    "ICLR 2015",
    2014,
    "1409.1556",
)
NETWORK_IN_NETWORK = Paper("M. Lin, Q. Chen, S. Yan", "Network In Network", "ICLR 2014", 2013, "1312.4400")

_vgg = partial(Citation, "arXiv:1409.1556")
# Table 1 was read in what others quote of it.
_nin = partial(Citation, "Lin et al. 2014", kind="secondary")
_SLIM = Citation("tensorflow/models", "research/slim/README.md", "secondary")
_RECIPE = Recipe(
    "SGD 0.9, batch 256, rate 0.01, a tenth three times when validation stalls, weight decay 5e-4, dropout 0.5,"
    " 74 epochs; crops of 224 from S = 256, flips, colour; deeper networks begin with the weights of A",
    _vgg("section 3.1"),
)
_LAST_POOL = {11: 20, 13: 24, 16: 30, 19: 36}
_LAST_POOL_BN = {11: 28, 13: 34, 16: 43, 19: 52}


def _column(
    title: str,
    parameters: int,
    macs: Printed | int | None,
    printed: str,
    percents: tuple[float, float],
    last: int,
    field: int | None = None,
    source: Source = "torchvision",
    more: tuple[Error, ...] = (),
) -> Facts:
    """A column of table 1, with its errors of table 3, top-1 and top-5; ``last`` is the number of the last pool."""
    return Facts(
        VERY_DEEP,
        f"column {title}",
        parameters,
        *IMAGENET,
        source=source,
        printed=Printed(printed),
        macs=macs,
        stages=stages(f"features.{last} 512×7×7"),
        receptive_field=(f"features.{last}", field) if field else None,
        errors=(*both(*percents, "dense", _vgg("table 3"), "S = Q = 256, with the mirrored image"), *more),
        recipe=_RECIPE,
    )


def _with_bn(depth: int, parameters: int, macs: str, right1: float, right5: float) -> Facts:
    """torchvision's, which says how many percent are right."""
    top1, top5 = round(100 - right1, 3), round(100 - right5, 3)
    return Facts(
        VERY_DEEP,
        f"VGG-{depth} with batch norm: torchvision's vgg{depth}_bn",
        parameters,
        *IMAGENET,
        source="torchvision",
        modern=True,
        deviations=("batch norm after each convolution",),
        macs=Printed(macs),
        stages=stages(f"features.{_LAST_POOL_BN[depth]} 512×7×7"),
        errors=both(top1, top5, "1-crop", TORCHVISION),
    )


def _small(depth: int, parameters: int, *, bn: bool = False) -> Facts:
    norm = ("batch norm after each convolution",) if bn else ()
    return Facts(
        VERY_DEEP,
        f"VGG-{depth}{' with batch norm' if bn else ''} for 32 pixels",
        parameters,
        *CIFAR,
        modern=True,
        deviations=("one fully connected layer for three", *norm),
        stages=stages(f"features.{(_LAST_POOL_BN if bn else _LAST_POOL)[depth]} 512×1×1"),
    )


def _deepest(top1: float, top5: float) -> tuple[Error, ...]:
    """Of the networks of table 4 and of the released weights."""
    scales = "S in 256 to 512, Q in 256, 384, 512"
    released = both(top1, top5, "1-crop", _SLIM, "the released weights")
    return (*both(24.8, 7.5, "multi-scale dense", _vgg("table 4"), scales), *released)


NETWORKS = {
    # title, parameters, MACs, parameters as printed, top-1 and top-5 error, last pool, receptive field
    "vgg11": _column("A", 132_863_336, Printed("7.609 G"), "133 M", (29.6, 10.4), 20, 150),
    "vgg11_lrn": replace(
        _column("A-LRN: A with local response norm", 132_863_336, 7_609_090_048, "133 M", (29.7, 10.5), 21),
        source="computed",
        notes=(RESPONSE_NORM_ALPHA,),
    ),
    "vgg13": _column("B", 133_047_848, Printed("11.308 G"), "133 M", (28.7, 9.9), 24, 156),
    "vgg16_c": _column(
        "C: the last convolution of late stages is 1×1", 133_638_952, None, "134 M", (28.1, 9.4), 30, source="computed"
    ),
    "vgg16": _column("D", 138_357_544, Printed("15.47 G"), "138 M", (27.0, 8.8), 30, 212, more=_deepest(28.5, 10.2)),
    "vgg19": _column("E", 143_667_240, Printed("19.632 G"), "144 M", (27.3, 9.0), 36, 268, more=_deepest(28.9, 10.2)),
    "vgg11_bn": _with_bn(11, 132_868_840, "7.609 G", 70.37, 89.81),
    "vgg13_bn": _with_bn(13, 133_053_736, "11.308 G", 71.586, 90.374),
    "vgg16_bn": _with_bn(16, 138_365_992, "15.47 G", 73.36, 91.516),
    "vgg19_bn": _with_bn(19, 143_678_248, "19.632 G", 74.218, 91.842),
    "vgg11_32px": _small(11, 9_225_610),
    "vgg13_32px": _small(13, 9_410_122),
    "vgg16_32px": _small(16, 14_719_818),
    "vgg19_32px": _small(19, 20_029_514),
    "vgg11_bn_32px": _small(11, 9_231_114, bn=True),
    "vgg13_bn_32px": _small(13, 9_416_010, bn=True),
    "vgg16_bn_32px": _small(16, 14_728_266, bn=True),
    "vgg19_bn_32px": _small(19, 20_040_522, bn=True),
    "nin": Facts(
        NETWORK_IN_NETWORK,
        "1×1 convolutions, mean of a map a class",
        966_986,
        *CIFAR,
        stages=stages("block1 96×32×32, pool1 96×16×16, block2 192×16×16, pool2 192×8×8, block3 10×8×8"),
        errors=(
            cifar10_error(8.81, _nin("table 1"), "with shifts and flips"),
            cifar10_error(10.41, _nin("table 1"), "no augmentation"),
        ),
    ),
}
