"""The mathematics: plain functions on tensors, with torch.nn.functional's names and signatures.

Each operator stands with its gradients side by side: `conv2d_forward`, `conv2d_input_gradient`,
`conv2d_weight_gradient`, `conv2d_bias_gradient` in `repronet.functional.conv`, and so on.
"""

from repronet.functional.activation import relu, tanh
from repronet.functional.conv import conv2d
from repronet.functional.linear import linear
from repronet.functional.norm import batch_norm
from repronet.functional.pool import avg_pool2d, max_pool2d

__all__ = ["avg_pool2d", "batch_norm", "conv2d", "linear", "max_pool2d", "relu", "tanh"]
