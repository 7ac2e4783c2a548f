"""Every random choice about data is a function of named counters, never of what was drawn before it."""

from __future__ import annotations

import hashlib

import torch


def counter_seed(purpose: str, *counters: int) -> int:
    """A seed below 2⁶³ that depends on ``purpose`` and ``counters`` alone, for instance ("dropout", seed, step)."""
    text = "/".join([purpose, *map(str, counters)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1  # 63 bits: seeds are signed


def counter_generator(purpose: str, *counters: int) -> torch.Generator:
    """A fresh generator that depends on ``purpose`` and ``counters`` alone, for instance ("order", seed, epoch).

    Because nothing else enters, an epoch's draws are the same whether or not another epoch ran before it in the same
    process: a run that was stopped and goes on sees the images that it would have seen.
    """
    return torch.Generator().manual_seed(counter_seed(purpose, *counters))
