"""The mathematics: plain functions on tensors, with torch.nn.functional's names and signatures.

Each operator stands with its gradients side by side: `conv2d_forward`, `conv2d_input_gradient`,
`conv2d_weight_gradient`, `conv2d_bias_gradient` in `repronet.functional.conv`, and so on.
"""

from repronet.functional.adaptive_pool import adaptive_avg_pool2d, adaptive_max_pool2d
from repronet.functional.binary_loss import binary_cross_entropy_with_logits
from repronet.functional.conv import conv2d
from repronet.functional.conv_transpose import conv_transpose2d
from repronet.functional.cross_entropy import cross_entropy
from repronet.functional.dropout import dropout, dropout2d
from repronet.functional.hinge_loss import multiclass_hinge
from repronet.functional.layer_norm import group_norm, layer_norm
from repronet.functional.linear import linear
from repronet.functional.local import locally_connected2d
from repronet.functional.local_norm import (
    divisive_norm,
    local_contrast_norm,
    local_response_norm,
    local_response_norm_krizhevsky,
    local_response_norm_within_maps,
    subtractive_norm,
)
from repronet.functional.loss import mse_loss, rbf_loss
from repronet.functional.lp_pool import feature_pool, lp_pool2d
from repronet.functional.maxout import maxout
from repronet.functional.nll_loss import nll_loss
from repronet.functional.norm import batch_norm
from repronet.functional.norm_relu import batch_norm_relu
from repronet.functional.pool import avg_pool2d, max_pool2d
from repronet.functional.rectifier import elu, leaky_relu, prelu, relu, relu6
from repronet.functional.sigmoidal import hardsigmoid, hardswish, scaled_tanh, sigmoid, silu, tanh
from repronet.functional.softmax import log_softmax, softmax

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_max_pool2d",
    "avg_pool2d",
    "batch_norm",
    "batch_norm_relu",
    "binary_cross_entropy_with_logits",
    "conv2d",
    "conv_transpose2d",
    "cross_entropy",
    "divisive_norm",
    "dropout",
    "dropout2d",
    "elu",
    "feature_pool",
    "group_norm",
    "hardsigmoid",
    "hardswish",
    "layer_norm",
    "leaky_relu",
    "linear",
    "local_contrast_norm",
    "local_response_norm",
    "local_response_norm_krizhevsky",
    "local_response_norm_within_maps",
    "locally_connected2d",
    "log_softmax",
    "lp_pool2d",
    "max_pool2d",
    "maxout",
    "mse_loss",
    "multiclass_hinge",
    "nll_loss",
    "prelu",
    "rbf_loss",
    "relu",
    "relu6",
    "scaled_tanh",
    "sigmoid",
    "silu",
    "softmax",
    "subtractive_norm",
    "tanh",
]
