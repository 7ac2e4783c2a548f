"""Residual networks and their plain twins.

K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016 (arXiv:1512.03385): table 1
for ImageNet, section 4.2 for CIFAR-10.

============================== =====================================================================================
names                          what they are
============================== =====================================================================================
resnet18 … resnet152           table 1, option B: projections where the shape changes; the first 1×1 of a bottleneck
                               halves the picture, as the authors' own release does
resnet50_caffe …               the same behind the unpadded first pool of that release, which rounds up; the paper's
                               text does not decide, and the later release in Torch (fb.resnet.torch) pads
resnet18_a, resnet34_a         table 2, option A: shortcuts without parameters
resnet34_c                     table 3, option C: a projection around every block
resnet50_v1_5 …                modern: the 3×3 halves the picture; these are torchvision's networks
plain18, plain34               table 2: no shortcuts
resnet18_32px …                modern: table 1 with a stem for pictures of 32 pixels
resnet20 … resnet1202          section 4.2, option A, 6n + 2 layers
resnet20_b … resnet110_b       the same with option B
plain20 … plain110             section 4.2, no shortcuts
============================== =====================================================================================
"""

from __future__ import annotations

from dataclasses import replace

from repronet.models.residual import Design, network

IMAGENET_WIDTHS = (64, 128, 256, 512)
CIFAR_WIDTHS = (16, 32, 64)

# Table 1.
RESNET18 = Design(depths=(2, 2, 2, 2), widths=IMAGENET_WIDTHS, bottleneck=False, stem="224px")
RESNET34 = replace(RESNET18, depths=(3, 4, 6, 3))
RESNET50 = replace(RESNET34, bottleneck=True)
RESNET101 = replace(RESNET50, depths=(3, 4, 23, 3))
RESNET152 = replace(RESNET50, depths=(3, 8, 36, 3))


def cifar_design(layers: int) -> Design:
    """Section 4.2: 6n + 2 layers in three stages of 16, 32 and 64 planes, option A."""
    n = (layers - 2) // 6
    return Design(depths=(n, n, n), widths=CIFAR_WIDTHS, bottleneck=False, stem="32px", shortcut="A")


resnet18 = network("resnet18", RESNET18, "ResNet-18, table 1: 11,689,512 parameters.")
resnet34 = network("resnet34", RESNET34, "ResNet-34 B, table 1: 21,797,672 parameters.")
resnet50 = network("resnet50", RESNET50, "ResNet-50, table 1: 25,557,032 parameters.")
resnet101 = network("resnet101", RESNET101, "ResNet-101, table 1: 44,549,160 parameters.")
resnet152 = network("resnet152", RESNET152, "ResNet-152, table 1: 60,192,808 parameters.")

_CAFFE = "{} of table 1 behind the unpadded pool of the authors' Caffe release."
resnet50_caffe = network("resnet50_caffe", replace(RESNET50, stem="224px_ceil"), _CAFFE.format("ResNet-50"))
resnet101_caffe = network("resnet101_caffe", replace(RESNET101, stem="224px_ceil"), _CAFFE.format("ResNet-101"))
resnet152_caffe = network("resnet152_caffe", replace(RESNET152, stem="224px_ceil"), _CAFFE.format("ResNet-152"))

resnet18_a = network("resnet18_a", replace(RESNET18, shortcut="A"), "ResNet-18 of table 2: option A.")
resnet34_a = network("resnet34_a", replace(RESNET34, shortcut="A"), "ResNet-34 A, tables 2 and 3.")
resnet34_c = network("resnet34_c", replace(RESNET34, shortcut="C"), "ResNet-34 C, table 3.")
plain18 = network("plain18", replace(RESNET18, shortcut="none"), "The plain 18-layer network of table 2.")
plain34 = network("plain34", replace(RESNET34, shortcut="none"), "The plain 34-layer network of table 2.")

_V1_5 = "{} with the stride on the 3×3, as torchvision builds it; not in the paper."
resnet50_v1_5 = network("resnet50_v1_5", replace(RESNET50, stride_on_3x3=True), _V1_5.format("ResNet-50"))
resnet101_v1_5 = network("resnet101_v1_5", replace(RESNET101, stride_on_3x3=True), _V1_5.format("ResNet-101"))
resnet152_v1_5 = network("resnet152_v1_5", replace(RESNET152, stride_on_3x3=True), _V1_5.format("ResNet-152"))

_32PX = "{} of table 1 behind one 3×3 convolution instead of 7×7/2 and the pool; not in the paper."
resnet18_32px = network("resnet18_32px", replace(RESNET18, stem="32px"), _32PX.format("ResNet-18"))
resnet34_32px = network("resnet34_32px", replace(RESNET34, stem="32px"), _32PX.format("ResNet-34"))
resnet50_32px = network("resnet50_32px", replace(RESNET50, stem="32px"), _32PX.format("ResNet-50"))

_A = "Section 4.2, {} layers, option A."
resnet20 = network("resnet20", cifar_design(20), _A.format(20))
resnet32 = network("resnet32", cifar_design(32), _A.format(32))
resnet44 = network("resnet44", cifar_design(44), _A.format(44))
resnet56 = network("resnet56", cifar_design(56), _A.format(56))
resnet110 = network("resnet110", cifar_design(110), _A.format(110))
resnet1202 = network("resnet1202", cifar_design(1202), _A.format(1202))

_B = "Section 4.2, {} layers, with projections where the shape changes."
resnet20_b = network("resnet20_b", replace(cifar_design(20), shortcut="B"), _B.format(20))
resnet32_b = network("resnet32_b", replace(cifar_design(32), shortcut="B"), _B.format(32))
resnet44_b = network("resnet44_b", replace(cifar_design(44), shortcut="B"), _B.format(44))
resnet56_b = network("resnet56_b", replace(cifar_design(56), shortcut="B"), _B.format(56))
resnet110_b = network("resnet110_b", replace(cifar_design(110), shortcut="B"), _B.format(110))

_PLAIN = "Section 4.2, {} layers without shortcuts."
plain20 = network("plain20", replace(cifar_design(20), shortcut="none"), _PLAIN.format(20))
plain32 = network("plain32", replace(cifar_design(32), shortcut="none"), _PLAIN.format(32))
plain44 = network("plain44", replace(cifar_design(44), shortcut="none"), _PLAIN.format(44))
plain56 = network("plain56", replace(cifar_design(56), shortcut="none"), _PLAIN.format(56))
plain110 = network("plain110", replace(cifar_design(110), shortcut="none"), _PLAIN.format(110))
