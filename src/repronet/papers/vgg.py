"""VGG, Network in Network."""

from repronet.papers.records import Error, Facts, Paper, Printed, Recipe, Stages

VERY_DEEP = Paper(
    authors="K. Simonyan, A. Zisserman",
    title="Very Deep Convolutional Networks for Large-Scale Image Recognition",
    venue="ICLR 2015",
    year=2014,
    arxiv="1409.1556",
)
NETWORK_IN_NETWORK = Paper(
    authors="M. Lin, Q. Chen, S. Yan", title="Network In Network", venue="ICLR 2014", year=2013, arxiv="1312.4400"
)

_RECIPE = Recipe(
    "SGD 0.9, batch 256, rate 0.01, a tenth three times when validation stalls, weight decay 5e-4, dropout 0.5,"
    " 74 epochs; crops of 224 from S = 256, flips, colour; deeper networks begin with the weights of A",
    "section 3.1",
)
_TOP1, _TOP5 = "ImageNet val top-1", "ImageNet val top-5"
_LAST_POOL = {11: 20, 13: 24, 16: 30, 19: 36}
_LAST_POOL_BN = {11: 28, 13: 34, 16: 43, 19: 52}
_FIELD = {11: 150, 13: 156, 16: 212, 19: 268}


def _errors(top1: float, top5: float) -> tuple[Error, Error]:
    return (
        Error(top1, _TOP1, "dense", "table 3", note="S = Q = 256"),
        Error(top5, _TOP5, "dense", "table 3", note="S = Q = 256"),
    )


def _torchvision_errors(top1: float, top5: float) -> tuple[Error, Error]:
    where = "torchvision, IMAGENET1K_V1"
    return (
        Error(round(100 - top1, 3), _TOP1, "1-crop", where, verified=True),
        Error(round(100 - top5, 3), _TOP5, "1-crop", where, verified=True),
    )


def _stages(last: int, input_size: int) -> Stages:
    side = input_size // 32
    return ((f"features.{last}", (512, side, side)),)


def _large(column: str, depth: int, parameters: int, macs: str, printed: str, errors: tuple[Error, ...]) -> Facts:
    return Facts(
        paper=VERY_DEEP,
        title=f"column {column}",
        parameters=parameters,
        source="torchvision",
        input=(3, 224, 224),
        classes=1000,
        printed=Printed(printed),
        macs=Printed(macs),
        stages=_stages(_LAST_POOL[depth], 224),
        receptive_field=(f"features.{_LAST_POOL[depth]}", _FIELD[depth]),
        errors=errors,
        recipe=_RECIPE,
    )


def _with_bn(depth: int, parameters: int, macs: str, errors: tuple[Error, ...]) -> Facts:
    return Facts(
        paper=VERY_DEEP,
        title=f"VGG-{depth} with batch norm: torchvision's vgg{depth}_bn",
        parameters=parameters,
        source="torchvision",
        input=(3, 224, 224),
        classes=1000,
        modern=True,
        deviations=("batch norm after each convolution",),
        macs=Printed(macs),
        stages=_stages(_LAST_POOL_BN[depth], 224),
        errors=errors,
    )


def _small(depth: int, parameters: int, *, bn: bool) -> Facts:
    norm = ("batch norm after each convolution",) if bn else ()
    last = (_LAST_POOL_BN if bn else _LAST_POOL)[depth]
    return Facts(
        paper=VERY_DEEP,
        title=f"VGG-{depth}{' with batch norm' if bn else ''} for 32 pixels",
        parameters=parameters,
        source="computed",
        input=(3, 32, 32),
        classes=10,
        modern=True,
        deviations=("one fully connected layer for three", *norm),
        stages=_stages(last, 32),
    )


NETWORKS = {
    "vgg11": _large("A", 11, 132_863_336, "7.609 G", "133 M", _errors(29.6, 10.4)),
    "vgg11_lrn": Facts(
        paper=VERY_DEEP,
        title="column A-LRN: A with local response norm",
        parameters=132_863_336,
        source="computed",
        input=(3, 224, 224),
        classes=1000,
        printed=Printed("133 M"),
        macs=Printed("7.609 G"),
        stages=_stages(21, 224),
        errors=_errors(29.7, 10.5),
        recipe=_RECIPE,
    ),
    "vgg13": _large("B", 13, 133_047_848, "11.308 G", "133 M", _errors(28.7, 9.9)),
    "vgg16_c": Facts(
        paper=VERY_DEEP,
        title="column C: the last convolution of late stages is 1×1",
        parameters=133_638_952,
        source="computed",
        input=(3, 224, 224),
        classes=1000,
        printed=Printed("134 M"),
        stages=_stages(30, 224),
        errors=_errors(28.1, 9.4),
        recipe=_RECIPE,
    ),
    "vgg16": _large("D", 16, 138_357_544, "15.47 G", "138 M", _errors(27.0, 8.8)),
    "vgg19": _large("E", 19, 143_667_240, "19.632 G", "144 M", _errors(27.3, 9.0)),
    "vgg11_bn": _with_bn(11, 132_868_840, "7.609 G", _torchvision_errors(70.37, 89.81)),
    "vgg13_bn": _with_bn(13, 133_053_736, "11.308 G", _torchvision_errors(71.586, 90.374)),
    "vgg16_bn": _with_bn(16, 138_365_992, "15.47 G", _torchvision_errors(73.36, 91.516)),
    "vgg19_bn": _with_bn(19, 143_678_248, "19.632 G", _torchvision_errors(74.218, 91.842)),
    "vgg11_32px": _small(11, 9_225_610, bn=False),
    "vgg13_32px": _small(13, 9_410_122, bn=False),
    "vgg16_32px": _small(16, 14_719_818, bn=False),
    "vgg19_32px": _small(19, 20_029_514, bn=False),
    "vgg11_bn_32px": _small(11, 9_231_114, bn=True),
    "vgg13_bn_32px": _small(13, 9_416_010, bn=True),
    "vgg16_bn_32px": _small(16, 14_728_266, bn=True),
    "vgg19_bn_32px": _small(19, 20_040_522, bn=True),
    "nin": Facts(
        paper=NETWORK_IN_NETWORK,
        title="1×1 convolutions, mean of a map a class",
        parameters=966_986,
        source="computed",
        input=(3, 32, 32),
        classes=10,
        stages=(
            ("block1", (96, 32, 32)),
            ("pool1", (96, 16, 16)),
            ("block2", (192, 16, 16)),
            ("pool2", (192, 8, 8)),
            ("block3", (10, 8, 8)),
        ),
        errors=(
            Error(8.81, "CIFAR-10 test", "test images", "table 1", note="with shifts and flips"),
            Error(10.41, "CIFAR-10 test", "test images", "table 1", note="no augmentation"),
        ),
    ),
}
