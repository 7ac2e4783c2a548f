"""Golden records: the sizes, shapes and logits of each network, recorded to detect unintended changes.

The weights and the image of a golden record come from a formula, not from a random generator, so that they are the same
with every version of torch and on every machine; the network's outputs differ in the last digits only.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from repronet import models
from repronet.analysis.verification import measured
from repronet.papers import NETWORKS

_STEP = 0x9E3779B1  # 2³² over the golden ratio: its multiples, modulo 2³², are spread evenly


def evenly(count: int, start: int) -> Tensor:
    """`count` numbers spread evenly from −√3 to √3, and so with variance 1: (count,) float32."""
    whole = (torch.arange(start, start + count, dtype=torch.int64) * _STEP) % 2**32
    return ((whole.double() / 2**32 - 0.5) * 12**0.5).float()


def fix_weights(network: nn.Module) -> nn.Module:
    """Give every parameter and buffer values that depend on its position only; returns the network.

    Weights have the variance 2/fan-in of He et al.'s initialisation, so that the logits depend on every layer.
    """
    start = 0
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                numbers = evenly(tensor.numel(), start).reshape(tensor.shape)
                if tensor.dim() > 1:
                    tensor.copy_(numbers * (2 / tensor[0].numel()) ** 0.5)
                else:
                    is_scale = name.endswith(("weight", "running_var", "coefficient"))
                    tensor.copy_(1 + 0.1 * numbers if is_scale else 0.1 * numbers)
            start += tensor.numel() + 1
    return network


def fixed_image(*shape: int) -> Tensor:
    """One image from the same formula: (1, C, H, W)."""
    return evenly(torch.Size(shape).numel(), 0).reshape(1, *shape)


def sizes(name: str) -> dict[str, Any]:
    """Parameters, multiply-accumulates and the output shape of each top-level part of the network."""
    network, summary = measured(name)
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "macs": summary.macs,
        "shapes": {row.name: list(row.output) for row in summary.folded(1)},
    }


def logits(name: str, layers: str = "torch") -> list[float]:
    """The sum, the sum of squares and the first three of the logits, for fixed weights and the fixed image."""
    network = fix_weights(models.create(name, layers=layers)).eval()
    with torch.no_grad():
        y = network(fixed_image(*NETWORKS[name].input)).double().flatten()
    return [float(f"{number:.6g}") for number in (y.sum(), y.square().sum(), *y[:3])]
