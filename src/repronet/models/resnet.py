"""Residual networks, and plain networks without their shortcuts.

K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016 (arXiv:1512.03385): table 1
for ImageNet, section 4.2 for CIFAR-10.

============================== =====================================================================================
names                          what they are
============================== =====================================================================================
resnet18 … resnet152           table 1, option B: projections where the shape changes; the first 1×1 of a bottleneck
                               halves the image, as the authors' own release does
resnet50_caffe …               the same with the unpadded first pool of that release, which rounds up; the paper's
                               text does not say, and the later release in Torch (fb.resnet.torch) pads
resnet18_a, resnet34_a         table 2, option A: shortcuts without parameters
resnet34_c                     table 3, option C: a projection around every block
resnet50_v1_5 …                modern: the 3×3 halves the image; these are torchvision's networks
plain18, plain34               table 2: no shortcuts
resnet18_32px …                modern: table 1 with a stem for images of 32 pixels
resnet20 … resnet1202          section 4.2, option A, 6n + 2 layers
resnet20_b … resnet110_b       the same with option B
plain20 … plain110             section 4.2, no shortcuts
============================== =====================================================================================
"""

from __future__ import annotations

from dataclasses import replace

from repronet.models.residual import Design, Shortcut, network

IMAGENET_WIDTHS = (64, 128, 256, 512)
CIFAR_WIDTHS = (16, 32, 64)

# Table 1.
RESNET18 = Design(depths=(2, 2, 2, 2), widths=IMAGENET_WIDTHS, bottleneck=False, stem="224px")
RESNET34 = replace(RESNET18, depths=(3, 4, 6, 3))
RESNET50 = replace(RESNET34, bottleneck=True)
RESNET101 = replace(RESNET50, depths=(3, 4, 23, 3))
RESNET152 = replace(RESNET50, depths=(3, 8, 36, 3))


def cifar_design(layers: int, shortcut: Shortcut = "A") -> Design:
    """Section 4.2: 6n + 2 layers in three stages of 16, 32 and 64 planes."""
    n = (layers - 2) // 6
    return Design(depths=(n, n, n), widths=CIFAR_WIDTHS, bottleneck=False, stem="32px", shortcut=shortcut)


_TABLE_1 = {18: RESNET18, 34: RESNET34, 50: RESNET50, 101: RESNET101, 152: RESNET152}
_DEEP = {depth: _TABLE_1[depth] for depth in (50, 101, 152)}

resnet18, resnet34, resnet50, resnet101, resnet152 = (
    network(f"resnet{depth}", design) for depth, design in _TABLE_1.items()
)
resnet50_caffe, resnet101_caffe, resnet152_caffe = (
    network(f"resnet{depth}_caffe", replace(design, stem="224px_ceil")) for depth, design in _DEEP.items()
)
resnet50_v1_5, resnet101_v1_5, resnet152_v1_5 = (
    network(f"resnet{depth}_v1_5", replace(design, stride_on_3x3=True)) for depth, design in _DEEP.items()
)
resnet18_32px, resnet34_32px, resnet50_32px = (
    network(f"resnet{depth}_32px", replace(_TABLE_1[depth], stem="32px")) for depth in (18, 34, 50)
)
resnet18_a, resnet34_a = (network(f"resnet{depth}_a", replace(_TABLE_1[depth], shortcut="A")) for depth in (18, 34))
resnet34_c = network("resnet34_c", replace(RESNET34, shortcut="C"))
plain18, plain34 = (network(f"plain{depth}", replace(_TABLE_1[depth], shortcut="none")) for depth in (18, 34))

resnet20, resnet32, resnet44, resnet56, resnet110, resnet1202 = (
    network(f"resnet{layers}", cifar_design(layers)) for layers in (20, 32, 44, 56, 110, 1202)
)
resnet20_b, resnet32_b, resnet44_b, resnet56_b, resnet110_b = (
    network(f"resnet{layers}_b", cifar_design(layers, "B")) for layers in (20, 32, 44, 56, 110)
)
plain20, plain32, plain44, plain56, plain110 = (
    network(f"plain{layers}", cifar_design(layers, "none")) for layers in (20, 32, 44, 56, 110)
)
