"""ResNet, plain networks, pre-activation ResNet, ResNeXt."""

from __future__ import annotations

from repronet.papers.records import Error, Facts, Paper, Printed, Recipe, Source, Stages

RESIDUAL = Paper(
    authors="K. He, X. Zhang, S. Ren, J. Sun",
    title="Deep Residual Learning for Image Recognition",
    venue="CVPR 2016",
    year=2015,
    arxiv="1512.03385",
)
IDENTITY_MAPPINGS = Paper(
    authors="K. He, X. Zhang, S. Ren, J. Sun",
    title="Identity Mappings in Deep Residual Networks",
    venue="ECCV 2016",
    year=2016,
    arxiv="1603.05027",
)
AGGREGATED = Paper(
    authors="S. Xie, R. Girshick, P. Dollár, Z. Tu, K. He",
    title="Aggregated Residual Transformations for Deep Neural Networks",
    venue="CVPR 2017",
    year=2016,
    arxiv="1611.05431",
)

_TOP1 = "ImageNet val top-1"
_CIFAR10 = "CIFAR-10 test"

IMAGENET_RECIPE = Recipe(
    "SGD 0.9, batch 256, rate 0.1, a tenth when the error stalls, weight decay 1e-4, 60e4 steps; random scale in 256 to"
    " 480, crops of 224, flips, per-pixel mean, colour",
    "section 3.4",
)
CIFAR_RECIPE = Recipe(
    "SGD 0.9, batch 128, rate 0.1, a tenth after 32k and 48k of 64k steps, weight decay 1e-4; 45k/5k split, crops of 32"
    " from 4 pixels of padding, flips, per-pixel mean",
    "section 4.2",
)
WARMUP_RECIPE = Recipe(
    CIFAR_RECIPE.text + "; rate 0.01 until the training error is below 80 % (about 400 steps), then 0.1", "section 4.2"
)
_IDENTITY_RECIPE = Recipe(CIFAR_RECIPE.text + "; rate 0.01 in the first 400 steps, then 0.1", "appendix")
_RESNEXT_RECIPE = Recipe(
    "SGD 0.9, batch 256, rate 0.1, a tenth three times as in fb.resnet.torch, after 30, 60 and 90 epochs, weight decay"
    " 1e-4; crops of 8 to 100 % of the area, 3:4 to 4:3, flips, colour",
    "section 4",
)
_RESNEXT_CIFAR_RECIPE = Recipe(
    "SGD 0.9 with Nesterov momentum, batch 128, rate 0.1, a tenth after 150 and 225 of 300 epochs, weight decay 5e-4",
    "section 5.2",
)


def imagenet_stages(expansion: int) -> Stages:
    """Table 1: the shape that leaves each stage, for 224 pixels."""
    stem = (("conv1", (64, 112, 112)), ("maxpool", (64, 56, 56)))
    sizes = enumerate((64, 128, 256, 512))
    return (*stem, *((f"layer{n + 1}", (expansion * width, 56 >> n, 56 >> n)) for n, width in sizes))


def small_stages(widths: tuple[int, ...]) -> Stages:
    """Section 4.2: the shape that leaves each stage, for 32 pixels."""
    stages = ((f"layer{n + 1}", (width, 32 >> n, 32 >> n)) for n, width in enumerate(widths))
    return (*stages,)


def _imagenet(
    title: str,
    parameters: int,
    macs: Printed | None,
    *,
    expansion: int = 1,
    field: int | None = None,
    errors: tuple[Error, ...] = (),
    deviations: tuple[str, ...] = (),
    source: Source = "torchvision",
    paper: Paper = RESIDUAL,
    recipe: Recipe | None = IMAGENET_RECIPE,
) -> Facts:
    return Facts(
        paper=paper,
        title=title,
        parameters=parameters,
        source=source,
        input=(3, 224, 224),
        classes=1000,
        modern=bool(deviations),
        deviations=deviations,
        macs=macs,
        stages=imagenet_stages(expansion),
        receptive_field=("layer4", field) if field else None,
        errors=errors,
        recipe=recipe,
    )


def _ten_crop(percent: float, where: str) -> tuple[Error]:
    return (Error(percent, _TOP1, "10-crop", where),)


