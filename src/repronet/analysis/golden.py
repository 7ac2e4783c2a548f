"""What a network is, written down exactly, so that a change that should change nothing is seen.

The weights and the image of a golden record are drawn by a formula, not by a generator, so that they are the same with
every version of torch and on every machine; what the network makes of them differs in the last digits alone.
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
    """`count` numbers that are spread evenly over −√3 to √3, which has the variance 1: (count,) float32."""
    whole = (torch.arange(start, start + count, dtype=torch.int64) * _STEP) % 2**32
    return ((whole.double() / 2**32 - 0.5) * 12**0.5).float()


def fix_weights(network: nn.Module) -> nn.Module:
    """Give every parameter and buffer a value that depends on its place alone; returns the network.

    Weights have the variance 2/fan-in, as He et al. draw them, so that the logits depend on every layer.
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
    """One image of the same kind: (1, C, H, W)."""
    return evenly(torch.Size(shape).numel(), 0).reshape(1, *shape)


def sizes(name: str) -> dict[str, Any]:
    """Parameters, multiplications and the shape that leaves each direct part of the network, without its weights."""
    network, summary = measured(name)
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "macs": summary.macs,
        "shapes": {row.name: list(row.output) for row in summary.folded(1)},
    }


def logits(name: str, layers: str = "torch") -> list[float]:
    """What the network with fixed weights makes of the fixed image: sum, sum of squares and the first three logits."""
    network = fix_weights(models.create(name, layers=layers)).eval()
    with torch.no_grad():
        y = network(fixed_image(*NETWORKS[name].input)).double().flatten()
    return [float(f"{number:.6g}") for number in (y.sum(), y.square().sum(), *y[:3])]
