"""The most memory that tensors held at once during a piece of work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.profiler import ProfilerActivity, profile


def peak_megabytes(work: Callable[[], object]) -> float:
    """How much more memory tensors held at the worst moment of `work` than before it, in MB.

    Every allocation and every release of torch's CPU allocator is added up in the order of time. What kernels hold for
    themselves is not seen, on either side of a comparison.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        work()
    recorded: Any = record.profiler  # whose events torch declares without their bytes
    events = [event for event in recorded.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak / 2**20
