"""ResNeXt: residual networks whose 3×3 convolutions are grouped.

S. Xie, R. Girshick, P. Dollár, Z. Tu, K. He, "Aggregated Residual Transformations for Deep Neural Networks", CVPR 2017
(arXiv:1611.05431): tables 1 and 3 for ImageNet, section 5.2 and table 7 for CIFAR. The 3×3 convolution has the stride
(section 4).
"""

from __future__ import annotations

from dataclasses import replace

from repronet.models.residual import Design, network
from repronet.models.resnet import RESNET50, RESNET101

RESNEXT50 = replace(RESNET50, stride_on_3x3=True, groups=32, width_per_group=4)
RESNEXT101 = replace(RESNET101, stride_on_3x3=True)


def resnext29_design(groups: int) -> Design:
    """Section 5.2: three stages of three blocks; in the first stage, `groups` groups of 64 planes."""
    return Design((3, 3, 3), (64, 128, 256), True, "32px", stride_on_3x3=True, groups=groups, width_per_group=64)


resnext50_32x4d = network("resnext50_32x4d", RESNEXT50)
resnext101_32x8d = network("resnext101_32x8d", replace(RESNEXT101, groups=32, width_per_group=8))  # torchvision's
resnext101_64x4d = network("resnext101_64x4d", replace(RESNEXT101, groups=64, width_per_group=4))
resnext29_8x64d, resnext29_16x64d = (network(f"resnext29_{groups}x64d", resnext29_design(groups)) for groups in (8, 16))
