"""Backward rules of a rectifier: its gradient, or the replacements that two visualisation methods use.

With x the rectifier's input and r the signal that arrives from the layer above, it passes back

    gradient             r · [x > 0]
    deconvolution        max(r, 0)
    guided               max(r, 0) · [x > 0]

(M. D. Zeiler, R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 2.1; J. T.
Springenberg et al., "Striving for Simplicity", ICLR 2015 workshop, figure 1.) Every other layer passes back its
gradient, that is the transposed convolution for a convolution, and the switches for max-pooling.
"""

from __future__ import annotations

from torch import Tensor, nn

from repronet.errors import UserError
from repronet.functional.function import differentiable
from repronet.layers import KrizhevskyResponseNorm, LocalContrastNorm
from repronet.visualization.layer_outputs import probe

WAYS = ("gradient", "deconvolution", "guided")
CONTRAST = (nn.LocalResponseNorm, KrizhevskyResponseNorm, LocalContrastNorm)


def deconvolution_backward(d_output: Tensor) -> Tensor:
    """max(r, 0): the projected signal must be an excitation at every layer."""
    return d_output.clamp(min=0)


def guided_backward(d_output: Tensor, input: Tensor) -> Tensor:
    """max(r, 0) · [x > 0]."""
    return d_output.clamp(min=0) * (input > 0)


def _rectified(input: Tensor) -> Tensor:
    return input.clamp(min=0)


_RECTIFIERS = {
    "deconvolution": differentiable(_rectified, input=deconvolution_backward),
    "guided": differentiable(_rectified, input=guided_backward),
}


class _Rectifier(nn.Module):
    """max(x, 0), or min(max(x, 0), most), with another backward rule than its gradient."""

    def __init__(self, way: str, most: float | None):
        super().__init__()
        self.way, self.most = way, most

    def forward(self, input: Tensor) -> Tensor:
        output = _RECTIFIERS[self.way](input)
        return output if self.most is None else output.clamp(max=self.most)


class _Transparent(nn.Module):
    """A layer that passes the arriving signal back unchanged: the paper's projection skips contrast normalisation."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, input: Tensor) -> Tensor:
        return input + (self.layer(input) - input).detach()


def probe_with(network: nn.Module, way: str) -> nn.Module:
    """A copy, as from :func:`probe`, whose rectifiers have the given backward rule.

    Networks without rectifiers, such as that of 1998, have only one rule, the gradient.

    Raises:
        UserError: for a rule that is not in :data:`WAYS`.
    """
    if way not in WAYS:
        raise UserError(f"{way}: no such way back through a rectifier (choices: {', '.join(WAYS)})")
    twin = probe(network)
    if way == "gradient":
        return twin
    swapped: dict[nn.Module, nn.Module] = {}
    for module in twin.modules():
        if isinstance(module, nn.ReLU | nn.ReLU6):
            swapped[module] = _Rectifier(way, 6.0 if isinstance(module, nn.ReLU6) else None)
        elif way == "deconvolution" and isinstance(module, CONTRAST):
            swapped[module] = _Transparent(module)
    for parent in list(twin.modules()):
        for name, child in list(parent._modules.items()):
            if child is not None and child in swapped:
                parent._modules[name] = swapped[child]
    return twin
