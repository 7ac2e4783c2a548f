"""Layers with torch.nn's names, signatures, defaults and state_dict keys, computed by repronet.functional.

`repronet.layers` can replace `torch.nn` everywhere in our models. Every layer that torch.nn has too is a subclass of
torch's, which keeps its initialisation, parameters and repr, and replaces its computation. Containers, which compute
nothing, are torch.nn's own. Other names are missing on purpose: a silent fallback to a vendor's layer would go
unnoticed. `convert` changes the layers of any other network to these.
"""

from torch.nn import Flatten, Identity, Module, ModuleList, Sequential

from repronet.layers.activation import (
    ELU,
    Hardsigmoid,
    Hardswish,
    LeakyReLU,
    LogSoftmax,
    Maxout,
    PReLU,
    ReLU,
    ReLU6,
    ScaledTanh,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from repronet.layers.conv import Conv2d, ConvTranspose2d
from repronet.layers.convert import convert, set_algorithm, unconverted
from repronet.layers.dropout import Dropout, Dropout2d
from repronet.layers.linear import Linear
from repronet.layers.local import LocallyConnected2d
from repronet.layers.loss import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss, MultiMarginLoss, NLLLoss, RBFLoss
from repronet.layers.norm import (
    BatchNorm1d,
    BatchNorm2d,
    GroupNorm,
    KrizhevskyResponseNorm,
    LayerNorm,
    LocalContrastNorm,
    LocalResponseNorm,
    ResponseNormWithinMaps,
)
from repronet.layers.pool import AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, FeaturePool, LPPool2d, MaxPool2d

__all__ = [
    "ELU",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "AvgPool2d",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout2d",
    "FeaturePool",
    "Flatten",
    "GroupNorm",
    "Hardsigmoid",
    "Hardswish",
    "Identity",
    "KrizhevskyResponseNorm",
    "LPPool2d",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LocalContrastNorm",
    "LocalResponseNorm",
    "LocallyConnected2d",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "Maxout",
    "Module",
    "ModuleList",
    "MultiMarginLoss",
    "NLLLoss",
    "PReLU",
    "RBFLoss",
    "ReLU",
    "ReLU6",
    "ResponseNormWithinMaps",
    "ScaledTanh",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "convert",
    "set_algorithm",
    "unconverted",
]
