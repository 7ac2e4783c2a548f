"""Layers with torch.nn's names, signatures, defaults and state_dict keys, computed by repronet.functional.

`repronet.layers` can stand wherever `torch.nn` stands in our models. Every layer is a subclass of torch.nn's, which
keeps its initialisation, parameters and repr, and replaces its computation. Containers, which compute nothing, are
torch.nn's own. A name that is not here is missing on purpose: falling back to a vendor's layer would go unseen.
"""

from torch.nn import Flatten, Identity, Module, ModuleList, Sequential

from repronet.layers.activation import ReLU, Tanh
from repronet.layers.conv import Conv2d
from repronet.layers.linear import Linear
from repronet.layers.norm import BatchNorm2d
from repronet.layers.pool import AvgPool2d, MaxPool2d

__all__ = [
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "Flatten",
    "Identity",
    "Linear",
    "MaxPool2d",
    "Module",
    "ModuleList",
    "ReLU",
    "Sequential",
    "Tanh",
]
