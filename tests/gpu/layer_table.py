"""Every layer once, with what it is made of and what it is fed; and one network of each family."""

from __future__ import annotations

from repronet import layers

IMAGES = (2, 4, 8, 8)

# Name → arguments and the shape of its input.
LAYERS: dict[str, tuple[tuple, tuple[int, ...]]] = {
    "AdaptiveAvgPool2d": ((3,), IMAGES),
    "AdaptiveMaxPool2d": ((3,), IMAGES),
    "AvgPool2d": ((3, 2, 1), IMAGES),
    "BatchNorm1d": ((4,), (5, 4)),
    "BatchNorm2d": ((4,), IMAGES),
    "Conv2d": ((4, 6, 3, 2, 1), IMAGES),
    "ConvTranspose2d": ((4, 6, 3, 2, 1, 1), IMAGES),
    "Dropout": ((0.5,), (5, 4)),
    "Dropout2d": ((0.5,), IMAGES),
    "ELU": ((), IMAGES),
    "FeaturePool": ((2,), IMAGES),
    "GroupNorm": ((2, 4), IMAGES),
    "Hardsigmoid": ((), IMAGES),
    "Hardswish": ((), IMAGES),
    "KrizhevskyResponseNorm": ((), IMAGES),
    "LPPool2d": ((2.0, 2), IMAGES),
    "LayerNorm": (((8,),), IMAGES),
    "LeakyReLU": ((), IMAGES),
    "Linear": ((4, 3), (5, 4)),
    "LocalContrastNorm": ((5,), IMAGES),
    "LocalResponseNorm": ((3,), IMAGES),
    "LocallyConnected2d": ((4, 2, 8, 3), IMAGES),
    "LogSoftmax": ((1,), (5, 4)),
    "MaxPool2d": ((3, 2, 1), IMAGES),
    "Maxout": ((2,), (5, 4)),
    "PReLU": ((4,), IMAGES),
    "ReLU": ((), IMAGES),
    "ReLU6": ((), IMAGES),
    "ResponseNormWithinMaps": ((), IMAGES),
    "ScaledTanh": ((), IMAGES),
    "SiLU": ((), IMAGES),
    "Sigmoid": ((), IMAGES),
    "Softmax": ((1,), (5, 4)),
    "Tanh": ((), IMAGES),
}
LOSSES = ("BCEWithLogitsLoss", "CrossEntropyLoss", "MSELoss", "MultiMarginLoss", "NLLLoss", "RBFLoss")
NOTHING_COMPUTED = {"Flatten", "Identity", "Module", "ModuleList", "Sequential"}
FUNCTIONS = {"convert", "set_algorithm", "unconverted"}

# One network a family, a small one where there is a choice.
NETWORKS = {
    "lenet": "lenet5_1998",
    "baselines": "locally_connected",
    "alexnet": "alexnet",
    "four_layer": "four_layer_13pct",
    "zfnet": "zfnet",
    "vgg": "vgg11_bn_32px",
    "network_in_network": "nin",
    "googlenet": "googlenet",
    "inception_v3": "inception_v3",
    "resnet": "resnet20",
    "preact_resnet": "preact_resnet110",
    "resnext": "resnext29_8x64d",
    "densenet": "densenet40_12",
    "senet": "se_resnet20",
}
LARGE = {"densenet40_12", "googlenet", "inception_v3", "preact_resnet110", "resnext29_8x64d"}  # in seconds


def missing() -> set[str]:
    """What `repronet.layers` offers and nothing here tries."""
    return set(layers.__all__) - LAYERS.keys() - set(LOSSES) - NOTHING_COMPUTED - FUNCTIONS
