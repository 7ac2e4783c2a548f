"""ResNet, plain networks, pre-activation ResNet, ResNeXt."""

from __future__ import annotations

from dataclasses import replace

from repronet.papers.records import (
    CIFAR,
    IMAGENET,
    TOP1,
    TORCHVISION,
    Error,
    Facts,
    Paper,
    Printed,
    Recipe,
    Stages,
    cifar10_error,
    cut,
)

RESIDUAL = Paper(
    "K. He, X. Zhang, S. Ren, J. Sun", "Deep Residual Learning for Image Recognition", "CVPR 2016", 2015, "1512.03385"
)
IDENTITY_MAPPINGS = Paper(
    "K. He, X. Zhang, S. Ren, J. Sun", "Identity Mappings in Deep Residual Networks", "ECCV 2016", 2016, "1603.05027"
)
AGGREGATED = Paper(
    "S. Xie, R. Girshick, P. Dollár, Z. Tu, K. He",
    "Aggregated Residual Transformations for Deep Neural Networks",
    "CVPR 2017",
    2016,
    "1611.05431",
)

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


def small_stages(*widths: int, name: str = "layer", first: int = 1) -> Stages:
    """Section 4.2: the shape that leaves each stage, for 32 pixels."""
    return tuple((f"{name}{first + n}", (width, 32 >> n, 32 >> n)) for n, width in enumerate(widths))


def _imagenet(
    title: str,
    parameters: int,
    macs: Printed | None,
    *errors: Error,
    expansion: int = 1,
    field: int | None = None,
    deviation: str | None = None,
) -> Facts:
    """Those of which torchvision states the size; :func:`_computed` are the others."""
    return Facts(
        RESIDUAL,
        title,
        parameters,
        *IMAGENET,
        source="torchvision",
        modern=deviation is not None,
        deviations=(deviation,) if deviation else (),
        macs=macs,
        stages=imagenet_stages(expansion),
        receptive_field=("layer4", field) if field else None,
        errors=errors,
        recipe=IMAGENET_RECIPE,
    )


def _computed(title: str, parameters: int, macs: Printed | None, error: Error) -> Facts:
    return replace(_imagenet(title, parameters, macs, error), source="computed")


def _v1_5(depth: int, parameters: int, macs: str, percent: float) -> Facts:
    return _imagenet(
        f"torchvision's resnet{depth}",
        parameters,
        Printed(macs),
        Error(percent, TOP1, "1-crop", TORCHVISION, verified=True),
        expansion=4,
        deviation="the 3×3 of a bottleneck halves the picture, not its first 1×1",
    )


def _ten_crop(percent: float, where: str = "table 3") -> Error:
    return Error(percent, TOP1, "10-crop", where)


def _resnext(title: str, parameters: int, macs: str, percent: float | None, deviation: str | None = None) -> Facts:
    errors = (Error(percent, TOP1, "1-crop", "tables 3 and 4"),) if percent else ()
    facts = _imagenet(title, parameters, Printed(macs), *errors, expansion=4, deviation=deviation)
    return replace(facts, paper=AGGREGATED, recipe=_RESNEXT_RECIPE)


def _cifar(title: str, parameters: int, macs: str | None, *errors: Error, recipe: Recipe = CIFAR_RECIPE) -> Facts:
    printed = Printed(macs) if macs else None
    shapes = small_stages(16, 32, 64)
    return Facts(RESIDUAL, title, parameters, *CIFAR, macs=printed, stages=shapes, errors=errors, recipe=recipe)


def _small_input(depth: int, parameters: int, expansion: int) -> Facts:
    return Facts(
        RESIDUAL,
        f"ResNet-{depth} with a stem for 32 pixels",
        parameters,
        *CIFAR,
        modern=True,
        deviations=("a 3×3 convolution for the 7×7/2 and the max-pool",),
        stages=small_stages(*(expansion * width for width in (64, 128, 256, 512))),
        recipe=CIFAR_RECIPE,
    )


def _preact(depth: int, parameters: int, expansion: int, error: Error, printed: Printed | None = None) -> Facts:
    return Facts(
        IDENTITY_MAPPINGS,
        f"pre-activation, {depth} layers",
        parameters,
        *CIFAR,
        printed=printed,
        stages=small_stages(*(expansion * width for width in (16, 32, 64)), name="stages.", first=0),
        errors=(error,),
        recipe=_IDENTITY_RECIPE,
    )


