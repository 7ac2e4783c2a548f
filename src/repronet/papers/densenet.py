"""DenseNet."""

from __future__ import annotations

from repronet.papers.records import CIFAR, IMAGENET, TOP1, Error, Facts, Paper, Printed, Recipe, cifar10_error, stages

DENSE = Paper(
    "G. Huang, Z. Liu, L. van der Maaten, K. Weinberger",
    "Densely Connected Convolutional Networks",
    "CVPR 2017",
    2016,
    "1608.06993",
)
_IMAGENET_RECIPE = Recipe(
    "SGD 0.9 with Nesterov momentum, batch 256, rate 0.1, a tenth after 30 and 60 of 90 epochs, weight decay 1e-4",
    "section 4.2",
)
# For want of memory, as an earlier version of the paper says.
_SMALL_BATCH_RECIPE = Recipe(
    "SGD 0.9 with Nesterov momentum, batch 128, rate 0.1, a tenth after 30, 60 and 90 of 100 epochs, weight decay 1e-4",
    "section 4.2",
)
_CIFAR_RECIPE = Recipe(
    "SGD 0.9 with Nesterov momentum, batch 64, rate 0.1, a tenth after half and three quarters of 300 epochs,"
    " weight decay 1e-4; dropout 0.2 where nothing is augmented",
    "section 4.2",
)


def _imagenet(depth: int, parameters: int, macs: str, percent: float, stem: int, *blocks: int) -> Facts:
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
        errors=(Error(percent, TOP1, "1-crop", "table 3"),),
        recipe=_SMALL_BATCH_RECIPE if depth == 161 else _IMAGENET_RECIPE,
    )


def _cifar(
    title: str, parameters: int, percent: float, *, plain: float | None = None, macs: str | None = None
) -> Facts:
    augmented = cifar10_error(percent, "table 2", "with shifts and flips")
    without = (cifar10_error(plain, "table 2", "no augmentation"),) if plain else ()
    printed = Printed(macs) if macs else None
    return Facts(DENSE, title, parameters, *CIFAR, macs=printed, errors=(augmented, *without), recipe=_CIFAR_RECIPE)


NETWORKS = {
    "densenet121": _imagenet(121, 7_978_856, "2.834 G", 25.02, 64, 256, 512, 1024, 1024),
    "densenet169": _imagenet(169, 14_149_480, "3.36 G", 23.80, 64, 256, 512, 1280, 1664),
    "densenet201": _imagenet(201, 20_013_928, "4.291 G", 22.58, 64, 256, 512, 1792, 1920),
    "densenet161": _imagenet(161, 28_681_000, "7.728 G", 22.2, 96, 384, 768, 2112, 2208),
    "densenet40_12": _cifar("40 layers, growth 12", 1_019_722, 5.24, plain=7.00),
    "densenet100_12": _cifar("100 layers, growth 12", 6_979_642, 4.10, plain=5.77),
    "densenet_bc_100_12": _cifar("bottlenecks, compression; 100 layers, growth 12", 769_162, 4.51, macs="0.288 G"),
    "densenet_bc_250_24": _cifar("bottlenecks, compression; 250 layers, growth 24", 15_324_406, 3.62),
    "densenet_bc_190_40": _cifar("bottlenecks, compression; 190 layers, growth 40", 25_624_430, 3.46),
}
