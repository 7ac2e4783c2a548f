"""ResNet, plain networks, pre-activation ResNet, ResNeXt."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from repronet.papers.records import (
    CIFAR,
    CIFAR100_TEST,
    IMAGENET,
    ONE_RUN,
    TOP1,
    TORCHVISION,
    Citation,
    Error,
    Facts,
    Paper,
    Printed,
    Recipe,
    Stages,
    Statistic,
    both,
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

_residual = partial(Citation, "arXiv:1512.03385v1")
_identity = partial(Citation, "arXiv:1603.05027")
_aggregated = partial(Citation, "arXiv:1611.05431v2")
_HE_RELEASE = Citation("KaimingHe/deep-residual-networks", "README.md", "authors' repository")
_FB = Citation("facebookarchive/fb.resnet.torch", "pretrained/README.md", "secondary")
_AKAMASTER = Citation("akamaster/pytorch_resnet_cifar10", "README.md", "secondary")

IMAGENET_RECIPE = Recipe(
    "SGD 0.9, batch 256, rate 0.1, a tenth when the error stalls, weight decay 1e-4, 60e4 steps; random scale in 256 to"
    " 480, crops of 224, flips, per-pixel mean, colour",
    _residual("section 3.4"),
)
CIFAR_RECIPE = Recipe(
    "SGD 0.9, batch 128, rate 0.1, a tenth after 32k and 48k of 64k steps, weight decay 1e-4; length chosen on a"
    " 45k/5k split; crops of 32 from 4 pixels of padding, flips, per-pixel mean",
    _residual("section 4.2"),
)
WARMUP_RECIPE = Recipe(
    CIFAR_RECIPE.text + "; rate 0.01 until the training error is below 80 % (about 400 steps), then 0.1",
    _residual("section 4.2"),
)
_IDENTITY_RECIPE = Recipe(CIFAR_RECIPE.text + "; rate 0.01 in the first 400 steps, then 0.1", _identity("appendix"))
_RESNEXT_RECIPE = Recipe(
    "SGD 0.9, batch 256, rate 0.1, a tenth three times, weight decay 1e-4; crops of 8 to 100 % of the area, 3:4 to 4:3,"
    " flips, colour. By its release, facebookresearch/ResNeXt: Nesterov momentum, falls after 30, 60, 90 of 100 epochs",
    _aggregated("section 4"),
)
_RESNEXT_CIFAR_RECIPE = Recipe(
    "SGD 0.9 with Nesterov momentum, batch 128, rate 0.1, a tenth after 150 and 225 of 300 epochs, weight decay 5e-4;"
    " trained on all 50,000 images",
    _aggregated("section 5.3 and appendix A"),
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
    notes: tuple[str, ...] = (),
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
        notes=notes,
        macs=macs,
        stages=imagenet_stages(expansion),
        receptive_field=("layer4", field) if field else None,
        errors=errors,
        recipe=IMAGENET_RECIPE,
    )


def _computed(title: str, parameters: int, macs: Printed | None, *errors: Error) -> Facts:
    return replace(_imagenet(title, parameters, macs, *errors), source="computed")


def _caffe(parameters: int, macs: int, top1: float, top5: float) -> Facts:
    title = "He et al.: the unpadded first pool of their Caffe release, which rounds up"
    errors = both(top1, top5, "1-crop", _HE_RELEASE, "the released weights")
    facts = _imagenet(title, parameters, None, *errors, expansion=4, notes=(_POOL,))
    return replace(facts, source="computed", macs=macs)


def _v1_5(depth: int, parameters: int, macs: str, percent: float) -> Facts:
    return _imagenet(
        f"torchvision's resnet{depth}",
        parameters,
        Printed(macs),
        Error(percent, TOP1, "1-crop", TORCHVISION),
        expansion=4,
        deviation="the 3×3 of a bottleneck halves the picture, not its first 1×1",
    )


def _ten_crop(top1: float, top5: float) -> tuple[Error, Error]:
    return both(top1, top5, "10-crop", _residual("table 3"))


def _table_2(percent: float) -> Error:
    return Error(percent, TOP1, "10-crop", _residual("table 2"))


def _dense(top1: float, top5: float) -> tuple[Error, Error]:
    return both(top1, top5, "multi-scale dense", _residual("table 4"), "sides of 224, 256, 384, 480, 640")


def _facebook(one: float, ten: float) -> tuple[Error, Error]:
    """With other augmentation, and the 3×3 of a bottleneck halving the image."""
    note = "a reproduction in Torch, other augmentation"
    return Error(one, TOP1, "1-crop", _FB, note=note), Error(ten, TOP1, "10-crop", _FB, note=note)


def _resnext(title: str, parameters: int, macs: str, percent: float | None, deviation: str | None = None) -> Facts:
    errors = (Error(percent, TOP1, "1-crop", _aggregated("tables 3 and 4")),) if percent else ()
    facts = _imagenet(title, parameters, Printed(macs), *errors, expansion=4, deviation=deviation)
    return replace(facts, paper=AGGREGATED, recipe=_RESNEXT_RECIPE)


def _cifar(title: str, parameters: int, macs: int | None, *errors: Error, recipe: Recipe = CIFAR_RECIPE) -> Facts:
    shapes = small_stages(16, 32, 64)
    return Facts(RESIDUAL, title, parameters, *CIFAR, macs=macs, stages=shapes, errors=errors, recipe=recipe)


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


def _preact(depth: int, parameters: int, expansion: int, *errors: Error, printed: Printed | None = None) -> Facts:
    return Facts(
        IDENTITY_MAPPINGS,
        f"pre-activation, {depth} layers",
        parameters,
        *CIFAR,
        printed=printed,
        stages=small_stages(*(expansion * width for width in (16, 32, 64)), name="stages.", first=0),
        errors=errors,
        recipe=_IDENTITY_RECIPE,
    )


def _resnext29(
    groups: int, parameters: int, printed: Printed, macs: int | None, percent: float, of_100: float
) -> Facts:
    """``percent`` is the error on CIFAR-10, ``of_100`` that on CIFAR-100, which was read in a copy of the table."""
    runs, copied = Statistic("mean", 10), Citation("arXiv:1611.05431v2", "table 7", "secondary")
    return Facts(
        AGGREGATED,
        f"29 layers, {groups} groups of 64, for CIFAR",
        parameters,
        *CIFAR,
        printed=printed,
        macs=macs,
        stages=small_stages(256, 512, 1024),
        errors=(
            cifar10_error(percent, _aggregated("table 7"), statistic=runs),
            Error(of_100, CIFAR100_TEST, "test images", copied, runs),
        ),
        recipe=_RESNEXT_CIFAR_RECIPE,
    )


_CIFAR_SIZES = {
    # layers: parameters with option A, exact and as table 6 prints them, MACs,
    # error of the residual network in percent, and of a reproduction
    20: (269_722, "0.27 M", 40_551_040, 8.75, 8.27),
    32: (464_154, "0.46 M", 68_862_592, 7.51, 7.37),
    44: (658_586, "0.66 M", 97_174_144, 7.17, 6.90),
    56: (853_018, "0.85 M", 125_485_696, 6.97, 6.61),
    110: (1_727_962, "1.7 M", 252_887_680, 6.43, 6.32),
}
_PROJECTIONS = 2_752  # parameters of option B: 16·32 + 2·32 + 32·64 + 2·64
_HE = "He et al.: a 1×1 halves the picture"
_POOL = (
    "the paper does not say how the first pool meets the border: padded as in fb.resnet.torch (resnet50, …), or"
    " unpadded and rounding up as in the authors' Caffe release (resnet50_caffe, …)"
)
_OPTION_A = "option A: no parameters in shortcuts"


_BEST_OF_5 = Statistic("best", 5, 6.61, 0.16)


def _table_6(percent: float, again: float, statistic: Statistic = ONE_RUN) -> tuple[Error, Error]:
    """The paper's figure, and that of a well-known reproduction."""
    note = "a reproduction, trained on all 50,000 images"
    return cifar10_error(percent, _residual("table 6"), "", statistic), cifar10_error(again, _AKAMASTER, note)


