"""The runs of papers: what each file of ``configs/experiment/`` is held against, and what it deviates in.

Needs no torch. The files themselves hold the recipes, with their citation and their cost.

Epochs of a smaller budget follow from the multiplications, three times those of a picture for each that is trained on:
a processor core does about 25 G of them a second, so that two do 15,000 G in five minutes. The hour is counted for one
core, since two that share their caches and their memory seldom do twice as much for an hour.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from repronet.papers import NETWORKS
from repronet.papers.records import Error


@dataclass(frozen=True)
class Experiment:
    """What a run of ``configs/experiment/NAME.yaml`` is held against.

    Args:
        network: a key of ``repronet.papers.NETWORKS``.
        dataset: "mnist5k", "mnist", "cifar10" or "imagenet".
        published: the error in the paper, of `network`, or of another network and then `deviations` say so; None where
            it prints none.
        minutes: epochs that about five minutes of two cores pay for; None where not even one fits.
        hour: the same for an hour of one core.
        deviations: from the paper, each in a few words.
        comparable: whether the published figure is of such a run: the same network and length, and a test of its kind.
    """

    network: str
    dataset: str
    published: Error | None
    minutes: int | None
    hour: int | None
    deviations: tuple[str, ...]
    comparable: bool = True


def published(network: str, percent: float) -> Error:
    """The error of so many percent among those of ``network``.

    Raises:
        KeyError: when none was published, or not that.
    """
    for error in NETWORKS[network].errors:
        if error.percent == percent:
            return error
    raise KeyError(f"{network}: no published error of {percent} %")


_BEST = "the best-validation weights are tested, not the last"
_STRATIFIED = "validation is stratified"
_CARVED = "5,000 of the 50,000 training pictures are held out for validation"


Runs = dict[str, Experiment]


def _not_comparable(runs: Runs) -> Runs:
    """Runs that are shown beside a figure from which they differ in more than details."""
    return {name: replace(run, comparable=False) for name, run in runs.items()}


def _mnist() -> Runs:
    carved = "5,000 of the 60,000 training digits are held out for validation"
    distorted = "digits distorted anew in each pass, not 540,000 once and for all"
    turned = "digits are turned as well, by up to 12 degrees"
    modern = (
        "the figure is that of the network of 1998",
        "one-cycle SGD on batches of 64 for second-order steps on single digits",
        carved,
        _BEST,
    )
    first_order = "first-order SGD with momentum on batches of 16 for second-order steps on single digits"
    adam = "Adam on batches of 32 with a one-cycle schedule for second-order steps on single digits"
    old = (adam, carved, _BEST)
    without, with_distortions = published("lenet5_1998", 0.95), published("lenet5_1998", 0.8)
    few = ("3,500 training digits, for which nothing is published", first_order, _BEST)
    of_today = {
        "lenet5_mnist": Experiment("lenet5", "mnist", without, 20, 20, modern),
        "lenet5_mnist_distorted": Experiment("lenet5", "mnist", with_distortions, 20, 20, (*modern, distorted, turned)),
    }
    return {
        **_not_comparable(of_today),
        "lenet5_1998_mnist": Experiment("lenet5_1998", "mnist", without, 5, 20, old),
        "lenet5_1998_mnist_stages": Experiment("lenet5_1998", "mnist", without, 5, 20, (first_order, carved, _BEST)),
        "lenet5_1998_mnist_distorted": Experiment("lenet5_1998", "mnist", with_distortions, 5, 20, (*old, distorted)),
        "lenet5_1998_mnist5k": Experiment("lenet5_1998", "mnist5k", None, 20, 20, few),
    }


def _small(
    network: str, percent: float | None, hour: int | None, *deviations: str, minutes: int | None = None
) -> Experiment:
    """A run on CIFAR-10."""
    error = None if percent is None else published(network, percent)
    return Experiment(network, "cifar10", error, minutes, hour, (_BEST, *deviations))


# depth: epochs in five minutes and in an hour. All but 110 have as many as those of 56 layers, for which one takes a
# little over five minutes, since they are compared at equal length.
_EPOCHS = {20: (1, 5), 32: (1, 5), 44: (1, 5), 56: (1, 5), 110: (None, 2)}


def _by_depth(network: str, percents: dict[int, float], *deviations: str, unknown: str = "") -> Runs:
    """A run for each depth of a family with the layers of the ResNet for CIFAR-10."""
    return {
        f"{network}{depth}_cifar10": _small(
            f"{network}{depth}",
            percents.get(depth),
            hour,
            *deviations,
            *(() if depth in percents else (unknown,)),
            minutes=minutes,
        )
        for depth, (minutes, hour) in _EPOCHS.items()
    }


def _residual() -> Runs:
    usual = (_STRATIFIED, "batch norm over 128 pictures, not 64 on each of two GPUs")
    best_of_5 = "the figure is the best of five runs, whose mean is 6.61"
    shorter = ("15 epochs for 182", "one-cycle schedule", "Nesterov's momentum", "batch of 64", "weight decay of 5e-4")
    return {
        **_by_depth("resnet", {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.43}, *usual),
        "resnet110_cifar10": _small("resnet110", 6.43, 2, *usual, best_of_5),
        "resnet1202_cifar10": _small("resnet1202", 7.93, None, *usual),
        **_not_comparable(
            {"resnet20_cifar10_one_cycle": _small("resnet20", 8.75, 15, _STRATIFIED, *shorter, minutes=1)}
        ),
        **_by_depth("plain", {}, *usual, unknown="the paper prints curves and no figure"),
    }


def _pre_activation() -> Runs:
    usual = (_STRATIFIED, "batch norm over 128 pictures, not 64 on each of two GPUs")
    median = "the figure is the median of five runs"
    return {
        "preact_resnet110_cifar10": _small("preact_resnet110", 6.37, 2, *usual, median),
        "preact_resnet164_cifar10": _small("preact_resnet164", 5.46, 2, *usual, median),
        "preact_resnet1001_cifar10": _small("preact_resnet1001", 4.92, None, *usual, median),
    }


def _squeeze_excitation() -> Runs:
    recipe = "the recipe is that of the ResNet without squeeze and excitation"
    unknown = "the paper prints no figure for this depth"
    return _by_depth("se_resnet", {110: 5.21}, _STRATIFIED, recipe, unknown=unknown)


def _four_layer() -> Runs:
    """Those on CIFAR-10 of the paper of AlexNet; all have as many epochs as the others of their comparison."""
    usual = (_CARVED, "the paper prints no recipe")
    rates = (*usual, "of four rates the one that was best for ReLU and for tanh in an epoch of 10,000 pictures")
    batch = "batch norm stands after the first two pools, not before each activation"
    own_rate = "networks with response norm have a rate of their own, chosen by validation"
    unknown, curves = "nothing is published for this network", "the paper prints curves and no test error"
    return {
        "four_layer_relu_cifar10": _small("four_layer", None, 40, *rates, curves, minutes=8),
        "four_layer_tanh_cifar10": _small("four_layer_tanh", None, 40, *rates, curves, minutes=8),
        **_not_comparable(
            {
                "four_layer_plain_cifar10": _small("four_layer", 13.0, 50, *usual, minutes=5),
                "four_layer_lrn_cifar10": _small("four_layer", 11.0, 50, *usual, own_rate, minutes=5),
            }
        ),
        "four_layer_abutting_cifar10": _small("four_layer_abutting", None, 50, *usual, own_rate, unknown, minutes=5),
        "four_layer_bn_cifar10": _small("four_layer", None, 40, *rates, batch, unknown, minutes=8),
    }


def _network_in_network() -> Runs:
    usual = (
        _CARVED,
        "the rate falls when the validation error stalls, not the training accuracy",
        "rate and weight decay are those of the authors' release, as the paper has none",
    )
    return {
        "nin_cifar10": _small("nin", 8.81, 2, *usual),
        "nin_cifar10_plain": _small("nin", 10.41, 2, *usual),
    }


def _aggregated() -> Runs:
    usual = (_CARVED, "the figure is the mean of ten runs", "batch norm over 128 pictures, not a GPU's share")
    return {
        "resnext29_8x64d_cifar10": _small("resnext29_8x64d", 3.65, None, *usual),
        "resnext29_16x64d_cifar10": _small("resnext29_16x64d", 3.58, None, *usual),
    }


def _dense() -> Runs:
    dropped = "dropout before the classifier, not after each convolution"
    return {
        "densenet40_12_cifar10": _small("densenet40_12", 5.24, 2, _CARVED),
        "densenet40_12_cifar10_plain": _small("densenet40_12", 7.0, 2, _CARVED, dropped),
        "densenet100_12_cifar10": _small("densenet100_12", 4.1, None, _CARVED),
        "densenet100_12_cifar10_plain": _small("densenet100_12", 5.77, None, _CARVED, dropped),
        "densenet_bc_100_12_cifar10": _small("densenet_bc_100_12", 4.51, 2, _CARVED),
        "densenet_bc_250_24_cifar10": _small("densenet_bc_250_24", 3.62, None, _CARVED),
        "densenet_bc_190_40_cifar10": _small("densenet_bc_190_40", 3.46, None, _CARVED),
    }


_PLATEAU = "the rate falls by a rule for the validation error, not by hand"
_ONE_GPU = "one GPU for several"


def _large(network: str, percent: float, *deviations: str, of: str | None = None) -> Experiment:
    """A run on ImageNet, which no budget pays for, held against the figure of `of` where `network` has none."""
    held_out = "2 % of the training pictures are held out for validation"
    return Experiment(
        network, "imagenet", published(of or network, percent), None, None, (_BEST, held_out, *deviations)
    )


def _all_large(percents: dict[str, float], *deviations: str) -> Runs:
    return {f"{network}_imagenet": _large(network, percent, *deviations) for network, percent in percents.items()}


def _alexnet() -> Runs:
    pixels = "pixels from 0 to 255 less one mean, in place of a mean picture"
    crops = "crops of 227 pixels, which the paper's maps need, for 224"
    return {
        "alexnet_imagenet": _large("alexnet", 40.7, _PLATEAU, pixels, crops),
        **_all_large({"zfnet": 38.4, "zfnet_wide": 37.5}, _PLATEAU, pixels, "weight decay is AlexNet's"),
    }


def _vgg() -> Runs:
    usual = (
        _PLATEAU,
        "pixels with a mean and deviation a channel, in place of a mean alone",
        "tested over ten crops at five sizes, not densely",
    )
    others = {"vgg11_lrn": 29.7, "vgg13": 28.7, "vgg16_c": 28.1, "vgg16": 27.0, "vgg19": 27.3}
    he = "weights start as in He et al. 2015, not with"
    return {
        **_not_comparable(
            {
                "vgg11_imagenet": _large("vgg11", 29.6, *usual, f"{he} σ = 0.1"),
                **_all_large(others, *usual, f"{he} the weights of network A"),
            }
        ),
        "vgg16_bn_imagenet": _large("vgg16_bn", 26.64, "torchvision's run, not the paper's", _ONE_GPU),
    }


def _inception() -> Runs:
    return {
        **_not_comparable(
            {
                "googlenet_imagenet": _large(
                    "googlenet",
                    10.07,
                    "a run counts the first answer, the figure the first five, so that they cannot be compared",
                    "rate, batch, weight decay and length are Caffe's, as the paper has none",
                    "one process for many that are not in step",
                    "augmentation as far as the paper tells it",
                    "weights start as in He et al. 2015, of which the paper says nothing",
                ),
            }
        ),
        "inception_v3_imagenet": _large(
            "inception_v3",
            21.2,
            "one process for 50 replicas",
            "momentum, weight decay and the decay of the running mean are those of the authors' release",
        ),
    }


def _residual_large() -> Runs:
    usual = (_PLATEAU, "pixels with a mean and deviation a channel, in place of a mean picture")
    projections = "projections where the shape changes; the figure is that without them"
    figures = {
        "resnet18_a": 27.88,
        "resnet34": 24.52,
        "resnet34_a": 25.03,
        "resnet50": 22.85,
        "resnet101": 21.75,
        "resnet152": 21.43,
        "plain18": 27.94,
        "plain34": 28.54,
    }
    return {
        **_not_comparable({"resnet18_imagenet": _large("resnet18", 27.88, *usual, projections, of="resnet18_a")}),
        **_all_large(figures, *usual),
    }


def _later() -> Runs:
    resnext, senet = {"resnext50_32x4d": 22.2, "resnext101_64x4d": 20.4}, {"se_resnet50": 23.29, "senet154": 18.68}
    dense = {"densenet121": 25.02, "densenet169": 23.8, "densenet201": 22.58, "densenet161": 22.2}
    return {
        **_all_large(resnext, "the length after the third fall of the rate is not in the paper"),
        **_all_large(dense, _ONE_GPU),
        **_all_large(senet, "weight decay is ResNet's", "classes are not drawn in balance"),
    }


EXPERIMENTS: Runs = {
    **_mnist(),
    **_residual(),
    **_pre_activation(),
    **_squeeze_excitation(),
    **_four_layer(),
    **_network_in_network(),
    **_aggregated(),
    **_dense(),
    **_alexnet(),
    **_vgg(),
    **_inception(),
    **_residual_large(),
    **_later(),
}
