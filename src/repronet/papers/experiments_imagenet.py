"""The runs of papers on ImageNet, which no smaller budget pays for, as data. Needs no torch."""

from __future__ import annotations

from repronet.papers import published
from repronet.papers.experiments_small import BEST, DECAY, Runs
from repronet.papers.records import Experiment

_PLATEAU = "the rate falls by a rule for the validation error, not by hand"
_ONE_GPU = "one GPU for several"
_HELD_OUT = "2 % of the training pictures are held out for validation"


def _large(
    title: str,
    network: str,
    percent: float | None,
    *deviations: str,
    of: str = "",
    also: str = "",
    comparable: bool = True,
) -> Experiment:
    """A run that is held against the figure of ``of`` where ``network`` has none."""
    error = None if percent is None else published(of or network, percent)
    held = (BEST, _HELD_OUT, *deviations)
    return Experiment(f"{title} on ImageNet", network, "imagenet", error, None, None, held, comparable, also=also)


def _all_large(figures: dict[str, tuple[str, float]], *deviations: str) -> Runs:
    """Runs of networks, each with its title and its error."""
    return {
        f"{network}_imagenet": _large(title, network, percent, *deviations)
        for network, (title, percent) in figures.items()
    }


def _first() -> Runs:
    """AlexNet, ZFNet and VGG."""
    pixels = (_PLATEAU, "pixels from 0 to 255 less one mean, in place of a mean picture")
    crops = "crops of 227 pixels, which the paper's maps need, for 224"
    anywhere = "crops at random places, not the ten of corners and centre"
    zfnets = {"zfnet": ("ZFNet", 38.4), "zfnet_wide": ("ZFNet with 512-1024-512 maps", 37.5)}
    vgg = (
        _PLATEAU,
        "pixels with a mean and deviation a channel, in place of a mean alone",
    )
    deeper = {
        "vgg11_lrn": ("VGG-11 with response norm, column A-LRN,", 29.7),
        "vgg13": ("VGG-13, column B,", 28.7),
        "vgg16_c": ("VGG-16, column C,", 28.1),
        "vgg16": ("VGG-16, column D,", 27.0),
        "vgg19": ("VGG-19, column E,", 27.3),
    }
    he = "weights start as in He et al. 2015, not with"
    return {
        "alexnet_imagenet": _large("AlexNet of 2012", "alexnet", 40.7, *pixels, crops),
        "alexnet_abutting_imagenet": _large(
            "AlexNet with pools that do not overlap", "alexnet_abutting", None, *pixels, crops
        ),
        "alexnet_no_norm_imagenet": _large(
            "AlexNet without its response norm",
            "alexnet",
            None,
            *pixels,
            crops,
            "the paper prints no figure but the gain",
        ),
        **_all_large(zfnets, *pixels, anywhere, "weight decay is AlexNet's"),
        "vgg11_imagenet": _large("VGG-11, column A,", "vgg11", 29.6, *vgg, f"{he} σ = 0.1"),
        **_all_large(deeper, *vgg, f"{he} the weights of network A"),
        "vgg16_bn_imagenet": _large(
            "VGG-16 with batch norm, torchvision's run,",
            "vgg16_bn",
            26.64,
            *("torchvision's run, not the paper's", _ONE_GPU),
            also="torchvision's reference training",
        ),
    }


def _inception() -> Runs:
    return {
        "googlenet_imagenet": _large(
            "GoogLeNet of 2014",
            "googlenet",
            10.07,
            "rate, batch, weight decay and length are Caffe's, as the paper has none",
            "one process for many that are not in step",
            "augmentation as far as the paper tells it",
            "weights start as in He et al. 2015, of which the paper says nothing",
        ),
        "inception_v3_imagenet": _large(
            "Inception-v3",
            "inception_v3",
            21.4,
            "the gradients of 50 batches are summed one after another, not those of 50 replicas",
            "momentum, weight decay and the decay of the running mean are those of the authors' release",
        ),
    }


def _later() -> Runs:
    """Residual and dense networks."""
    usual = (_PLATEAU, "pixels with a mean and deviation a channel, in place of a mean picture")
    projections = "projections where the shape changes; the figure is that without them"
    residual = {
        "resnet18_a": ("ResNet-18, option A,", 27.88),
        "resnet34": ("ResNet-34, option B,", 24.52),
        "resnet34_a": ("ResNet-34, option A,", 25.03),
        "resnet34_c": ("ResNet-34, option C,", 24.19),
        "resnet50": ("ResNet-50 of He et al.", 22.85),
        "resnet101": ("ResNet-101 of He et al.", 21.75),
        "resnet152": ("ResNet-152 of He et al.", 21.43),
        "plain18": ("Plain-18, no shortcuts,", 27.94),
        "plain34": ("Plain-34, no shortcuts,", 28.54),
    }
    resnext = {
        "resnext50_32x4d": ("ResNeXt-50, 32×4d,", 22.2),
        "resnext101_64x4d": ("ResNeXt-101, 64×4d,", 20.4),
    }
    percents = {121: 25.02, 169: 23.8, 201: 22.58, 161: 22.2}
    dense = {f"densenet{depth}": (f"DenseNet-{depth}", percent) for depth, percent in percents.items()}
    se_pixels = "pixels with a mean and deviation a channel, in place of a mean alone"
    senet = (
        "weight decay is ResNet's",
        "classes are not drawn in balance, as the version of CVPR 2018 has it",
        se_pixels,
    )
    return {
        "resnet18_imagenet": _large(
            "ResNet-18, option B,", "resnet18", 27.88, *usual, DECAY, projections, of="resnet18_a", comparable=False
        ),
        **_all_large(residual, *usual, DECAY),
        **_all_large(resnext, "the three steps of colour are in a fixed order, not in a random one"),
        **_all_large(dense, _ONE_GPU),
        "se_resnet50_imagenet": _large("SE-ResNet-50", "se_resnet50", 23.29, *senet),
        "senet154_imagenet": _large(
            "SENet-154",
            "senet154",
            18.68,
            *senet,
            "batch norm's statistics are frozen in the last five epochs; the paper does not say in how many",
        ),
    }


IMAGENET: Runs = {**_first(), **_inception(), **_later()}