def _medians(*percents: float) -> tuple[Error, ...]:
    return tuple(cifar10_error(p, _identity("tables 2 and 3"), statistic=Statistic("median", 5)) for p in percents)


def _cifar_networks() -> dict[str, Facts]:
    options: dict[str, Facts] = {}
    for depth, (parameters, printed, macs, percent, again) in _CIFAR_SIZES.items():
        recipe, statistic = (WARMUP_RECIPE, _BEST_OF_5) if depth == 110 else (CIFAR_RECIPE, ONE_RUN)
        errors = _table_6(percent, again, statistic)
        facts = _cifar("CIFAR, option A", parameters, macs, *errors, recipe=recipe)
        options[f"resnet{depth}"] = replace(facts, printed=Printed(printed))
    errors = _table_6(7.93, 6.18)
    facts = _cifar("CIFAR, option A", 19_421_274, None, *errors, recipe=WARMUP_RECIPE)
    options["resnet1202"] = replace(facts, printed=Printed("19.4 M"))
    for depth, (parameters, *_) in _CIFAR_SIZES.items():
        facts = _cifar("CIFAR, option B", parameters + _PROJECTIONS, None)
        options[f"resnet{depth}_b"] = replace(facts, modern=True, deviations=("projections where the shape changes",))
    plain = {
        f"plain{depth}": _cifar("CIFAR, no shortcuts", parameters, macs)
        for depth, (parameters, _, macs, *_) in _CIFAR_SIZES.items()
    }
    return options | plain


