"""The runs of papers on MNIST and CIFAR-10, as data. Needs no torch.

A smaller budget buys as many epochs as :mod:`repronet.papers.cost` says it pays for: five minutes of two processor
cores, or an hour of one, since two that share their caches and their memory seldom do twice as much for an hour.
"""

from __future__ import annotations

from repronet.papers import NETWORKS, published
from repronet.papers.records import Error, Experiment

Runs = dict[str, Experiment]

BEST = "the best-validation weights are tested, not the last"
_HELD_OUT = "5,000 of the 50,000 training images are held out, stratified; whether the paper's were is not said"
_ALL = "5,000 of the 50,000 training images are held out for validation; the paper's network is trained on all of them"
DECAY = "weight decay of all parameters; by the notes of fb.resnet.torch the paper's was of convolutions alone"
_ONE_PROCESS = "batch norm over 128 pictures, not 64 on each of two GPUs"
_CARVED = "5,000 of the 50,000 training pictures are held out for validation"


def _mnist() -> Runs:
    carved = "5,000 of the 60,000 training digits are held out for validation"
    distorted = "digits distorted anew in each pass, not 540,000 once and for all"
    turned = "digits are turned as well, by up to 12 degrees"
    one_cycle = "one-cycle SGD on batches of 64 for second-order steps on single digits"
    modern = ("the figure is that of the network of 1998", one_cycle, carved, BEST)
    first_order = "first-order SGD with momentum on batches of 16 for second-order steps on single digits"
    adam = "Adam on batches of 32 with a one-cycle schedule for second-order steps on single digits"
    few = "3,500 training digits, for which nothing is published"
    plain, with_distortions = published("lenet5_1998", 0.95), published("lenet5_1998", 0.8)

    def today(title: str, error: Error, *deviations: str) -> Experiment:
        where = "section III.B"
        return Experiment(title, "lenet5", "mnist", error, 20, 20, (*modern, *deviations), False, where)

    def of_1998(title: str, error: Error | None, minutes: int, *deviations: str, dataset: str = "mnist") -> Experiment:
        return Experiment(title, "lenet5_1998", dataset, error, minutes, 20, deviations)

    on_distorted = "on distorted MNIST"
    at_its_rates = "LeNet-5 of 1998 on MNIST, 20 passes at the rates of its paper"
    on_few = "LeNet-5 of 1998 on 5,000 digits, half a minute"
    return {
        "lenet5_mnist": today("LeNet-5 as taught today on MNIST, 20 passes", plain),
        "lenet5_mnist_distorted": today(f"LeNet-5 as taught today {on_distorted}", with_distortions, distorted, turned),
        "lenet5_1998_mnist": of_1998("LeNet-5 of 1998 on MNIST, 20 passes", plain, 5, adam, carved, BEST),
        "lenet5_1998_mnist_stages": of_1998(at_its_rates, plain, 5, first_order, carved, BEST),
        "lenet5_1998_mnist_distorted": of_1998(
            f"LeNet-5 of 1998 {on_distorted}", with_distortions, 5, adam, carved, BEST, distorted
        ),
        "lenet5_1998_mnist5k": of_1998(on_few, None, 20, few, first_order, BEST, dataset="mnist5k"),
    }


def _small(
    title: str,
    network: str,
    percent: float | None,
    epochs: tuple[int | None, int | None],
    *deviations: str,
    comparable: bool = True,
    section: str = "",
    also: str = "",
    context: str = "",
    dataset: str = "cifar10",
) -> Experiment:
    """A run on CIFAR, with as many ``epochs`` in five minutes and in an hour."""
    error = None if percent is None else published(network, percent)
    return Experiment(title, network, dataset, error, *epochs, (BEST, *deviations), comparable, section, also, context)


# depth: epochs in five minutes and in an hour. All but 110 have as many as those of 56 layers, for which one takes a
# little over five minutes, since they are compared at equal length.
_EPOCHS = {20: (1, 5), 32: (1, 5), 44: (1, 5), 56: (1, 5), 110: (None, 2)}
_HOURS = (None, 2)  # too long for five minutes
_DAYS = (None, None)


def _residual() -> Runs:
    usual = (_HELD_OUT, _ONE_PROCESS, DECAY)
    percents = {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97}
    runs = {
        f"resnet{depth}_cifar10": _small(
            f"ResNet-{depth} on CIFAR-10", f"resnet{depth}", percent, _EPOCHS[depth], *usual
        )
        for depth, percent in percents.items()
    }
    shorter = ("15 epochs for 182", "one-cycle schedule", "Nesterov's momentum", "batch of 64", "weight decay of 5e-4")
    return {
        **runs,
        "resnet110_cifar10": _small(
            "ResNet-110 on CIFAR-10, with its warm-up", "resnet110", 6.43, _EPOCHS[110], *usual
        ),
        "resnet1202_cifar10": _small("ResNet-1202 on CIFAR-10", "resnet1202", 7.93, _DAYS, *usual),
        "resnet20_cifar10_one_cycle": _small(
            "ResNet-20 on CIFAR-10 in fifteen epochs: what an hour on two processor cores can do",
            "resnet20",
            8.75,
            (1, 15),
            *(_HELD_OUT, *shorter),
            comparable=False,
            also="the schedule is that of L. N. Smith and N. Topin, Super-Convergence, 2018",
        ),
    }


