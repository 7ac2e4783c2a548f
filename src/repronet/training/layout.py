"""The memory layout of images and weights: channels last or torch's default."""

from __future__ import annotations

import torch
from torch import nn

_MEASURED = ("AVX2", "AVX512")  # torch's names of the CPUs whose convolutions are faster with channels last


def channels_last(wanted: bool | str, network: nn.Module, accelerator: str) -> bool:
    """Resolve ``trainer.channels_last`` for this network and machine: "auto" is a fixed rule, nothing is measured.

    With AVX-512, a step of a convolutional network took 0.6 to 0.95 of its former time (docs/guide/speed.md). GPUs and
    processors without AVX2 or AVX-512 were not measured, so they keep torch's own layout.
    """
    if isinstance(wanted, bool):
        return wanted
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.cuda.is_available())
    convolves = any(isinstance(module, nn.Conv2d) for module in network.modules())
    return on_cpu and convolves and torch.backends.cpu.get_cpu_capability() in _MEASURED
