"""Residual networks: the authors' prototxt files, fb.resnet.torch, ResNeXt, and the pre-activation networks.

Torch's batch norms have ε = 1e-5 and keep 0.9 of a running mean; its linear layers start uniform in ±1/√fan-in, and the
programs below set their biases to 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from repronet.papers.releases.notation import (
    DOWN,
    RELU,
    UP,
    Chain,
    Difference,
    Operator,
    Release,
    add,
    batch_norm,
    chain,
    conv,
    differences,
    linear,
    max_pool,
    mean,
    normal,
    padded_shortcut,
    uniform,
)

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
HE = normal("√(2/fan-out)")
Block = Callable[[int, int, bool], Chain]  # of width, stride, and whether it is the first of its stage
NORM = batch_norm(decay=0.9)


def stages(depths: Sequence[int], block: Block, first_width: int = 64) -> Chain:
    """Stages of blocks; each but the first doubles the width and begins by halving the picture."""
    blocks = []
    for stage, depth in enumerate(depths):
        width, stride = first_width << stage, 1 if stage == 0 else 2
        blocks += [block(width, stride, True), *[block(width, 1, False)] * (depth - 1)]
    return chain(*blocks)


def _torch_conv(maps: int, window: int, stride: int = 1, groups: int = 1) -> Operator:
    return conv(maps, window, stride, window // 2, groups=groups, start=HE)


CLASSIFIER = uniform("√(1/fan-in)")


def _shortcut(kind: str, maps: int, stride: int, changes: bool) -> Chain:
    if kind == "C" or (kind == "B" and changes):
        return chain(_torch_conv(maps, 1, stride), NORM)
    return chain(padded_shortcut(stride, "behind")) if changes else ()


def _basic(shortcut: str, first_width: int) -> Block:
    def block(width: int, stride: int, first: bool) -> Chain:
        branch = chain(_torch_conv(width, 3, stride), NORM, RELU, _torch_conv(width, 3), NORM)
        return chain(add(branch, _shortcut(shortcut, width, stride, first and width > first_width)), RELU)

    return block


def _bottleneck(groups: int = 1, base_width: int = 64) -> Block:
    """The 3×3 halves the picture."""

    def block(width: int, stride: int, first: bool) -> Chain:
        inner = width * base_width // 64 * groups
        branch = chain(
            *(_torch_conv(inner, 1), NORM, RELU),
            *(_torch_conv(inner, 3, stride, groups), NORM, RELU),
            *(_torch_conv(4 * width, 1), NORM),
        )
        return chain(add(branch, _shortcut("B", 4 * width, stride, first)), RELU)

    return block


def _imagenet(source: str, depth: int, block: Block, *differences: Difference, note: str = "") -> Release:
    stem = chain(_torch_conv(64, 7, 2), NORM, RELU, max_pool(3, 2, 1))
    classes = linear(1000, bias=0.0, start=CLASSIFIER)
    return Release(source, chain(stem, stages(DEPTHS[depth], block), mean(), classes), (_BIAS, *differences), note)


def _cifar(source: str, depths: Sequence[int], width: int, block: Block, *differences: Difference) -> Release:
    stem = chain(_torch_conv(width, 3), NORM, RELU)
    classes = linear(10, bias=0.0, start=CLASSIFIER)
    return Release(source, chain(stem, stages(depths, block, width), mean(), classes), (_BIAS, *differences))


_BIAS = Difference(
    "bias starts", 0.0, "uniform √(1/fan-in)", "torch's own start of a linear layer, which the papers leave open", "fc"
)
_ZEROS = Difference(
    "zeros",
    "behind",
    "around",
    "the paper leaves open where they stand; a network learns the same",
    "layer?.0.downsample",
)

_FB, _RESNEXT = "facebookarchive/fb.resnet.torch models/resnet.lua", "facebookresearch/ResNeXt models/resnext.lua"
_NOT_HE = "not by the paper's authors, who released no file of it"


def _fb_cifar(depth: int, shortcut: str) -> Release:
    named = (_ZEROS,) if shortcut == "A" else ()
    return _cifar(f"{_FB}, shortcut {shortcut}", [(depth - 2) // 6] * 3, 16, _basic(shortcut, 16), *named)


def _fb_basic(depth: int, shortcut: str) -> Release:
    named = (_ZEROS,) if shortcut == "A" else ()
    return _imagenet(f"{_FB}, shortcut {shortcut}", depth, _basic(shortcut, 64), *named, note=_NOT_HE)


def caffe_bottleneck(width: int, stride: int, first: bool) -> Chain:
    """The first 1×1 halves the picture."""
    norm = batch_norm()
    branch = chain(
        *(conv(width, 1, stride), norm, RELU, conv(width, 3, padding=1), norm, RELU, conv(4 * width, 1), norm)
    )
    around = chain(conv(4 * width, 1, stride), norm) if first else ()
    return chain(add(branch, around), RELU)


def caffe_stem(bias: bool = False) -> Chain:
    """7×7/2 and a pool without padding, which rounds up."""
    return chain(conv(64, 7, 2, 3, bias=bias), batch_norm(), RELU, max_pool(3, 2, rounds=UP))


def _caffe(depth: int, *named: Difference) -> Release:
    biased = depth == 50  # of the three files, only that of 50 layers gives conv1 a bias
    return Release(
        f"KaimingHe/deep-residual-networks prototxt/ResNet-{depth}-deploy.prototxt",
        chain(caffe_stem(biased), stages(DEPTHS[depth], caffe_bottleneck), mean(), linear(1000)),
        named + (_CONV1_BIAS if biased else ()),
    )


_CONV1_BIAS = differences("batch norm takes away what it adds", ("bias", True, False), at="conv1")


_PADDED_POOL = differences(
    "as fb.resnet.torch's, which the paper's text does not decide: 56×56 maps leave either",
    ("padding", 0, 1),
    ("rounds", UP, DOWN),
    at="maxpool",
)


def _preact(depth: int) -> Release:
    def block(width: int, stride: int, first: bool) -> Chain:
        before = chain(NORM, RELU)
        branch = chain(
            *(_torch_conv(width, 1, stride), NORM, RELU),
            *(_torch_conv(width, 3), NORM, RELU, _torch_conv(4 * width, 1)),
        )
        # Where the shape changes, the shortcut starts behind the first activation.
        return (
            chain(before, add(branch, (_torch_conv(4 * width, 1, stride),)))
            if first
            else (add((*before, *branch), ()),)
        )

    each = (depth - 2) // 9
    return Release(
        "KaimingHe/resnet-1k-layers resnet-pre-act.lua",
        chain(
            *(_torch_conv(16, 3), stages((each, each, each), block, 16), NORM, RELU, mean()),
            linear(10, bias=0.0, start=CLASSIFIER),
        ),
        (_BIAS,),
    )


RELEASES = {
    **{f"resnet{depth}_caffe": _caffe(depth) for depth in (50, 101, 152)},
    **{f"resnet{depth}": _caffe(depth, *_PADDED_POOL) for depth in (50, 101, 152)},
    **{f"resnet{depth}": _fb_basic(depth, "B") for depth in (18, 34)},
    **{f"resnet{depth}_a": _fb_basic(depth, "A") for depth in (18, 34)},
    "resnet34_c": _fb_basic(34, "C"),
    **{f"resnet{depth}_v1_5": _imagenet(_FB, depth, _bottleneck()) for depth in (50, 101, 152)},
    **{f"resnet{depth}": _fb_cifar(depth, "A") for depth in (20, 32, 44, 56, 110, 1202)},
    **{f"resnet{depth}_b": _fb_cifar(depth, "B") for depth in (20, 32, 44, 56, 110)},
    **{f"preact_resnet{depth}": _preact(depth) for depth in (164, 1001)},
    "resnext50_32x4d": _imagenet(_RESNEXT, 50, _bottleneck(32, 4)),
    "resnext101_64x4d": _imagenet(_RESNEXT, 101, _bottleneck(64, 4)),
    **{f"resnext29_{groups}x64d": _cifar(_RESNEXT, (3, 3, 3), 64, _bottleneck(groups, 64)) for groups in (8, 16)},
}