def _plain() -> Runs:
    usual = (_HELD_OUT, _ONE_PROCESS, DECAY, "the paper prints curves and no figure")
    grows, fails = "error grows with depth, 20 < 32 < 44 < 56", "does not come below 60 % error"
    return {
        f"plain{depth}_cifar10": _small(
            f"Plain-{depth} on CIFAR-10: no shortcuts",
            f"plain{depth}",
            None,
            epochs,
            *usual,
            context=f"figure 6: {fails if depth == 110 else grows}",
        )
        for depth, epochs in _EPOCHS.items()
    }


def _pre_activation() -> Runs:
    usual = (_HELD_OUT, _ONE_PROCESS, DECAY)
    figures = {110: (6.37, _HOURS), 164: (5.46, _HOURS), 1001: (4.92, _DAYS)}
    return {
        f"preact_resnet{depth}_cifar10": _small(
            f"Pre-activation ResNet-{depth} on CIFAR-10", f"preact_resnet{depth}", percent, epochs, *usual
        )
        for depth, (percent, epochs) in figures.items()
    }


def _squeeze_excitation() -> Runs:
    unknown = "the paper's networks on CIFAR-10 are pre-activation networks, so nothing is published for this one"
    usual = (_HELD_OUT, DECAY, "the recipe is that of the ResNet without squeeze and excitation", unknown)
    runs: Runs = {}
    for depth, epochs in _EPOCHS.items():
        error = NETWORKS[f"resnet{depth}"].errors[0]
        runs[f"se_resnet{depth}_cifar10"] = _small(
            f"SE-ResNet-{depth} on CIFAR-10",
            f"se_resnet{depth}",
            None,
            epochs,
            *usual,
            section="section 5.1",
            context=f"{error.percent:g} % (He et al. 2016, {error.citation.where}) without squeeze and excitation",
        )
    for depth, percent, without in ((110, 5.21, 6.37), (164, 4.39, 5.46)):
        runs[f"se_preact_resnet{depth}_cifar10"] = _small(
            f"Pre-activation SE-ResNet-{depth} on CIFAR-10",
            f"se_preact_resnet{depth}",
            percent,
            _HOURS,
            *(_HELD_OUT, _ONE_PROCESS, DECAY),
            section="section 5.1",
            context=f"{without} % without squeeze and excitation",
        )
    return runs


def _released_four_layer() -> Runs:
    """Those that section 3.3 of the paper of AlexNet leaves to the files of cuda-convnet."""
    usual = (
        _CARVED,
        "one weight decay and one rate for all layers; in the files biases have twice the rate, and layers decays of"
        " their own",
        "one mean for all pixels, not a mean image",
    )
    length, where = "470 epochs on 45,000 images for 300 on 40,000 and 170 on all", "section 3.3, footnote 3"
    title = "on CIFAR-10, by cuda-convnet's files"
    return {
        "four_layer_13pct_cifar10": _small(
            f"The 13 % network {title}", "four_layer_13pct", 13.0, _DAYS, *usual, length, section=where
        ),
        "four_layer_11pct_cifar10": _small(
            f"The 11 % network {title}", "four_layer_11pct", 11.0, _DAYS, *usual, length, section=where
        ),
        "four_layer_18pct_cifar10": _small(
            f"The 18 % network {title}", "four_layer_18pct", 18.0, (5, 40), *usual, section=where
        ),
    }


