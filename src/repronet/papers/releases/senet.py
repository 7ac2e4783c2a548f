"""Squeeze-and-excitation networks: the authors' prototxt files."""

from __future__ import annotations

from repronet.papers.releases.notation import (
    RELU,
    SIGMOID,
    UP,
    Chain,
    Release,
    add,
    batch_norm,
    chain,
    conv,
    dropout,
    gate,
    linear,
    max_pool,
    mean,
)
from repronet.papers.releases.resnet import DEPTHS, Block, caffe_stem, stages

_NORM = batch_norm()


def _block(
    groups: int = 1, *, stride_on_3x3: bool = False, width_per_stage: int = 1, half_first: bool = False
) -> Block:
    """1×1 → 3×3 → 1×1 → squeeze and excitation with r = 16, plus the shortcut.

    Args:
        width_per_stage: planes of the 3×3 for each plane of the stage's width.
    """

    def block(width: int, stride: int, first: bool) -> Chain:
        inner, out = width * width_per_stage, 4 * width
        outer, middle = (1, stride) if stride_on_3x3 else (stride, 1)
        projection = 3 if half_first and stride > 1 else 1
        branch = chain(
            *(conv(inner // 2 if half_first else inner, 1, outer), _NORM, RELU),
            *(conv(inner, 3, middle, 1, groups=groups), _NORM, RELU),
            *(conv(out, 1), _NORM, gate(mean(), linear(out // 16), RELU, linear(out), SIGMOID)),
        )
        around = chain(conv(out, projection, stride, projection // 2), _NORM) if first else ()
        return chain(add(branch, around), RELU)

    return block


def _release(name: str, depth: int, block: Block, stem: Chain, *tail: float) -> Release:
    classes = chain(mean(), *map(dropout, tail), linear(1000))
    return Release(f"hujie-frank/SENet models/{name}.prototxt", chain(stem, stages(DEPTHS[depth], block), classes))


_DEEP_STEM = chain(
    *(conv(64, 3, 2, 1), _NORM, RELU, conv(64, 3, 1, 1), _NORM, RELU, conv(128, 3, 1, 1), _NORM, RELU),
    max_pool(3, 2, rounds=UP),
)

RELEASES = {
    **{f"se_resnet{depth}": _release(f"SE-ResNet-{depth}", depth, _block(), caffe_stem()) for depth in (50, 101, 152)},
    "se_resnext50_32x4d": _release(
        "SE-ResNeXt-50", 50, _block(32, stride_on_3x3=True, width_per_stage=2), caffe_stem()
    ),
    "senet154": _release(
        "SENet-154", 152, _block(64, stride_on_3x3=True, width_per_stage=4, half_first=True), _DEEP_STEM, 0.2
    ),
}