def _cifar(
    title: str,
    parameters: int,
    macs: str | None,
    percent: float | None,
    *,
    where: str = "table 6",
    note: str = "",
    deviations: tuple[str, ...] = (),
    recipe: Recipe = CIFAR_RECIPE,
) -> Facts:
    return Facts(
        paper=RESIDUAL,
        title=title,
        parameters=parameters,
        source="computed",
        input=(3, 32, 32),
        classes=10,
        modern=bool(deviations),
        deviations=deviations,
        macs=Printed(macs) if macs else None,
        stages=small_stages((16, 32, 64)),
        errors=(Error(percent, _CIFAR10, "test images", where, note=note),) if percent else (),
        recipe=recipe,
    )


_CIFAR_SIZES = {
    # layers: parameters with option A, MACs, error of the residual network in percent
    20: (269_722, "40.55 M", 8.75),
    32: (464_154, "68.86 M", 7.51),
    44: (658_586, "97.17 M", 7.17),
    56: (853_018, "125.49 M", 6.97),
    110: (1_727_962, "252.89 M", 6.43),
}
_PROJECTIONS = 2_752  # parameters of option B: 16·32 + 2·32 + 32·64 + 2·64

_STRIDE = ("the 3×3 of a bottleneck halves the picture, not its first 1×1",)
_STEM = ("a 3×3 convolution for the 7×7/2 and the max-pool",)
_V1_5_ERRORS = {
    50: Error(23.87, _TOP1, "1-crop", "torchvision, IMAGENET1K_V1", verified=True),
    101: Error(22.626, _TOP1, "1-crop", "torchvision, IMAGENET1K_V1", verified=True),
    152: Error(21.688, _TOP1, "1-crop", "torchvision, IMAGENET1K_V1", verified=True),
}


def _small_input(depth: int, parameters: int, expansion: int) -> Facts:
    return Facts(
        paper=RESIDUAL,
        title=f"ResNet-{depth} with a stem for 32 pixels",
        parameters=parameters,
        source="computed",
        input=(3, 32, 32),
        classes=10,
        modern=True,
        deviations=_STEM,
        stages=small_stages(tuple(expansion * width for width in (64, 128, 256, 512))),
        recipe=CIFAR_RECIPE,
    )


def _preact(depth: int, parameters: int, expansion: int, percent: float, where: str) -> Facts:
    return Facts(
        paper=IDENTITY_MAPPINGS,
        title=f"pre-activation, {depth} layers",
        parameters=parameters,
        source="computed",
        input=(3, 32, 32),
        classes=10,
        printed={164: Printed("1.7 M"), 1001: Printed("10.2 M")}.get(depth) if depth != 1001 else None,
        stages=tuple((f"stages.{n}", (expansion * w, 32 >> n, 32 >> n)) for n, w in enumerate((16, 32, 64))),
        errors=(Error(percent, _CIFAR10, "test images", where),),
        recipe=_IDENTITY_RECIPE,
    )


def _resnext29(groups: int, parameters: int, macs: str | None, percent: float) -> Facts:
    return Facts(
        paper=AGGREGATED,
        title=f"29 layers, {groups} groups of 64, for CIFAR",
        parameters=parameters,
        source="computed",
        input=(3, 32, 32),
        classes=10,
        printed=Printed({8: "34.4 M", 16: "68.1 M"}[groups], truncated=groups == 16),
        macs=Printed(macs) if macs else None,
        stages=small_stages((256, 512, 1024)),
        errors=(Error(percent, _CIFAR10, "test images", "table 7"),),
        recipe=_RESNEXT_CIFAR_RECIPE,
    )


def _resnext(title: str, parameters: int, macs: str, percent: float | None, deviations: tuple[str, ...] = ()) -> Facts:
    errors = (Error(percent, _TOP1, "1-crop", "tables 3 and 4"),) if percent else ()
    return _imagenet(
        title,
        parameters,
        Printed(macs),
        expansion=4,
        errors=errors,
        paper=AGGREGATED,
        deviations=deviations,
        recipe=_RESNEXT_RECIPE,
    )


