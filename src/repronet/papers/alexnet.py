"""AlexNet, ZFNet."""

from repronet.papers.records import (
    CIFAR,
    IMAGENET,
    TOP1,
    TOP5,
    TORCHVISION,
    Error,
    Facts,
    Paper,
    Printed,
    Recipe,
    cifar10_error,
    cut,
    stages,
)

ALEXNET = Paper(
    "A. Krizhevsky, I. Sutskever, G. Hinton",
    "ImageNet Classification with Deep Convolutional Neural Networks",
    "NIPS 2012",
    2012,
)
ONE_WEIRD_TRICK = Paper(
    "A. Krizhevsky", "One weird trick for parallelizing convolutional neural networks", "arXiv", 2014, "1404.5997"
)
VISUALIZING = Paper(
    "M. Zeiler, R. Fergus", "Visualizing and Understanding Convolutional Networks", "ECCV 2014", 2014, "1311.2901"
)

_ZF_STAGES = "conv1 96×110×110, norm1 96×55×55, conv2 256×26×26, norm2 256×13×13"
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


def _four_layer(title: str, *errors: Error) -> Facts:
    return Facts(
        ALEXNET,
        title,
        89_578,
        *CIFAR,
        modern=True,
        deviations=_FOUR_LAYER_DEVIATIONS,
        of_response_norm=("α of the response norm 0.118 for 1e-4, as pixels run to 1 and weights start larger",),
        stages=stages(
            "conv1 32×32×32, pool1 32×16×16, conv2 32×16×16, pool2 32×8×8, conv3 64×8×8, pool3 64×4×4",
        ),
        errors=errors,
    )


NETWORKS = {
    "alexnet": Facts(
        ALEXNET,
        "two towers, local response norm, overlapping pooling",
        60_965_224,
        (3, 227, 227),
        1000,
        printed=cut("60 M"),
        macs=Printed("0.724 G"),
        stages=stages("conv1 96×55×55, conv2 256×27×27, conv3 384×13×13, conv4 384×13×13, conv5 256×13×13"),
        receptive_field=("conv5", 163),
        connections=(("conv1", 105_705_600),),
        errors=(
            Error(40.7, TOP1, "10-crop", "table 2"),
            Error(18.2, TOP5, "10-crop", "table 2"),
            Error(38.1, TOP1, "10-crop", "table 2", note="5 networks"),
            Error(16.4, TOP5, "10-crop", "table 2", note="5 networks"),
        ),
        recipe=Recipe(
            "SGD 0.9, batch 128, rate 0.01, a tenth three times when the error stalls, weight decay 5e-4, about 90"
            " epochs; crops of 224 from 256, flips, PCA colour",
            "sections 4 and 5",
        ),
    ),
    "alexnet_owt": Facts(
        ONE_WEIRD_TRICK,
        "one tower without normalization: torchvision's alexnet",
        61_100_840,
        *IMAGENET,
        source="torchvision",
        modern=True,
        deviations=(
            "256 maps in the fourth layer for the paper's 384",
            "a mean over 6×6 regions before the classifier",
        ),
        macs=Printed("0.714 G"),
        stages=stages("features.2 64×27×27, features.5 192×13×13, features.12 256×6×6"),
        receptive_field=("features.12", 195),
        errors=(
            Error(43.478, TOP1, "1-crop", TORCHVISION, verified=True),
            Error(20.934, TOP5, "1-crop", TORCHVISION, verified=True),
        ),
    ),
    "zfnet": Facts(
        VISUALIZING,
        "AlexNet with 7×7/2 first filters, dense connections",
        62_357_608,
        *IMAGENET,
        macs=Printed("1.168 G"),
        stages=stages(f"{_ZF_STAGES}, conv3 384×13×13, conv4 384×13×13, conv5 256×13×13"),
        errors=(Error(38.4, TOP1, "10-crop", "table 2"), Error(16.5, TOP5, "10-crop", "table 2")),
        recipe=_ZF_RECIPE,
    ),
    "zfnet_wide": Facts(
        VISUALIZING,
        "ZFNet with 512-1024-512 maps",
        107_627_624,
        *IMAGENET,
        stages=stages(f"{_ZF_STAGES}, conv3 512×13×13, conv4 1024×13×13, conv5 512×13×13"),
        errors=(Error(37.5, TOP1, "10-crop", "table 2"), Error(16.0, TOP5, "10-crop", "table 2")),
        recipe=_ZF_RECIPE,
    ),
    "four_layer": _four_layer(
        "for CIFAR-10: three 5×5 convolutions, response norm, overlapping pooling",
        cifar10_error(13.0, "section 3.3", "without response normalization"),
        cifar10_error(11.0, "section 3.3", "with response normalization"),
    ),
    "four_layer_tanh": _four_layer("the same with tanh for ReLU"),
    "four_layer_abutting": _four_layer("the same with 2×2 pooling, whose windows do not overlap"),
}
