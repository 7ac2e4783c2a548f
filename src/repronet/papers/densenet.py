"""DenseNet."""

from __future__ import annotations

from functools import partial

from repronet.papers.records import (
    CIFAR,
    CIFAR10_TEST,
    CIFAR100_TEST,
    IMAGENET,
    TOP1,
    Citation,
    Error,
    Facts,
    Paper,
    Printed,
    Recipe,
    both,
    stages,
)

DENSE = Paper(
    "G. Huang, Z. Liu, L. van der Maaten, K. Weinberger",
    "Densely Connected Convolutional Networks",
    "CVPR 2017",
    2016,
    "1608.06993",
)
_dense = partial(Citation, "arXiv:1608.06993v5")
_RELEASE = Citation("liuzhuang13/DenseNet", "README.md", "authors' repository")
_IMAGENET_RECIPE = Recipe(
    "SGD 0.9 with Nesterov momentum, batch 256, rate 0.1, a tenth after 30 and 60 of 90 epochs, weight decay 1e-4",
    _dense("section 4.2"),
)
# For want of memory, as an earlier version of the paper says.
_SMALL_BATCH_RECIPE = Recipe(
    "SGD 0.9 with Nesterov momentum, batch 128, rate 0.1, a tenth after 30, 60 and 90 of 100 epochs, weight decay 1e-4",
    Citation("arXiv:1608.06993, an earlier version", "section 4.2", "secondary"),
)
_CIFAR_RECIPE = Recipe(
    "SGD 0.9 with Nesterov momentum, batch 64, rate 0.1, a tenth after half and three quarters of 300 epochs,"
    " weight decay 1e-4; dropout 0.2 after every convolution but the first where nothing is augmented; trained on all"
    " 50,000 images and tested once, at the end",
    _dense("sections 4.1 and 4.2"),
)


def _imagenet(depth: int, parameters: int, macs: str, errors: tuple[Error, ...], stem: int, *blocks: int) -> Facts:
    """``blocks`` are the planes that leave each of the four."""
    dense = ", ".join(f"features.denseblock{n + 1} {c}×{56 >> n}×{56 >> n}" for n, c in enumerate(blocks))
    return Facts(
        DENSE,
        f"{depth} layers, growth {stem // 2}",
        parameters,
        *IMAGENET,
        source="torchvision",
        macs=Printed(macs),
        stages=stages(f"features.conv0 {stem}×112×112, features.pool0 {stem}×56×56, {dense}"),
        errors=errors,
        recipe=_SMALL_BATCH_RECIPE if depth == 161 else _IMAGENET_RECIPE,
    )


def _cifar(title: str, parameters: int, printed: str, errors: tuple[Error, ...], macs: int | None = None) -> Facts:
    return Facts(
        DENSE,
        title,
        parameters,
        *CIFAR,
        printed=Printed(printed),
        macs=macs,
        errors=errors,
        recipe=_CIFAR_RECIPE,
    )


def _table_2(augmented: tuple[float, float], plain: tuple[float, float] | None) -> tuple[Error, ...]:
    """Percent on CIFAR-10 and CIFAR-100; the same figures stand in the README of the release."""
    kinds = ((augmented, "with shifts and flips"), (plain, "no augmentation"))
    return tuple(
        Error(percent, of, "test images", _dense("table 2"), note=note)
        for percents, note in kinds
        for percent, of in zip(percents or (), (CIFAR10_TEST, CIFAR100_TEST), strict=False)
    )


def _table_3(top1: float, top5: float, ten_crops: float) -> tuple[Error, ...]:
    where = _dense("table 3")
    return (*both(top1, top5, "1-crop", where), Error(ten_crops, TOP1, "10-crop", where))


NETWORKS = {
    "densenet121": _imagenet(121, 7_978_856, "2.834 G", _table_3(25.02, 7.71, 23.61), 64, 256, 512, 1024, 1024),
    "densenet169": _imagenet(169, 14_149_480, "3.36 G", _table_3(23.80, 6.85, 22.08), 64, 256, 512, 1280, 1664),
    "densenet201": _imagenet(201, 20_013_928, "4.291 G", _table_3(22.58, 6.34, 21.46), 64, 256, 512, 1792, 1920),
    "densenet161": _imagenet(
        161, 28_681_000, "7.728 G", (Error(22.2, TOP1, "1-crop", _RELEASE),), 96, 384, 768, 2112, 2208
    ),
    "densenet40_12": _cifar("40 layers, growth 12", 1_019_722, "1.0 M", _table_2((5.24, 24.42), (7.00, 27.55))),
    "densenet100_12": _cifar("100 layers, growth 12", 6_979_642, "7.0 M", _table_2((4.10, 20.20), (5.77, 23.79))),
    "densenet_bc_100_12": _cifar(
        "bottlenecks, compression; 100 layers, growth 12",
        769_162,
        "0.8 M",
        _table_2((4.51, 22.27), (5.92, 24.15)),
        287_929_692,
    ),
    "densenet_bc_250_24": _cifar(
        "bottlenecks, compression; 250 layers, growth 24", 15_324_406, "15.3 M", _table_2((3.62, 17.60), (5.19, 19.64))
    ),
    "densenet_bc_190_40": _cifar(
        "bottlenecks, compression; 190 layers, growth 40", 25_624_430, "25.6 M", _table_2((3.46, 17.18), None)
    ),
}
