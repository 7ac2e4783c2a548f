"""AlexNet, ZFNet."""

from functools import partial

from repronet.papers.records import (
    CIFAR,
    CIFAR10_TEST,
    IMAGENET,
    RESPONSE_NORM_ALPHA,
    TORCHVISION,
    Citation,
    Error,
    Facts,
    Paper,
    Printed,
    Protocol,
    Recipe,
    Statistic,
    both,
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

_nips = partial(Citation, "NIPS 2012")
_zf = partial(Citation, "arXiv:1311.2901")
_CAFFE = Citation("BVLC/caffe", "models/bvlc_alexnet/readme.md", "secondary")
_ON_2010 = "ILSVRC-2010 test"
_CROPS_UNKNOWN = (
    "the paper does not say how many crops are averaged; ten, as in the paper that it replicates, is inferred"
)

_ZF_STAGES = "conv1 96×110×110, norm1 96×55×55, conv2 256×26×26, norm2 256×13×13"
_ZF_RECIPE = Recipe(
    "SGD 0.9, batch 128, rate 0.01 lowered by hand when the error stalls, 70 epochs, dropout 0.5, filters whose root"
    " mean square passes 0.1 brought back to it; 224 crops and flips",
    _zf("section 3"),
)

_BY_THE_FILES = "the paper leaves its layers to the files of cuda-convnet (section 3.3, footnote 3)"
_cuda_convnet = partial(Citation, "dnouri/cuda-convnet, example-layers", kind="authors' repository")
_CUDA_CONVNET_RECIPE = (
    "SGD 0.9, batch 128, rate 0.001, twice that for biases, weight decay 0.004 of the last three layers; about 300"
    " epochs on four fifths of the images and 150 on all, then 10 at a tenth of the rate and 10 at a hundredth; crops"
    " of 24 pixels, flips; images less their mean image"
)
_FOUR_LAYER_DEVIATIONS = (
    "a network of this suite's own, of which nothing is published: its layers are those of the release of 18 %",
    "response norm across maps, where that release has it within each map",
    "weights start with variance 2/fan-in for the release's deviations, 1e-4 in the first layer and 0.01 in the others",
)
_FOUR_LAYER_STAGES = stages(
    "conv1 32×32×32, pool1 32×16×16, conv2 32×16×16, pool2 32×8×8, conv3 64×8×8, pool3 64×4×4",
)


def _on_2010(top1: float, top5: float, protocol: Protocol) -> tuple[Error, Error]:
    """The errors on the test images of 2010, of which there are 150,000."""
    where = _nips("table 1 and section 4.1")
    return Error(top1, f"{_ON_2010} top-1", protocol, where), Error(top5, f"{_ON_2010} top-5", protocol, where)


def _four_layer(title: str) -> Facts:
    return Facts(
        ALEXNET,
        title,
        89_578,
        *CIFAR,
        modern=True,
        deviations=_FOUR_LAYER_DEVIATIONS,
        of_response_norm=("α of the response norm 0.118 for 1e-4, as pixels run to 1 and weights start larger",),
        stages=_FOUR_LAYER_STAGES,
    )


def _released_local(title: str, maps: int, parameters: int, macs: int, error: Error) -> Facts:
    """The networks that footnote 3 of section 3.3 leaves to the released files; pictures are crops of 24 pixels."""
    return Facts(
        ALEXNET,
        title,
        parameters,
        (3, 24, 24),
        10,
        notes=(_BY_THE_FILES,),
        macs=macs,
        errors=(error,),
        recipe=Recipe(_CUDA_CONVNET_RECIPE, _cuda_convnet("layer-params-conv-local-11pct.cfg")),
        stages=stages(
            f"conv1 64×24×24, pool1 64×12×12, conv2 64×12×12, pool2 64×6×6, local3 {maps}×6×6, local4 32×6×6"
        ),
    )


_ALEXNET_STAGES = "conv1 96×55×55, conv2 256×27×27, conv3 384×13×13, conv4 384×13×13, conv5 256×13×13"

NETWORKS = {
    "alexnet": Facts(
        ALEXNET,
        "two towers, local response norm, overlapping pooling",
        60_965_224,
        (3, 227, 227),
        1000,
        notes=(
            "figure 2 counts 253,440 neurons in the first layer, whose 96×55×55 are 290,400",
            "the authors' talk counts 630 M connections, where the layers have 725 M",
            RESPONSE_NORM_ALPHA,
        ),
        printed=cut("60 M"),
        macs=724_406_816,
        stages=stages(_ALEXNET_STAGES),
        receptive_field=("conv5", 163),
        errors=(
            *both(40.7, 18.2, "10-crop", _nips("table 2")),
            *both(38.1, 16.4, "10-crop", _nips("table 2"), statistic=Statistic("ensemble", 5)),
            *_on_2010(39.0, 18.3, "1-crop"),
            *_on_2010(37.5, 17.0, "10-crop"),
            *both(42.9, 19.8, "1-crop", _CAFFE, "a reproduction in Caffe"),
            *both(40.5, 18.1, "10-crop", _zf("table 2"), "a reproduction", unconfirmed=_CROPS_UNKNOWN),
        ),
        recipe=Recipe(
            "SGD 0.9, batch 128, rate 0.01, a tenth three times when the error stalls, weight decay 5e-4, about 90"
            " epochs; crops of 224 from 256, flips, PCA colour",
            _nips("sections 4 and 5"),
        ),
    ),
    "alexnet_abutting": Facts(
        ALEXNET,
        "AlexNet with pools that do not overlap, for section 3.4",
        60_965_224,
        (3, 227, 227),
        1000,
        modern=True,
        deviations=("2×2 pools for 3×3, which do not overlap; section 3.4 prints the difference alone",),
        macs=724_406_816,
        stages=stages(_ALEXNET_STAGES),
    ),
    "alexnet_owt": Facts(
        ONE_WEIRD_TRICK,
        "one tower: torchvision's alexnet",
        61_100_840,
        *IMAGENET,
        source="torchvision",
        modern=True,
        deviations=(
            "no response norm, which stands behind the first two convolutions of the paper's network",
            "classes by softmax, for the paper's 1000 independent logistic units",
            "dropout before both hidden layers, for behind them",
            "256 maps in the fourth layer, as in the author's release, for the paper's 384",
            "pictures padded by 2 pixels before the first convolution, unpadded in the release",
            "a mean over 6×6 regions before the classifier",
            "torch's initial weights",
        ),
        macs=Printed("0.714 G"),
        stages=stages("features.2 64×27×27, features.5 192×13×13, features.12 256×6×6"),
        receptive_field=("features.12", 195),
        errors=both(43.478, 20.934, "1-crop", TORCHVISION),
    ),
    "zfnet": Facts(
        VISUALIZING,
        "AlexNet with 7×7/2 first filters, dense connections",
        62_357_608,
        *IMAGENET,
        notes=(RESPONSE_NORM_ALPHA,),
        macs=1_168_032_896,
        stages=stages(f"{_ZF_STAGES}, conv3 384×13×13, conv4 384×13×13, conv5 256×13×13"),
        errors=both(38.4, 16.5, "10-crop", _zf("table 2"), unconfirmed=_CROPS_UNKNOWN),
        recipe=_ZF_RECIPE,
    ),
    "zfnet_wide": Facts(
        VISUALIZING,
        "ZFNet with 512-1024-512 maps",
        107_627_624,
        *IMAGENET,
        notes=(RESPONSE_NORM_ALPHA,),
        stages=stages(f"{_ZF_STAGES}, conv3 512×13×13, conv4 1024×13×13, conv5 512×13×13"),
        errors=both(37.5, 16.0, "10-crop", _zf("table 2"), unconfirmed=_CROPS_UNKNOWN),
        recipe=_ZF_RECIPE,
    ),
    "four_layer_13pct": _released_local(
        "for CIFAR-10: two convolutions, two locally connected layers",
        *(32, 1_116_490, 18_517_248),
        cifar10_error(13.0, _nips("section 3.3"), "without response norm"),
    ),
    "four_layer_11pct": _released_local(
        "for CIFAR-10: the same with response norm and more maps",
        *(64, 2_112_970, 19_512_576),
        Error(11.0, CIFAR10_TEST, "10-crop", _nips("section 3.3"), note="with response norm"),
    ),
    "four_layer_18pct": Facts(
        ALEXNET,
        "for CIFAR-10: cuda-convnet's small network, response norm within each map",
        89_578,
        *CIFAR,
        notes=(_BY_THE_FILES,),
        macs=12_298_240,
        errors=(
            cifar10_error(18.0, _cuda_convnet("layer-params-18pct.cfg"), "no augmentation"),
            cifar10_error(19.0, _cuda_convnet("layer-params-19pct.cfg"), "the variant without response norm"),
            cifar10_error(
                14.2, _cuda_convnet("layer-params-19pct.cfg"), "the variant without response norm, with translations"
            ),
        ),
        recipe=Recipe(
            "SGD 0.9, batch 128, rate 0.001, weight decay 0.004 (1 of the last layer), a tenth after 120 and 130 of 140"
            " epochs; images whole and not augmented, less their mean image",
            _cuda_convnet("layer-params-18pct.cfg"),
        ),
        stages=_FOUR_LAYER_STAGES,
    ),
    "four_layer": _four_layer("our own for CIFAR-10: three 5×5 convolutions, response norm, overlapping pooling"),
    "four_layer_tanh": _four_layer("the same with tanh for ReLU"),
    "four_layer_abutting": _four_layer("the same with 2×2 pooling, whose windows do not overlap"),
}