NETWORKS = {
    "resnet18": _imagenet("option B", 11_689_512, Printed("1.814 G"), field=435),
    "resnet34": _imagenet("option B", 21_797_672, Printed("3.664 G"), field=899, errors=_ten_crop(24.52, "table 3")),
    "resnet50": _imagenet(
        "He et al.: a 1×1 halves the picture",
        25_557_032,
        Printed("3.8 G", truncated=True),
        expansion=4,
        field=483,
        errors=_ten_crop(22.85, "table 3"),
    ),
    "resnet101": _imagenet(
        "He et al.: a 1×1 halves the picture",
        44_549_160,
        Printed("7.6 G"),
        expansion=4,
        field=1027,
        errors=_ten_crop(21.75, "table 3"),
    ),
    "resnet152": _imagenet(
        "He et al.: a 1×1 halves the picture",
        60_192_808,
        Printed("11.3 G"),
        expansion=4,
        field=1507,
        errors=_ten_crop(21.43, "table 3"),
    ),
    "resnet18_a": _imagenet(
        "option A: no parameters in shortcuts",
        11_515_688,
        Printed("1.8 G"),
        source="computed",
        errors=_ten_crop(27.88, "table 2"),
    ),
    "resnet34_a": _imagenet(
        "option A: no parameters in shortcuts",
        21_623_848,
        Printed("3.6 G", truncated=True),
        source="computed",
        errors=_ten_crop(25.03, "table 3"),
    ),
    "resnet34_c": _imagenet(
        "option C: a projection around every block",
        22_716_840,
        None,
        source="computed",
        errors=_ten_crop(24.19, "table 3"),
    ),
    "plain18": _imagenet(
        "no shortcuts", 11_515_688, Printed("1.8 G"), source="computed", errors=_ten_crop(27.94, "table 2")
    ),
    "plain34": _imagenet(
        "no shortcuts",
        21_623_848,
        Printed("3.6 G", truncated=True),
        source="computed",
        errors=_ten_crop(28.54, "table 2"),
    ),
    "resnet50_v1_5": _imagenet(
        "torchvision's resnet50",
        25_557_032,
        Printed("4.089 G"),
        expansion=4,
        deviations=_STRIDE,
        errors=(_V1_5_ERRORS[50],),
    ),
    "resnet101_v1_5": _imagenet(
        "torchvision's resnet101",
        44_549_160,
        Printed("7.801 G"),
        expansion=4,
        deviations=_STRIDE,
        errors=(_V1_5_ERRORS[101],),
    ),
    "resnet152_v1_5": _imagenet(
        "torchvision's resnet152",
        60_192_808,
        Printed("11.514 G"),
        expansion=4,
        deviations=_STRIDE,
        errors=(_V1_5_ERRORS[152],),
    ),
    "resnet18_32px": _small_input(18, 11_173_962, 1),
    "resnet34_32px": _small_input(34, 21_282_122, 1),
    "resnet50_32px": _small_input(50, 23_520_842, 4),
    **{
        f"resnet{depth}": _cifar(
            "CIFAR, option A",
            *figures,
            recipe=WARMUP_RECIPE if depth == 110 else CIFAR_RECIPE,
            note="best of 5; 6.61 ± 0.16" if depth == 110 else "",
        )
        for depth, figures in _CIFAR_SIZES.items()
    },
    "resnet1202": _cifar("CIFAR, option A", 19_421_274, None, 7.93, recipe=WARMUP_RECIPE),
    **{
        f"resnet{depth}_b": _cifar(
            "CIFAR, option B",
            parameters + _PROJECTIONS,
            None,
            None,
            deviations=("projections where the shape changes",),
        )
        for depth, (parameters, _, _) in _CIFAR_SIZES.items()
    },
    **{
        f"plain{depth}": _cifar("CIFAR, no shortcuts", parameters, macs, None)
        for depth, (parameters, macs, _) in _CIFAR_SIZES.items()
    },
    "preact_resnet110": _preact(110, 1_730_522, 1, 6.37, "table 2"),
    "preact_resnet164": _preact(164, 1_703_258, 4, 5.46, "table 3"),
    "preact_resnet1001": _preact(1001, 10_327_706, 4, 4.92, "table 3"),
    "resnext50_32x4d": _resnext("32 groups of 4", 25_028_904, "4.23 G", 22.2),
    "resnext101_32x8d": _resnext(
        "32 groups of 8: torchvision's",
        88_791_336,
        "16.414 G",
        None,
        ("8 planes a group, a size that the paper lacks",),
    ),
    "resnext101_64x4d": _resnext("64 groups of 4", 83_455_272, "15.46 G", 20.4),
    "resnext29_8x64d": _resnext29(8, 34_426_698, "5.39 G", 3.65),
    "resnext29_16x64d": _resnext29(16, 68_155_210, None, 3.58),
}
