"""A whole training step under our layers over one under torch's: time and peak memory.

    python benchmarks/training_steps.py [lenet5-64 lenet5-256 resnet20-128 vgg11-128 resnet50-8] [--rounds 9]

The same network three times in one process, with the same weights: torch's layers, ours with the fastest algorithms
("auto"), and ours without any of torch's backward kernels ("own"). Rounds alternate between the three; printed are the
median times and the medians of the rounds' ratios. Memory is the most that tensors held at once during a step.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch
from memory import peak_megabytes
from networks import WORKLOADS, Workload
from torch import nn

from repronet.layers import convert, set_algorithm

VARIANTS = ("torch", "auto", "own")


def variant(network: nn.Module, name: str) -> nn.Module:
    """The network on torch's layers, or on ours with an algorithm."""
    if name == "torch":
        return network
    ours = convert(network, to="custom")
    set_algorithm(ours, name)
    return ours


def stepper(network: nn.Module, workload: Workload) -> Callable[[], None]:
    """One training step: forward, loss, backward, SGD with momentum."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(workload.images, generator=generator)
    labels = torch.randint(workload.classes, workload.images[:1], generator=generator)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()

    return step


def time_steps(name: str, rounds: int) -> dict[str, list[float]]:
    """Seconds a step, by variant and round."""
    workload = WORKLOADS[name]
    torch.manual_seed(0)
    network = workload.build()
    steps = {v: stepper(variant(copy.deepcopy(network), v), workload) for v in VARIANTS}
    for step in steps.values():  # "auto" and "own" measure in their first step
        step()
        step()
    seconds: dict[str, list[float]] = {v: [] for v in VARIANTS}
    for _ in range(rounds):
        for v, step in steps.items():
            begun = time.perf_counter()
            for _ in range(workload.steps):
                step()
            seconds[v].append((time.perf_counter() - begun) / workload.steps)
    return seconds


def peak_memory(name: str) -> dict[str, float]:
    """MB that tensors held at once during a step, beyond network and optimizer, by variant."""
    found = {}
    for v in VARIANTS:
        torch.manual_seed(0)
        step = stepper(variant(WORKLOADS[name].build(), v), WORKLOADS[name])
        step()
        step()
        found[v] = peak_megabytes(step)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="all if none is named")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    unknown = set(options.names) - set(WORKLOADS)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(WORKLOADS)}")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {options.rounds} alternating rounds")
    print("network           torch ms   auto/torch        own/torch         memory MB  auto/torch  own/torch")
    for name in options.names or WORKLOADS:
        seconds = time_steps(name, options.rounds)
        cells = [_ratio(seconds[v], seconds["torch"]) for v in ("auto", "own")]
        memory = peak_memory(name)
        shares = [f"{memory[v] / memory['torch']:9.2f}" for v in ("auto", "own")]
        milliseconds = statistics.median(seconds["torch"]) * 1e3
        print(
            f"{name:<16} {milliseconds:9.2f}   {'  '.join(cells)} {memory['torch']:10.0f}  {'  '.join(shares)}",
            flush=True,
        )


def _ratio(ours: list[float], theirs: list[float]) -> str:
    """Median of the rounds' ratios, and their range."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


if __name__ == "__main__":
    main()
