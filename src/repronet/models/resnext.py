"""ResNeXt: residual networks whose 3×3 convolutions are grouped.

S. Xie, R. Girshick, P. Dollár, Z. Tu, K. He, "Aggregated Residual Transformations for Deep Neural Networks", CVPR 2017
(arXiv:1611.05431): tables 1 and 3 for ImageNet, section 5.2 and table 7 for CIFAR. The stride stands on the 3×3
(section 4).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from repronet.models.residual import Design, ResNet
from repronet.models.resnet import RESNET50, RESNET101
from repronet.models.variant import Build, variant

RESNEXT50 = replace(RESNET50, stride_on_3x3=True, groups=32, width_per_group=4)
RESNEXT101 = replace(RESNET101, stride_on_3x3=True)


def resnext29_design(groups: int) -> Design:
    """Section 5.2: three stages of three blocks, `groups` groups of 64 planes in the first."""
    return Design(
        depths=(3, 3, 3),
        widths=(64, 128, 256),
        bottleneck=True,
        stem="32px",
        stride_on_3x3=True,
        groups=groups,
        width_per_group=64,
    )


def _network(name: str, design: Design, doc: str, num_classes: int) -> Build[ResNet]:
    return variant(name, partial(ResNet, design), doc, num_classes=num_classes)


resnext50_32x4d = _network("resnext50_32x4d", RESNEXT50, "ResNeXt-50, table 1: 25,028,904 parameters.", 1000)
resnext101_32x8d = _network(
    "resnext101_32x8d",
    replace(RESNEXT101, groups=32, width_per_group=8),
    "ResNeXt-101 with 32 groups of 8, torchvision's; not in the paper. 88,791,336 parameters.",
    1000,
)
resnext101_64x4d = _network(
    "resnext101_64x4d",
    replace(RESNEXT101, groups=64, width_per_group=4),
    "ResNeXt-101 with 64 groups of 4, tables 4 and 5: 83,455,272 parameters.",
    1000,
)
resnext29_8x64d = _network(
    "resnext29_8x64d", resnext29_design(8), "ResNeXt-29 with 8 groups of 64, table 7: 34,426,698 parameters.", 10
)
resnext29_16x64d = _network(
    "resnext29_16x64d", resnext29_design(16), "ResNeXt-29 with 16 groups of 64, table 7: 68,155,210 parameters.", 10
)