def _four_layer() -> Runs:
    """Those on CIFAR-10 of the paper of AlexNet; all have as many epochs as the others of their comparison."""
    usual = (_CARVED, "the paper prints no recipe")
    rates = (*usual, "of four rates the one that was best for ReLU and for tanh in an epoch of 10,000 pictures")
    own_rate = "networks with response norm have a rate of their own, chosen by validation"
    unknown, curves = "nothing is published for this network", "the paper prints curves and no test error"
    sooner, longer = (8, 40), (5, 50)  # who learns sooner is seen at once, who errs less late
    relu, training = "Four layers with ReLU on CIFAR-10", "a training error of 25 % in"
    return {
        "four_layer_relu_cifar10": _small(
            f"{relu}: how soon the training error comes down to 25 %",
            "four_layer",
            None,
            sooner,
            *(*rates, curves),
            section="figure 1",
            context=f"{training} a sixth of the epochs of tanh",
        ),
        "four_layer_tanh_cifar10": _small(
            "Four layers with tanh on CIFAR-10: how late the training error comes down to 25 %",
            "four_layer_tanh",
            None,
            sooner,
            *(*rates, curves),
            section="figure 1",
            context=f"{training} six times the epochs of ReLU",
        ),
        "four_layer_plain_cifar10": _small(
            f"{relu}, without normalization",
            "four_layer",
            None,
            longer,
            *(*usual, unknown),
            section="section 3.3",
        ),
        "four_layer_lrn_cifar10": _small(
            f"{relu}, with response normalization",
            "four_layer",
            None,
            longer,
            *(*usual, own_rate, unknown),
            section="section 3.3",
        ),
        "four_layer_abutting_cifar10": _small(
            f"{relu}, with response normalization and pools of 2×2 that do not overlap",
            "four_layer_abutting",
            None,
            longer,
            *(*usual, own_rate, unknown),
            section="section 3.4",
            context="overlap lowers AlexNet's errors by 0.4 and 0.3 points",
        ),
        "four_layer_bn_cifar10": _small(
            f"{relu}, with batch normalization",
            "four_layer",
            None,
            sooner,
            *(*rates, "batch norm stands after the first two pools, not before each activation", unknown),
            section="section 3.3",
            also='S. Ioffe, C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal'
            ' Covariate Shift", ICML 2015, section 4.2',
            context="at the same rate Inception comes to its error in less than half the steps, section 4.2.2",
        ),
    }


def _network_in_network() -> Runs:
    usual = (
        _ALL,
        "rate, falls, length and weight decay are those of the authors' release, as the paper has none",
        "one rate for all layers; in the release the last 1×1 convolution has a tenth of it and biases have twice",
    )
    section, plain = "sections 4.1 and 4.2", "Network in Network on CIFAR-10, without augmentation"
    return {
        "nin_cifar10": _small("Network in Network on CIFAR-10", "nin", 8.81, _HOURS, *usual, section=section),
        "nin_cifar10_plain": _small(plain, "nin", 10.41, _HOURS, *usual, section=section),
        "nin_cifar10_plain_no_dropout": _small(
            f"{plain} and dropout",
            "nin",
            None,
            _HOURS,
            *usual,
            section=section,
            context="dropout lowers the error by more than a fifth",
        ),
    }


def _aggregated() -> Runs:
    usual = (_ALL, "batch norm over 128 images, not 16 on each of eight GPUs")
    percents = {(8, 10): 3.65, (16, 10): 3.58, (8, 100): 17.77, (16, 100): 17.31}
    runs: Runs = {}
    for (groups, classes), percent in percents.items():
        network, dataset = f"resnext29_{groups}x64d", f"cifar{classes}"
        title = f"ResNeXt-29, {groups}×64d, on CIFAR-{classes}"
        runs[f"{network}_{dataset}"] = _small(title, network, percent, _DAYS, *usual, dataset=dataset)
    return runs


def _dense() -> Runs:
    runs: Runs = {}
    for depth, percent, plain, epochs in ((40, 5.24, 7.0, _HOURS), (100, 4.1, 5.77, _DAYS)):
        network, title = f"densenet{depth}_12", f"DenseNet-{depth} (k = 12) on CIFAR-10"
        runs |= _with_and_without_augmentation(title, network, percent, plain, epochs)
    for depth, growth, percent, no_augmentation, epochs in (
        (100, 12, 4.51, 5.92, _HOURS),
        (250, 24, 3.62, 5.19, _DAYS),
        (190, 40, 3.46, None, _DAYS),
    ):
        title = f"DenseNet-BC-{depth} (k = {growth}) on CIFAR-10"
        network = f"densenet_bc_{depth}_{growth}"
        runs |= _with_and_without_augmentation(title, network, percent, no_augmentation, epochs)
    for depth, growth, percent in ((250, 24, 17.6), (190, 40, 17.18)):
        title = f"DenseNet-BC-{depth} (k = {growth}) on CIFAR-100"
        network = f"densenet_bc_{depth}_{growth}"
        runs[f"{network}_cifar100"] = _small(title, network, percent, _DAYS, _ALL, dataset="cifar100")
    return runs


def _with_and_without_augmentation(
    title: str, network: str, percent: float, plain: float | None, epochs: tuple[int | None, int | None]
) -> Runs:
    runs = {f"{network}_cifar10": _small(title, network, percent, epochs, _ALL)}
    if plain is not None:
        runs[f"{network}_cifar10_plain"] = _small(f"{title}, without augmentation", network, plain, epochs, _ALL)
    return runs


SMALL: Runs = {
    **_mnist(),
    **_residual(),
    **_plain(),
    **_pre_activation(),
    **_squeeze_excitation(),
    **_released_four_layer(),
    **_four_layer(),
    **_network_in_network(),
    **_aggregated(),
    **_dense(),
}
