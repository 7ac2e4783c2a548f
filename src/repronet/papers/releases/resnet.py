"""Residual networks: fb.resnet.torch, ResNeXt, the pre-activation networks, and the prototxt files of ResNet and SENet.

Torch's batch norms have ε = 1e-5 and keep 0.9 of a running mean per step; its linear layers start uniform in
±1/√fan-in, and the programs in Torch set their biases to 0. Caffe's pools round the size of their maps up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from repronet.papers.releases.notation import (
    DOWN,
    RELU,
    SIGMOID,
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
    dropout,
    gate,
    linear,
    max_pool,
    mean,
    normal,
    padded_shortcut,
    uniform,
)

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
HE, CLASSIFIER = normal("√(2/fan-out)"), uniform("√(1/fan-in)")
NORM = batch_norm(decay=0.9)
Block = Callable[[int, int, bool], Chain]  # from width, stride, and whether it is the first block of its stage

_FB, _RESNEXT = "facebookarchive/fb.resnet.torch models/resnet.lua", "facebookresearch/ResNeXt models/resnext.lua"
_BIAS = Difference(
    "bias starts", 0.0, "uniform √(1/fan-in)", "torch's own start of a linear layer, which the papers leave open", "fc"
)
_ZEROS = differences(
    "the paper leaves open where they stand; a network learns the same",
    ("zeros", "behind", "around"),
    at="layer?.0.downsample",
)
_CONV1_BIAS = differences("batch norm takes away what it adds", ("bias", True, False), at="conv1")
_PADDED_POOL = differences(
    "as fb.resnet.torch's, which the paper's text does not decide: 56×56 maps leave either",
    ("padding", 0, 1),
    ("rounds", UP, DOWN),
    at="maxpool",
)


def _stages(depths: Sequence[int], block: Block, first_width: int = 64) -> Chain:
    """Stages of blocks; each but the first doubles the width and begins by halving the image."""
    blocks = []
    for stage, depth in enumerate(depths):
        width, stride = first_width << stage, 1 if stage == 0 else 2
        blocks += [block(width, stride, True), *[block(width, 1, False)] * (depth - 1)]
    return chain(*blocks)


# Released in Torch


def _conv(maps: int, window: int, stride: int = 1, groups: int = 1) -> Operator:
    return conv(maps, window, stride, window // 2, groups=groups, start=HE)


def _shortcut(kind: str, maps: int, stride: int, changes: bool) -> Chain:
    if kind == "C" or (kind == "B" and changes):
        return chain(_conv(maps, 1, stride), NORM)
    return chain(padded_shortcut(stride, "behind")) if changes else ()


def _basic(shortcut: str, first_width: int) -> Block:
    def block(width: int, stride: int, first: bool) -> Chain:
        branch = chain(_conv(width, 3, stride), NORM, RELU, _conv(width, 3), NORM)
        return chain(add(branch, _shortcut(shortcut, width, stride, first and width > first_width)), RELU)

    return block


def _bottleneck(groups: int = 1, base_width: int = 64) -> Block:
    """A bottleneck block whose 3×3 convolution has the stride."""

    def block(width: int, stride: int, first: bool) -> Chain:
        inner = width * base_width // 64 * groups
        branch = chain(
            *(_conv(inner, 1), NORM, RELU),
            *(_conv(inner, 3, stride, groups), NORM, RELU),
            *(_conv(4 * width, 1), NORM),
        )
        return chain(add(branch, _shortcut("B", 4 * width, stride, first)), RELU)

    return block


def _preactivated(width: int, stride: int, first: bool) -> Chain:
    """A pre-activation bottleneck block; if the shape changes, the shortcut starts after the first activation."""
    before = chain(NORM, RELU)
    branch = chain(_conv(width, 1, stride), before, _conv(width, 3), before, _conv(4 * width, 1))
    if first:
        return chain(before, add(branch, (_conv(4 * width, 1, stride),)))
    return (add((*before, *branch), ()),)


def _imagenet(source: str, depth: int, block: Block, *named: Difference, note: str = "") -> Release:
    stem, classes = chain(_conv(64, 7, 2), NORM, RELU, max_pool(3, 2, 1)), linear(1000, bias=0.0, start=CLASSIFIER)
    return Release(source, chain(stem, _stages(DEPTHS[depth], block), mean(), classes), (_BIAS, *named), note)


def _cifar(
    source: str, blocks: int, width: int, block: Block, *named: Difference, stem: Chain = (NORM, RELU), end: Chain = ()
) -> Release:
    """A network for CIFAR-10; ``stem`` follows the first convolution, ``end`` the last block."""
    stages, classes = _stages([blocks] * 3, block, width), linear(10, bias=0.0, start=CLASSIFIER)
    return Release(source, chain(_conv(width, 3), stem, stages, end, mean(), classes), (_BIAS, *named))


def _fb_cifar(depth: int, shortcut: str) -> Release:
    named = _ZEROS if shortcut == "A" else ()
    return _cifar(f"{_FB}, shortcut {shortcut}", (depth - 2) // 6, 16, _basic(shortcut, 16), *named)


def _fb_basic(depth: int, shortcut: str) -> Release:
    named, note = _ZEROS if shortcut == "A" else (), "not by the paper's authors, who released no file of it"
    return _imagenet(f"{_FB}, shortcut {shortcut}", depth, _basic(shortcut, 64), *named, note=note)


def _preact(depth: int) -> Release:
    source = "KaimingHe/resnet-1k-layers resnet-pre-act.lua"
    return _cifar(source, (depth - 2) // 9, 16, _preactivated, stem=(), end=(NORM, RELU))


# Released in Caffe


def _caffe_block(
    groups: int = 1,
    *,
    squeezed: bool = False,
    stride_on_3x3: bool = False,
    width_per_stage: int = 1,
    half_first: bool = False,
) -> Block:
    """1×1 → 3×3 → 1×1, plus the shortcut; the first 1×1 has the stride, or with ``stride_on_3x3`` the 3×3.

    Args:
        squeezed: with squeeze and excitation, r = 16, before the sum.
        width_per_stage: planes of the 3×3 per plane of the stage's width.
        half_first: the first 1×1 has half the planes of the 3×3, and a shortcut with stride is 3×3.
    """
    norm = batch_norm()

    def block(width: int, stride: int, first: bool) -> Chain:
        inner, out = width * width_per_stage, 4 * width
        outer, middle = (1, stride) if stride_on_3x3 else (stride, 1)
        projection = 3 if half_first and stride > 1 else 1
        branch = chain(
            *(conv(inner // 2 if half_first else inner, 1, outer), norm, RELU),
            *(conv(inner, 3, middle, 1, groups=groups), norm, RELU),
            *(conv(out, 1), norm),
            (gate(mean(), linear(out // 16), RELU, linear(out), SIGMOID),) if squeezed else (),
        )
        around = chain(conv(out, projection, stride, projection // 2), norm) if first else ()
        return chain(add(branch, around), RELU)

    return block


def _caffe_stem(bias: bool = False) -> Chain:
    """A 7×7 convolution with stride 2 and a max pool without padding."""
    return chain(conv(64, 7, 2, 3, bias=bias), batch_norm(), RELU, max_pool(3, 2, rounds=UP))


def _caffe(depth: int, *named: Difference) -> Release:
    biased = depth == 50  # of the three files, only the one of 50 layers gives conv1 a bias
    return Release(
        f"KaimingHe/deep-residual-networks prototxt/ResNet-{depth}-deploy.prototxt",
        chain(_caffe_stem(biased), _stages(DEPTHS[depth], _caffe_block()), mean(), linear(1000)),
        named + (_CONV1_BIAS if biased else ()),
    )


def _squeezed(name: str, depth: int, block: Block, stem: Chain, *tail: float) -> Release:
    classes = chain(mean(), *map(dropout, tail), linear(1000))
    return Release(f"hujie-frank/SENet models/{name}.prototxt", chain(stem, _stages(DEPTHS[depth], block), classes))


_SE, _SE_RESNEXT = _caffe_block(squeezed=True), _caffe_block(32, squeezed=True, stride_on_3x3=True, width_per_stage=2)
_SENET154 = _caffe_block(64, squeezed=True, stride_on_3x3=True, width_per_stage=4, half_first=True)
_DEEP_STEM = chain(
    *(part for maps, stride in ((64, 2), (64, 1), (128, 1)) for part in (conv(maps, 3, stride, 1), batch_norm(), RELU)),
    max_pool(3, 2, rounds=UP),
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
    **{f"resnext29_{groups}x64d": _cifar(_RESNEXT, 3, 64, _bottleneck(groups, 64)) for groups in (8, 16)},
    **{f"se_resnet{depth}": _squeezed(f"SE-ResNet-{depth}", depth, _SE, _caffe_stem()) for depth in (50, 101, 152)},
    "se_resnext50_32x4d": _squeezed("SE-ResNeXt-50", 50, _SE_RESNEXT, _caffe_stem()),
    "senet154": _squeezed("SENet-154", 152, _SENET154, _DEEP_STEM, 0.2),
}
