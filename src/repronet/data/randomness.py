"""Random numbers for data as a function of named counters alone, never of earlier draws."""

from __future__ import annotations

import hashlib

import torch


def counter_seed(purpose: str, *counters: int) -> int:
    """A seed below 2⁶³ that depends on ``purpose`` and ``counters`` alone, for instance ("dropout", seed, step)."""
    text = "/".join([purpose, *map(str, counters)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1  # 63 bits: seeds are signed


def counter_generator(purpose: str, *counters: int) -> torch.Generator:
    """A fresh generator that depends on ``purpose`` and ``counters`` alone, for instance ("order", seed, epoch).

    So an epoch's draws are the same whether or not another epoch ran before it in the same process, and a resumed run
    sees the same images as an uninterrupted one.
    """
    return torch.Generator().manual_seed(counter_seed(purpose, *counters))
