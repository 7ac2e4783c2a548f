"""Squeeze and excitation."""

from __future__ import annotations

from repronet.papers.records import CIFAR, IMAGENET, TOP1, Error, Facts, Paper, Printed, Recipe, cifar10_error
from repronet.papers.resnet import CIFAR_RECIPE, imagenet_stages, small_stages

SQUEEZE_EXCITATION = Paper("J. Hu, L. Shen, G. Sun", "Squeeze-and-Excitation Networks", "CVPR 2018", 2017, "1709.01507")
_RECIPE = Recipe(
    "SGD 0.9, batch 1024, rate 0.6, a tenth every 30 of 100 epochs, label smoothing 0.1", "section 4 and appendix"
)


def _imagenet(title: str, parameters: int, percent: float, where: str = "table 2", macs: str | None = None) -> Facts:
    return Facts(
        SQUEEZE_EXCITATION,
        title,
        parameters,
        *IMAGENET,
        macs=Printed(macs) if macs else None,
        stages=imagenet_stages(4)[2:],
        errors=(Error(percent, TOP1, "1-crop", where),),
        recipe=_RECIPE,
    )


def _cifar(depth: int, parameters: int, percent: float | None = None) -> Facts:
    return Facts(
        SQUEEZE_EXCITATION,
        f"ResNet-{depth} with squeeze and excitation, CIFAR",
        parameters,
        *CIFAR,
        stages=small_stages(16, 32, 64),
        errors=(cifar10_error(percent, "table 4"),) if percent else (),
        recipe=CIFAR_RECIPE,
    )


NETWORKS = {
    "se_resnet50": _imagenet("SE-ResNet-50", 28_088_024, 23.29),
    "se_resnet50_v1_5": Facts(
        SQUEEZE_EXCITATION,
        "timm's seresnet50",
        28_088_024,
        *IMAGENET,
        modern=True,
        deviations=("the 3×3 of a bottleneck halves the picture", "a padded max-pool that rounds down"),
        macs=Printed("4.1 G"),
        stages=imagenet_stages(4),
    ),
    "se_resnet101": _imagenet("SE-ResNet-101", 49_326_872, 22.38),
    "se_resnet152": _imagenet("SE-ResNet-152", 66_821_848, 21.57),
    "se_resnext50_32x4d": _imagenet("SE-ResNeXt-50", 27_559_896, 21.10),
    "senet154": _imagenet("SENet-154", 115_088_984, 18.68, "section 6", "20.7 G"),
    "se_resnet20": _cifar(20, 272_095),
    "se_resnet32": _cifar(32, 468_109),
    "se_resnet44": _cifar(44, 664_123),
    "se_resnet56": _cifar(56, 860_137),
    "se_resnet110": _cifar(110, 1_742_200, 5.21),
}
