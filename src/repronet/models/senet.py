"""Squeeze-and-excitation networks.

J. Hu, L. Shen, G. Sun, "Squeeze-and-Excitation Networks", CVPR 2018 (arXiv:1709.01507): table 1 for SE-ResNet-50 and
SE-ResNeXt-50, section 6 and the appendix for SENet-154; section 5.1 and table 4 of the journal version (arXiv v4) for
CIFAR, where the networks are the pre-activation ones of He et al. 2016. r = 16 everywhere. As in the authors' release,
the first max-pool is unpadded and rounds up, except in se_resnet50_v1_5 (timm's seresnet50). se_resnet20 … se_resnet110
for CIFAR are our own: the post-activation networks of He et al. 2015, which Hu et al. do not report.
"""

from __future__ import annotations

from dataclasses import replace

from repronet.models import preact_resnet
from repronet.models.residual import Design, network
from repronet.models.resnet import RESNET50, RESNET101, RESNET152, cifar_design
from repronet.models.resnext import RESNEXT50


def se_design(design: Design) -> Design:
    """The design with squeeze and excitation, r = 16, and, for a 224px stem, the unpadded pool."""
    return replace(design, reduction=16, stem="224px_ceil" if design.stem == "224px" else design.stem)


# Appendix: 64 groups, preceded by 1×1 convolutions of half the width; 3×3 projections and stem convolutions; dropout.
SENET154 = replace(
    se_design(RESNET152),
    stem="224px_deep",
    shortcut="3x3",
    stride_on_3x3=True,
    groups=64,
    width_per_group=4,
    half_first=True,
    dropout=0.2,
)

se_resnet50, se_resnet101, se_resnet152 = (
    network(f"se_resnet{depth}", se_design(design))
    for depth, design in ((50, RESNET50), (101, RESNET101), (152, RESNET152))
)
se_resnet50_v1_5 = network("se_resnet50_v1_5", replace(RESNET50, reduction=16, stride_on_3x3=True))  # timm's seresnet50
se_resnext50_32x4d = network("se_resnext50_32x4d", se_design(RESNEXT50))
senet154 = network("senet154", SENET154)
se_preact_resnet110, se_preact_resnet164 = (
    preact_resnet.network(f"se_preact_resnet{depth}", depth, reduction=16) for depth in (110, 164)
)
se_resnet20, se_resnet32, se_resnet44, se_resnet56, se_resnet110 = (
    network(f"se_resnet{layers}", se_design(cifar_design(layers))) for layers in (20, 32, 44, 56, 110)
)
