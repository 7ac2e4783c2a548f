"""ResNeXt: residual networks whose 3×3 convolutions are grouped.

S. Xie, R. Girshick, P. Dollár, Z. Tu, K. He, "Aggregated Residual Transformations for Deep Neural Networks", CVPR 2017
(arXiv:1611.05431): tables 1 and 3 for ImageNet, section 5.2 and table 7 for CIFAR. The stride stands on the 3×3
(section 4).
"""

from __future__ import annotations

from dataclasses import replace

from repronet.models.residual import Design, network
from repronet.models.resnet import RESNET50, RESNET101

RESNEXT50 = replace(RESNET50, stride_on_3x3=True, groups=32, width_per_group=4)
RESNEXT101 = replace(RESNET101, stride_on_3x3=True)


def resnext29_design(groups: int) -> Design:
    """Section 5.2: three stages of three blocks, `groups` groups of 64 planes in the first."""
    return Design((3, 3, 3), (64, 128, 256), True, "32px", stride_on_3x3=True, groups=groups, width_per_group=64)


resnext50_32x4d = network("resnext50_32x4d", RESNEXT50, "ResNeXt-50, table 1: 25,028,904 parameters.")
resnext101_32x8d = network(
    "resnext101_32x8d",
    replace(RESNEXT101, groups=32, width_per_group=8),
    "ResNeXt-101 with 32 groups of 8, torchvision's; not in the paper. 88,791,336 parameters.",
)
resnext101_64x4d = network(
    "resnext101_64x4d",
    replace(RESNEXT101, groups=64, width_per_group=4),
    "ResNeXt-101 with 64 groups of 4, tables 4 and 5: 83,455,272 parameters.",
)
_29 = "ResNeXt-29 with {} groups of 64, table 7: {:,} parameters."
resnext29_8x64d = network("resnext29_8x64d", resnext29_design(8), _29.format(8, 34_426_698))
resnext29_16x64d = network("resnext29_16x64d", resnext29_design(16), _29.format(16, 68_155_210))
