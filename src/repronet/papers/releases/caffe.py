"""Networks that were released as prototxt files of Caffe: AlexNet, VGG and GoogLeNet.

Caffe's pools round the size of their maps up; its response norm divides α by the number of maps that are summed, and
its k is 1 if the file gives none; "xavier" is uniform in ±√(3/fan-in).
"""

from __future__ import annotations

from repronet.papers.releases.notation import (
    RELU,
    UP,
    Chain,
    Operator,
    Release,
    avg_pool,
    chain,
    concat,
    conv,
    differences,
    dropout,
    head,
    linear,
    max_pool,
    mean,
    normal,
    response_norm,
    truncated,
    uniform,
)

_MAX = max_pool(3, 2, rounds=UP)
_NORM = response_norm(5, 1e-4, 0.75, 1.0)
_XAVIER = uniform("√(3/fan-in)")


def _alexnet_conv(maps: int, window: int, bias: float, *, stride: int = 1, padding: int = 0, groups: int = 1) -> Chain:
    return chain(conv(maps, window, stride, padding, groups=groups, bias=bias, start=normal(0.01)), RELU)


_HIDDEN = chain(linear(4096, bias=0.1, start=normal(0.005)), RELU, dropout(0.5))

_ALEXNET = chain(
    *(_alexnet_conv(96, 11, 0.0, stride=4), _NORM, _MAX),
    *(_alexnet_conv(256, 5, 0.1, padding=2, groups=2), _NORM, _MAX),
    _alexnet_conv(384, 3, 0.0, padding=1),
    _alexnet_conv(384, 3, 0.1, padding=1, groups=2),
    *(_alexnet_conv(256, 3, 0.1, padding=1, groups=2), _MAX),
    *(_HIDDEN, _HIDDEN, linear(1000, bias=0.0, start=normal(0.01))),
)


def _vgg(layers: int, *depths: int) -> Release:
    stages = zip(depths, (64, 128, 256, 512, 512), strict=True)
    convolutions = [
        chain(*(conv(maps, 3, padding=1, bias=True), RELU) * depth, max_pool(2, 2, rounds=UP)) for depth, maps in stages
    ]
    hidden = chain(linear(4096), RELU, dropout(0.5))
    return Release(
        f"K. Simonyan, VGG_ILSVRC_{layers}_layers_deploy.prototxt",
        chain(*convolutions, hidden, hidden, linear(1000)),
        note=f"second hand: read in the copy of {_COPIES[layers]}",
    )


_COPIES = {  # of the authors' gists
    16: "tuzand/logoretrieval models",
    19: "davidgengenbach/vgg-caffe model",
}


def _unit(maps: int, window: int = 1, stride: int = 1) -> Chain:
    return chain(conv(maps, window, stride, window // 2, bias=0.2, start=_XAVIER), RELU)


def _inception(one: int, three_reduce: int, three: int, five_reduce: int, five: int, pool: int) -> Operator:
    return concat(
        _unit(one),
        chain(_unit(three_reduce), _unit(three, 3)),
        chain(_unit(five_reduce), _unit(five, 5)),
        chain(max_pool(3, 1, 1, rounds=UP), _unit(pool)),
    )


_CLASSES = linear(1000, bias=0.0, start=_XAVIER)
_HEAD = head(
    *chain(avg_pool(5, 3, rounds=UP), _unit(128), linear(1024, bias=0.2, start=_XAVIER), RELU, dropout(0.7), _CLASSES)
)

_GOOGLENET = chain(
    *(_unit(64, 7, 2), _MAX, _NORM),
    *(_unit(64), _unit(192, 3), _NORM, _MAX),
    *(_inception(64, 96, 128, 16, 32, 32), _inception(128, 128, 192, 32, 96, 64), _MAX),
    *(_inception(192, 96, 208, 16, 48, 64), _HEAD),
    _inception(160, 112, 224, 24, 64, 64),
    _inception(128, 128, 256, 24, 64, 64),
    *(_inception(112, 144, 288, 32, 64, 64), _HEAD),
    *(_inception(256, 160, 320, 32, 128, 128), _MAX),
    *(_inception(256, 160, 320, 32, 128, 128), _inception(384, 192, 384, 48, 128, 128)),
    *(mean(), dropout(0.4), _CLASSES),
)

_OF_RESPONSE_NORM = (
    *differences("AlexNet's paper, section 3.3, whose α multiplies the sum", ("alpha", 1e-4, 5e-4), at="norm?"),
    *differences("AlexNet's paper, section 3.3", ("k", 1.0, 2.0), at="norm?"),
)

RELEASES = {
    "alexnet": Release(
        "BVLC/caffe models/bvlc_alexnet/train_val.prototxt",
        _ALEXNET,
        (
            *_OF_RESPONSE_NORM,
            *differences("the paper's; Caffe's readme: with 1 the loss stayed flat", ("bias starts", 0.1, 1.0)),
            *differences("the paper's for all layers", ("weights start", normal(0.005), normal(0.01)), at="fc?"),
        ),
        note="Caffe's reproduction; the authors released no file of their network of 2012",
    ),
    "vgg16": _vgg(16, 2, 2, 3, 3, 3),
    "vgg19": _vgg(19, 2, 2, 4, 4, 4),
    "googlenet": Release(
        "BVLC/caffe models/bvlc_googlenet/train_val.prototxt",
        _GOOGLENET,
        (
            *_OF_RESPONSE_NORM,
            *differences(
                "torchvision's choice; the paper does not say how it drew them, Caffe's readme that its own is another",
                ("weights start", _XAVIER, truncated(0.01)),
                *(("bias starts", bias, "uniform √(1/fan-in)") for bias in (0.2, 0.0)),
            ),
        ),
        note="Caffe's reproduction; the authors released no file of their network of 2014",
    ),
}
