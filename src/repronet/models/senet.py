"""Squeeze-and-excitation networks.

J. Hu, L. Shen, G. Sun, "Squeeze-and-Excitation Networks", CVPR 2018 (arXiv:1709.01507): table 1 for SE-ResNet-50 and
SE-ResNeXt-50, section 6 and the appendix for SENet-154; section 5.1 and table 4 of the journal version (arXiv v4) for
CIFAR, where the networks are the pre-activation ones of He et al. 2016. r = 16 everywhere. As in the authors' release
the first max-pool is unpadded and rounds up. se_resnet20 … se_resnet110 for CIFAR are our own: the post-activation
networks of He et al. 2015, of which Hu et al. publish nothing.
"""

from __future__ import annotations

from dataclasses import replace

from repronet.models import preact_resnet
from repronet.models.residual import Design, ResNet, network
from repronet.models.resnet import RESNET50, RESNET101, RESNET152, cifar_design
from repronet.models.resnext import RESNEXT50
from repronet.models.variant import Build


def se_design(design: Design) -> Design:
    """The same with squeeze and excitation, r = 16, behind the unpadded pool."""
    return replace(design, reduction=16, stem="224px_ceil" if design.stem == "224px" else design.stem)


def _cifar(layers: int) -> Build[ResNet]:
    doc = f"ResNet-{layers} for CIFAR, option A, with squeeze and excitation; not in the paper."
    return network(f"se_resnet{layers}", se_design(cifar_design(layers)), doc)


# Appendix: 64 groups, 1×1 convolutions of half the width before them, 3×3 for the projections and the stem, dropout.
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

se_resnet50 = network("se_resnet50", se_design(RESNET50), "SE-ResNet-50, table 1: 28,088,024 parameters.")
se_resnet50_v1_5 = network(
    "se_resnet50_v1_5",
    replace(RESNET50, reduction=16, stride_on_3x3=True),
    "SE-ResNet-50 with the stride on the 3×3 and a padded pool, as timm's seresnet50; not in the paper.",
)
se_resnet101 = network("se_resnet101", se_design(RESNET101), "SE-ResNet-101, table 2.")
se_resnet152 = network("se_resnet152", se_design(RESNET152), "SE-ResNet-152, table 2.")
se_resnext50_32x4d = network(
    "se_resnext50_32x4d", se_design(RESNEXT50), "SE-ResNeXt-50, table 1: 27,559,896 parameters."
)
senet154 = network("senet154", SENET154, "SENet-154, section 6: 115,088,984 parameters.")

se_preact_resnet110 = preact_resnet.network(
    "se_preact_resnet110", 110, "SE-ResNet-110 of table 4: pre-activation.", bottleneck=False, reduction=16
)
se_preact_resnet164 = preact_resnet.network(
    "se_preact_resnet164", 164, "SE-ResNet-164 of table 4: pre-activation, bottlenecks.", bottleneck=True, reduction=16
)

se_resnet20 = _cifar(20)
se_resnet32 = _cifar(32)
se_resnet44 = _cifar(44)
se_resnet56 = _cifar(56)
se_resnet110 = _cifar(110)
