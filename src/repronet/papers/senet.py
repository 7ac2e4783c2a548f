"""Squeeze and excitation."""

from __future__ import annotations

from functools import partial

from repronet.papers.records import (
    CIFAR,
    CIFAR100_TEST,
    IMAGENET,
    TOP1,
    Citation,
    Error,
    Facts,
    Paper,
    Recipe,
    both,
    cifar10_error,
)
from repronet.papers.resnet import CIFAR_RECIPE, imagenet_stages, small_stages

SQUEEZE_EXCITATION = Paper("J. Hu, L. Shen, G. Sun", "Squeeze-and-Excitation Networks", "CVPR 2018", 2017, "1709.01507")
_se = partial(Citation, "arXiv:1709.01507v4")
_RELEASE = Citation("hujie-frank/SENet", "README.md", "authors' repository")
_RECIPE = Recipe(
    "SGD 0.9, batch 1024, rate 0.6, a tenth every 30 of 100 epochs; mean colour subtracted; crops of 8 to 100 % of the"
    " area, flips",
    _se("section 5.1"),
)
_SENET154_RECIPE = Recipe(
    "SGD 0.9, batch 2048, rate 1.0, label smoothing 0.1, dropout 0.2 before the classifier, batch norm's statistics"
    " frozen in the last epochs",
    _se("appendix"),
)


def _imagenet(
    title: str, parameters: int, errors: tuple[Error, ...], macs: int, printed: str = "", recipe: Recipe = _RECIPE
) -> Facts:
    counts = f"the paper prints {printed} G operations, which are more than those of layers with weights"
    return Facts(
        SQUEEZE_EXCITATION,
        title,
        parameters,
        *IMAGENET,
        macs=macs,
        notes=(counts,) if printed else (),
        stages=imagenet_stages(4)[2:],
        errors=errors,
        recipe=recipe,
    )


def _table_2(percent: float, released: float) -> tuple[Error, Error]:
    """The paper's figure, and that of the weights which its authors trained anew for their release."""
    note = "the released weights: batches of 256, rotation and colour"
    return Error(percent, TOP1, "1-crop", _se("table 2")), Error(released, TOP1, "1-crop", _RELEASE, note=note)


def _preact(depth: int, parameters: int, macs: int, errors: tuple[float, float], *widths: int) -> Facts:
    """Table 4 of the journal version: the networks of He et al. 2016. Errors on CIFAR-10 and CIFAR-100."""
    copied = Citation("arXiv:1709.01507v4", "table 5", "secondary")
    return Facts(
        SQUEEZE_EXCITATION,
        f"pre-activation ResNet-{depth} with squeeze and excitation, CIFAR",
        parameters,
        *CIFAR,
        macs=macs,
        stages=small_stages(*widths, name="stages.", first=0),
        errors=(cifar10_error(errors[0], _se("table 4")), Error(errors[1], CIFAR100_TEST, "test images", copied)),
        recipe=Recipe(f"{CIFAR_RECIPE.text}, mean and deviation in place of a mean image", _se("section 5.1")),
    )


def _cifar(depth: int, parameters: int) -> Facts:
    return Facts(
        SQUEEZE_EXCITATION,
        f"ResNet-{depth} with squeeze and excitation, CIFAR",
        parameters,
        *CIFAR,
        modern=True,
        deviations=("post-activation, as He et al. 2015; the paper's networks for CIFAR are the pre-activation ones",),
        stages=small_stages(16, 32, 64),
        recipe=CIFAR_RECIPE,
    )


_SENET154 = (
    Error(18.68, TOP1, "1-crop", _se("table 8")),
    *both(17.28, 3.79, "1-crop", _se("table 8"), "320 pixels"),
    *both(16.88, 3.58, "1-crop", _se("table 9"), "trained and tested at 320 pixels"),
)

NETWORKS = {
    "se_resnet50": _imagenet("SE-ResNet-50", 28_088_024, _table_2(23.29, 22.37), 3_860_488_192, "3.87"),
    "se_resnet50_v1_5": Facts(
        SQUEEZE_EXCITATION,
        "timm's seresnet50",
        28_088_024,
        *IMAGENET,
        modern=True,
        deviations=("the 3×3 of a bottleneck halves the picture", "a padded max-pool that rounds down"),
        macs=4_091_699_200,
        stages=imagenet_stages(4),
    ),
    "se_resnet101": _imagenet("SE-ResNet-101", 49_326_872, _table_2(22.38, 21.75), 7_574_937_600, "7.60"),
    "se_resnet152": _imagenet("SE-ResNet-152", 66_821_848, _table_2(21.57, 21.34), 11_288_993_792, "11.32"),
    "se_resnext50_32x4d": _imagenet("SE-ResNeXt-50", 27_559_896, _table_2(21.10, 20.97), 4_232_994_816, "4.25"),
    "senet154": _imagenet("SENet-154", 115_088_984, _SENET154, 20_688_363_520, recipe=_SENET154_RECIPE),
    "se_preact_resnet110": _preact(110, 1_744_760, 253_161_920, (5.21, 23.85), 16, 32, 64),
    "se_preact_resnet164": _preact(164, 1_905_362, 244_694_528, (4.39, 21.31), 64, 128, 256),
    "se_resnet20": _cifar(20, 272_095),
    "se_resnet32": _cifar(32, 468_109),
    "se_resnet44": _cifar(44, 664_123),
    "se_resnet56": _cifar(56, 860_137),
    "se_resnet110": _cifar(110, 1_742_200),
}
