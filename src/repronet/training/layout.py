"""Whether images and weights lie in memory with their channels innermost."""

from __future__ import annotations

import torch
from torch import nn

_MEASURED = ("AVX2", "AVX512")  # processors whose convolutions want it, as torch calls them


def channels_last(wanted: bool | str, network: nn.Module, accelerator: str) -> bool:
    """What ``trainer.channels_last`` means for this network here: "auto" is a fixed rule, nothing is measured.

    A step of a network with convolutions took 0.6 to 0.95 of its time with AVX-512 (docs/guide/speed.md). No processor
    of another kind and no GPU was measured, so these keep torch's own layout.
    """
    if isinstance(wanted, bool):
        return wanted
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.cuda.is_available())
    convolves = any(isinstance(module, nn.Conv2d) for module in network.modules())
    return on_cpu and convolves and torch.backends.cpu.get_cpu_capability() in _MEASURED