def _resnext29(groups: int, parameters: int, printed: Printed, macs: Printed | None, percent: float) -> Facts:
    return Facts(
        AGGREGATED,
        f"29 layers, {groups} groups of 64, for CIFAR",
        parameters,
        *CIFAR,
        printed=printed,
        macs=macs,
        stages=small_stages(256, 512, 1024),
        errors=(cifar10_error(percent, "table 7"),),
        recipe=_RESNEXT_CIFAR_RECIPE,
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
_HE = "He et al.: a 1×1 halves the picture"
_OPTION_A = "option A: no parameters in shortcuts"


def _cifar_networks() -> dict[str, Facts]:
    best = {110: "best of 5; 6.61 ± 0.16"}
    options: dict[str, Facts] = {}
    for depth, (parameters, macs, percent) in _CIFAR_SIZES.items():
        error = cifar10_error(percent, "table 6", best.get(depth, ""))
        recipe = WARMUP_RECIPE if depth == 110 else CIFAR_RECIPE
        options[f"resnet{depth}"] = _cifar("CIFAR, option A", parameters, macs, error, recipe=recipe)
    error = cifar10_error(7.93, "table 6")
    options["resnet1202"] = _cifar("CIFAR, option A", 19_421_274, None, error, recipe=WARMUP_RECIPE)
    for depth, (parameters, _, _) in _CIFAR_SIZES.items():
        facts = _cifar("CIFAR, option B", parameters + _PROJECTIONS, None)
        options[f"resnet{depth}_b"] = replace(facts, modern=True, deviations=("projections where the shape changes",))
    plain = {
        f"plain{depth}": _cifar("CIFAR, no shortcuts", parameters, macs)
        for depth, (parameters, macs, _) in _CIFAR_SIZES.items()
    }
    return options | plain


NETWORKS = {
    "resnet18": _imagenet("option B", 11_689_512, Printed("1.814 G"), field=435),
    "resnet34": _imagenet("option B", 21_797_672, Printed("3.664 G"), _ten_crop(24.52), field=899),
    "resnet50": _imagenet(_HE, 25_557_032, cut("3.8 G"), _ten_crop(22.85), field=483, expansion=4),
    "resnet101": _imagenet(_HE, 44_549_160, Printed("7.6 G"), _ten_crop(21.75), field=1027, expansion=4),
    "resnet152": _imagenet(_HE, 60_192_808, Printed("11.3 G"), _ten_crop(21.43), field=1507, expansion=4),
    "resnet18_a": _computed(_OPTION_A, 11_515_688, Printed("1.8 G"), _ten_crop(27.88, "table 2")),
    "resnet34_a": _computed(_OPTION_A, 21_623_848, cut("3.6 G"), _ten_crop(25.03)),
    "resnet34_c": _computed("option C: a projection around every block", 22_716_840, None, _ten_crop(24.19)),
    "plain18": _computed("no shortcuts", 11_515_688, Printed("1.8 G"), _ten_crop(27.94, "table 2")),
    "plain34": _computed("no shortcuts", 21_623_848, cut("3.6 G"), _ten_crop(28.54, "table 2")),
    "resnet50_v1_5": _v1_5(50, 25_557_032, "4.089 G", 23.87),
    "resnet101_v1_5": _v1_5(101, 44_549_160, "7.801 G", 22.626),
    "resnet152_v1_5": _v1_5(152, 60_192_808, "11.514 G", 21.688),
    "resnet18_32px": _small_input(18, 11_173_962, 1),
    "resnet34_32px": _small_input(34, 21_282_122, 1),
    "resnet50_32px": _small_input(50, 23_520_842, 4),
    **_cifar_networks(),
    "preact_resnet110": _preact(110, 1_730_522, 1, cifar10_error(6.37, "table 2")),
    "preact_resnet164": _preact(164, 1_703_258, 4, cifar10_error(5.46, "table 3"), Printed("1.7 M")),
    "preact_resnet1001": _preact(1001, 10_327_706, 4, cifar10_error(4.92, "table 3")),
    "resnext50_32x4d": _resnext("32 groups of 4", 25_028_904, "4.23 G", 22.2),
    "resnext101_32x8d": _resnext(
        "32 groups of 8: torchvision's", 88_791_336, "16.414 G", None, "8 planes a group, a size that the paper lacks"
    ),
    "resnext101_64x4d": _resnext("64 groups of 4", 83_455_272, "15.46 G", 20.4),
    "resnext29_8x64d": _resnext29(8, 34_426_698, Printed("34.4 M"), Printed("5.39 G"), 3.65),
    "resnext29_16x64d": _resnext29(16, 68_155_210, cut("68.1 M"), None, 3.58),
}
