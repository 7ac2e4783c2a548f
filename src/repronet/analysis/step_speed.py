"""Time a whole training step of a network with our layers and with torch's.

Each way runs in its own process, since the ways manage memory differently: ours keep it, as the command line does,
torch's leave it to glibc. Rounds alternate, so that a change of the machine's speed affects all ways alike.
"""

from __future__ import annotations

import logging
import os
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from repronet import models, native
from repronet.analysis.complexity import summarize
from repronet.errors import UserError, first_line
from repronet.layers import set_algorithm
from repronet.runs.memory import keep_memory
from repronet.training.layout import channels_last

WAYS = {
    "torch": {"layers": "torch"},
    "torch_channels_last": {"layers": "torch", "last": True},
    "torch_compiled": {"layers": "torch", "last": True, "compile": True},
    "auto": {"layers": "custom", "last": "auto"},
    "auto_compiled": {"layers": "custom", "last": "auto", "compile": True},
    "native": {"layers": "custom", "last": "auto", "algorithm": "native"},
}
_SILENT = {"KINETO_LOG_LEVEL": "99", "TORCH_CPP_LOG_LEVEL": "ERROR"}  # else the profiler reports that there is no GPU
_LEAST_SECONDS = 0.1  # approximate length of a round, which sets its number of steps


@dataclass
class Timing:
    """The times and the memory of one way."""

    seconds: list[float] = field(default_factory=list)  # per step, by round
    first: float = 0.0  # seconds of the first step, in which a network is compiled
    tensors: float = 0.0  # peak MB of tensors in a step, beyond network and optimizer
    process: float = 0.0  # peak MB of the process

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def ratio(self, other: Timing) -> float:
        """The median over the rounds of the ratio of these seconds to the other's."""
        return statistics.median(a / b for a, b in zip(self.seconds, other.seconds, strict=True))


def stepper(network: nn.Module, images: torch.Tensor) -> Callable[[], None]:
    """One training step on fixed images: forward, cross-entropy, backward, SGD with momentum."""
    numbers = torch.arange(len(images))
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        answer = network(images)
        heads = answer if isinstance(answer, tuple) else (answer,)
        losses = [nn.functional.cross_entropy(y, numbers % y.shape[1]) for y in heads if y is not None]
        torch.stack(losses).sum().backward()
        optimizer.step()

    return step


def _prepared(name: str, shape: Sequence[int], way: Mapping[str, Any]) -> Callable[[], None]:
    torch.manual_seed(0)
    network = models.create(name, in_channels=shape[1], layers=way["layers"]).train()
    if way.get("algorithm"):
        set_algorithm(network, way["algorithm"])
    images = torch.randn(*shape)
    if channels_last(way.get("last", False), network, "cpu"):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        images = images.contiguous(memory_format=torch.channels_last)
    if way.get("compile"):
        network.compile()
    return stepper(network, images)


_step: Callable[[], None]  # the step of this process, which measures one way


def _begin(name: str, shape: Sequence[int], way: str, threads: int) -> tuple[int, float]:
    """Prepare this process and run three steps; returns the number of steps per round and the first step's seconds."""
    global _step
    torch.set_num_threads(threads)
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it warns about a compiler without CUDA
    if WAYS[way]["layers"] == "custom":
        keep_memory()
    _step = _prepared(name, shape, WAYS[way])
    first, _, third = _round(1), _round(1), _round(1)  # the second one may still compile
    return max(1, round(_LEAST_SECONDS / third)), first


def _round(steps: int) -> float:
    """The mean seconds per step over a round."""
    begun = time.perf_counter()
    for _ in range(steps):
        _step()
    return (time.perf_counter() - begun) / steps


def _memory() -> tuple[float, float]:
    """The peak MB of tensors in a step, and of the process at any time."""
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return peak_megabytes(_step), held


def _ask(way: str, process: ProcessPoolExecutor, work: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return process.submit(work, *arguments).result()
    except BrokenProcessPool as error:
        raise UserError(f"{way}: its process ended: killed") from error
    except Exception as error:
        raise UserError(f"{way}: its process ended: {type(error).__name__}: {first_line(error)}") from error


def measure(
    name: str, shape: Sequence[int], ways: Sequence[str], rounds: int, tell: Callable[[str], None] = lambda line: None
) -> dict[str, Timing]:
    """Measure the times of the ways, in turn, and their memory.

    Args:
        shape: of the images, (N, C, H, W).
        ways: keys of `WAYS`.
        tell: called with a line of text for each step of the work.

    Raises:
        UserError: if one of the ways cannot run.
    """
    for variable, level in _SILENT.items():
        os.environ.setdefault(variable, level)
    found = {way: Timing() for way in ways}
    fresh = get_context("spawn")
    with ExitStack() as stack:
        processes, steps = {}, {}
        for way in ways:
            tell(f"preparing {way}")
            processes[way] = stack.enter_context(ProcessPoolExecutor(1, fresh))
            steps[way], found[way].first = _ask(way, processes[way], _begin, name, shape, way, torch.get_num_threads())
        for number in range(1, rounds + 1):
            tell(f"round {number} of {rounds}")
            for way in ways:
                found[way].seconds.append(_ask(way, processes[way], _round, steps[way]))
        for way in ways:
            found[way].tensors, found[way].process = _ask(way, processes[way], _memory)
    return found


def peak_megabytes(work: Callable[[], object]) -> float:
    """The peak memory of tensors during `work` beyond that before it, in MB.

    Adds up every allocation and release of torch's CPU allocator in the order of time. Memory that kernels allocate
    for themselves is not counted, for either side of a comparison.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        work()
    recorded: Any = record.profiler  # torch's type declaration of its events lacks the bytes
    events = [event for event in recorded.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak / 2**20


def operations(name: str, shape: Sequence[int]) -> int:
    """Additions and multiplications of a step: two per multiply-accumulate of the forward pass, times three."""
    with torch.device("meta"):
        network = models.create(name, in_channels=shape[1], layers="torch")
    return 6 * shape[0] * summarize(network, tuple(shape[1:])).macs


def peak() -> float | None:
    """The peak float32 operations per second of these threads, measured with a loop; None without native kernels."""
    if native.missing():
        return None
    library, steps = native.library(), 2_000_000
    best = 0.0
    for _ in range(3):
        begun = time.perf_counter()
        library.peak(steps, torch.get_num_threads())  # small enough for an int
        seconds = time.perf_counter() - begun
        best = max(best, 48 * library.vector_bytes() / 4 * steps * torch.get_num_threads() / seconds)
    return best


def bandwidth() -> float:
    """The peak bytes per second that these threads read and write, measured by copying 128 MiB."""
    source = torch.ones(2**25)
    target = torch.empty_like(source)
    best = float("inf")
    for _ in range(4):
        begun = time.perf_counter()
        target.copy_(source)
        best = min(best, time.perf_counter() - begun)
    return 2 * source.nbytes / best