def _bottlenecks(parameters: int, macs: Printed, field: int, *errors: Error) -> Facts:
    return _imagenet(_HE, parameters, macs, *errors, expansion=4, field=field, notes=(_POOL,))


NETWORKS = {
    "resnet18": _imagenet("option B", 11_689_512, Printed("1.814 G"), *_facebook(30.43, 28.22), field=435),
    "resnet34": _imagenet(
        "option B",
        21_797_672,
        Printed("3.664 G"),
        *(*_ten_crop(24.52, 7.46), *_dense(21.84, 5.71), *_facebook(26.73, 24.76)),
        field=899,
    ),
    "resnet50": _bottlenecks(25_557_032, cut("3.8 G"), 483, *_ten_crop(22.85, 6.71), *_dense(20.74, 5.25)),
    "resnet101": _bottlenecks(44_549_160, Printed("7.6 G"), 1027, *_ten_crop(21.75, 6.05), *_dense(19.87, 4.60)),
    "resnet152": _bottlenecks(60_192_808, Printed("11.3 G"), 1507, *_ten_crop(21.43, 5.71), *_dense(19.38, 4.49)),
    "resnet50_caffe": _caffe(25_557_032, 3_857_973_248, 24.7, 7.8),
    "resnet101_caffe": _caffe(44_549_160, 7_570_194_432, 23.6, 7.1),
    "resnet152_caffe": _caffe(60_192_808, 11_282_415_616, 23.0, 6.7),
    "resnet18_a": _computed(_OPTION_A, 11_515_688, Printed("1.8 G"), _table_2(27.88)),
    "resnet34_a": _computed(_OPTION_A, 21_623_848, Printed("3.6 G"), *_ten_crop(25.03, 7.76)),
    "resnet34_c": _computed(
        "option C: a projection around every block",
        22_716_840,
        None,
        *(*_ten_crop(24.19, 7.40), *_dense(21.53, 5.60)),
    ),
    "plain18": _computed("no shortcuts", 11_515_688, Printed("1.8 G"), _table_2(27.94)),
    "plain34": _computed("no shortcuts", 21_623_848, Printed("3.6 G"), *_ten_crop(28.54, 10.02)),
    "resnet50_v1_5": _v1_5(50, 25_557_032, "4.089 G", 23.87),
    "resnet101_v1_5": _v1_5(101, 44_549_160, "7.801 G", 22.626),
    "resnet152_v1_5": _v1_5(152, 60_192_808, "11.514 G", 21.688),
    "resnet18_32px": _small_input(18, 11_173_962, 1),
    "resnet34_32px": _small_input(34, 21_282_122, 1),
    "resnet50_32px": _small_input(50, 23_520_842, 4),
    **_cifar_networks(),
    "preact_resnet110": _preact(110, 1_730_522, 1, *_medians(6.37)),
    "preact_resnet164": _preact(164, 1_703_258, 4, *_medians(5.46), printed=Printed("1.7 M")),
    "preact_resnet1001": _preact(
        1001,
        10_327_706,
        4,
        cifar10_error(4.92, _identity("table 4"), statistic=Statistic("median", 5, 4.89, 0.14)),
        cifar10_error(4.62, _identity("table 4"), "batches of 64", Statistic("median", 5, 4.69, 0.20)),
        printed=Printed("10.2 M", without_batch_norm=True),
    ),
    "resnext50_32x4d": _resnext("32 groups of 4", 25_028_904, "4.23 G", 22.2),
    "resnext101_32x8d": _resnext(
        "32 groups of 8: torchvision's", 88_791_336, "16.414 G", None, "8 planes a group, a size that the paper lacks"
    ),
    "resnext101_64x4d": _resnext("64 groups of 4", 83_455_272, "15.46 G", 20.4),
    "resnext29_8x64d": _resnext29(8, 34_426_698, Printed("34.4 M"), 5_387_266_048, 3.65, 17.77),
    "resnext29_16x64d": _resnext29(16, 68_155_210, Printed("68.1 M", without_batch_norm=True), None, 3.58, 17.31),
}
