"""AlexNet, ZFNet."""

from repronet.papers.records import Error, Facts, Paper, Printed, Recipe

ALEXNET = Paper(
    authors="A. Krizhevsky, I. Sutskever, G. Hinton",
    title="ImageNet Classification with Deep Convolutional Neural Networks",
    venue="NIPS 2012",
    year=2012,
)
ONE_WEIRD_TRICK = Paper(
    authors="A. Krizhevsky",
    title="One weird trick for parallelizing convolutional neural networks",
    venue="arXiv",
    year=2014,
    arxiv="1404.5997",
)
VISUALIZING = Paper(
    authors="M. Zeiler, R. Fergus",
    title="Visualizing and Understanding Convolutional Networks",
    venue="ECCV 2014",
    year=2014,
    arxiv="1311.2901",
)

_TOP1, _TOP5 = "ImageNet val top-1", "ImageNet val top-5"
_CIFAR10 = "CIFAR-10 test"


def _zf_stages(maps: tuple[int, int, int]):
    return (
        ("conv1", (96, 110, 110)),
        ("norm1", (96, 55, 55)),
        ("conv2", (256, 26, 26)),
        ("norm2", (256, 13, 13)),
        ("conv3", (maps[0], 13, 13)),
        ("conv4", (maps[1], 13, 13)),
        ("conv5", (maps[2], 13, 13)),
    )


_ZF_RECIPE = Recipe(
    "SGD 0.9, batch 128, rate 0.01 lowered by hand when the error stalls, 70 epochs, dropout 0.5, filters whose root"
    " mean square passes 0.1 brought back to it; 224 crops and flips",
    "section 3.1",
)

_FOUR_LAYER_DEVIATIONS = (
    "the paper prints no layers: 5×5 convolutions of 32, 32, 64 maps, as in the authors' small released networks",
    "three convolutions where the released network of 11 % has two and two locally connected layers",
    "weights start with variance 2/fan-in for the release's 1e-4",
)
_FOUR_LAYER_RESPONSE = ("α of the response norm 0.118 for 1e-4, as pixels run to 1 and weights start larger",)


def _four_layer(title: str, deviations: tuple[str, ...] = (), errors: tuple[Error, ...] = ()) -> Facts:
    return Facts(
        paper=ALEXNET,
        title=title,
        parameters=89_578,
        source="computed",
        input=(3, 32, 32),
        classes=10,
        modern=True,
        deviations=_FOUR_LAYER_DEVIATIONS + deviations,
        of_response_norm=_FOUR_LAYER_RESPONSE,
        stages=(
            ("conv1", (32, 32, 32)),
            ("pool1", (32, 16, 16)),
            ("conv2", (32, 16, 16)),
            ("pool2", (32, 8, 8)),
            ("conv3", (64, 8, 8)),
            ("pool3", (64, 4, 4)),
        ),
        errors=errors,
    )


NETWORKS = {
    "alexnet": Facts(
        paper=ALEXNET,
        title="two towers, local response norm, overlapping pooling",
        parameters=60_965_224,
        source="computed",
        input=(3, 227, 227),
        classes=1000,
        printed=Printed("60 M", truncated=True),
        macs=Printed("0.724 G"),
        stages=(
            ("conv1", (96, 55, 55)),
            ("conv2", (256, 27, 27)),
            ("conv3", (384, 13, 13)),
            ("conv4", (384, 13, 13)),
            ("conv5", (256, 13, 13)),
        ),
        receptive_field=("conv5", 163),
        connections=(("conv1", 105_705_600),),
        errors=(
            Error(40.7, _TOP1, "10-crop", "table 2"),
            Error(18.2, _TOP5, "10-crop", "table 2"),
            Error(38.1, _TOP1, "10-crop", "table 2", note="5 networks"),
            Error(16.4, _TOP5, "10-crop", "table 2", note="5 networks"),
        ),
        recipe=Recipe(
            "SGD 0.9, batch 128, rate 0.01, a tenth three times when the error stalls, weight decay 5e-4, about 90"
            " epochs; crops of 224 from 256, flips, PCA colour",
            "sections 4 and 5",
        ),
    ),
    "alexnet_owt": Facts(
        paper=ONE_WEIRD_TRICK,
        title="one tower without normalization: torchvision's alexnet",
        parameters=61_100_840,
        source="torchvision",
        input=(3, 224, 224),
        classes=1000,
        modern=True,
        deviations=(
            "256 maps in the fourth layer for the paper's 384",
            "a mean over 6×6 regions before the classifier",
        ),
        macs=Printed("0.714 G"),
        stages=(("features.2", (64, 27, 27)), ("features.5", (192, 13, 13)), ("features.12", (256, 6, 6))),
        receptive_field=("features.12", 195),
        errors=(
            Error(43.478, _TOP1, "1-crop", "torchvision, IMAGENET1K_V1", verified=True),
            Error(20.934, _TOP5, "1-crop", "torchvision, IMAGENET1K_V1", verified=True),
        ),
    ),
    "zfnet": Facts(
        paper=VISUALIZING,
        title="AlexNet with 7×7/2 first filters, dense connections",
        parameters=62_357_608,
        source="computed",
        input=(3, 224, 224),
        classes=1000,
        macs=Printed("1.168 G"),
        stages=_zf_stages((384, 384, 256)),
        errors=(Error(38.4, _TOP1, "10-crop", "table 2"), Error(16.5, _TOP5, "10-crop", "table 2")),
        recipe=_ZF_RECIPE,
    ),
    "zfnet_wide": Facts(
        paper=VISUALIZING,
        title="ZFNet with 512-1024-512 maps",
        parameters=107_627_624,
        source="computed",
        input=(3, 224, 224),
        classes=1000,
        stages=_zf_stages((512, 1024, 512)),
        errors=(Error(37.5, _TOP1, "10-crop", "table 2"), Error(16.0, _TOP5, "10-crop", "table 2")),
        recipe=_ZF_RECIPE,
    ),
    "four_layer": _four_layer(
        "for CIFAR-10: three 5×5 convolutions, response norm, overlapping pooling",
        errors=(
            Error(13.0, _CIFAR10, "test images", "section 3.3", note="without response normalization"),
            Error(11.0, _CIFAR10, "test images", "section 3.3", note="with response normalization"),
        ),
    ),
    "four_layer_tanh": _four_layer("the same with tanh for ReLU"),
    "four_layer_abutting": _four_layer("the same with 2×2 pooling, whose windows do not overlap"),
}
