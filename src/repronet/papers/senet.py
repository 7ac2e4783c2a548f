"""Squeeze and excitation."""

from __future__ import annotations

from repronet.papers.records import Error, Facts, Paper, Printed, Recipe
from repronet.papers.resnet import CIFAR_RECIPE, imagenet_stages, small_stages

SQUEEZE_EXCITATION = Paper(
    authors="J. Hu, L. Shen, G. Sun",
    title="Squeeze-and-Excitation Networks",
    venue="CVPR 2018",
    year=2017,
    arxiv="1709.01507",
)
_TOP1 = "ImageNet val top-1"
_RECIPE = Recipe(
    "SGD 0.9, batch 1024, rate 0.6, a tenth every 30 of 100 epochs, label smoothing 0.1", "section 4 and appendix"
)


def _imagenet(title: str, parameters: int, macs: Printed | None, errors: tuple[Error, ...]) -> Facts:
    return Facts(
        paper=SQUEEZE_EXCITATION,
        title=title,
        parameters=parameters,
        source="computed",
        input=(3, 224, 224),
        classes=1000,
        macs=macs,
        stages=imagenet_stages(4)[2:],
        errors=errors,
        recipe=_RECIPE,
    )


def _cifar(depth: int, parameters: int, percent: float | None) -> Facts:
    return Facts(
        paper=SQUEEZE_EXCITATION,
        title=f"ResNet-{depth} with squeeze and excitation, CIFAR",
        parameters=parameters,
        source="computed",
        input=(3, 32, 32),
        classes=10,
        stages=small_stages((16, 32, 64)),
        errors=(Error(percent, "CIFAR-10 test", "test images", "table 4"),) if percent else (),
        recipe=CIFAR_RECIPE,
    )


NETWORKS = {
    "se_resnet50": _imagenet("SE-ResNet-50", 28_088_024, None, (Error(23.29, _TOP1, "1-crop", "table 2"),)),
    "se_resnet50_v1_5": Facts(
        paper=SQUEEZE_EXCITATION,
        title="timm's seresnet50",
        parameters=28_088_024,
        source="computed",
        input=(3, 224, 224),
        classes=1000,
        modern=True,
        deviations=("the 3×3 of a bottleneck halves the picture", "a padded max-pool that rounds down"),
        macs=Printed("4.1 G"),
        stages=imagenet_stages(4),
    ),
    "se_resnet101": _imagenet("SE-ResNet-101", 49_326_872, None, (Error(22.38, _TOP1, "1-crop", "table 2"),)),
    "se_resnet152": _imagenet("SE-ResNet-152", 66_821_848, None, (Error(21.57, _TOP1, "1-crop", "table 2"),)),
    "se_resnext50_32x4d": _imagenet("SE-ResNeXt-50", 27_559_896, None, (Error(21.10, _TOP1, "1-crop", "table 2"),)),
    "senet154": _imagenet("SENet-154", 115_088_984, Printed("20.7 G"), (Error(18.68, _TOP1, "1-crop", "section 6"),)),
    "se_resnet20": _cifar(20, 272_095, None),
    "se_resnet32": _cifar(32, 468_109, None),
    "se_resnet44": _cifar(44, 664_123, None),
    "se_resnet56": _cifar(56, 860_137, None),
    "se_resnet110": _cifar(110, 1_742_200, 5.21),
}
