"""Compare our convolution with torch's on every shape in classic networks: forward, with backward, peak memory.

    python benchmarks/conv_layers.py [lenet5 alexnet vgg11 googlenet resnet20 resnet50 resnext50 depthwise dilated]

Both layers have the same weights and alternate; the ratios are medians of 7 rounds. "own" is our layer without any of
torch's backward kernels. The last line of each network weights every shape by its number of occurrences.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from networks import SHAPES_OF
from torch import nn

from repronet import layers
from repronet.analysis.conv_speed import ConvShape, conv_shapes
from repronet.analysis.step_speed import peak_megabytes

VARIANTS = ("torch", "auto", "own")
ROUNDS = 7


def layer_of(shape: ConvShape, v: str) -> nn.Conv2d:
    g = shape.geometry
    how = (shape.input[1], shape.filters, g.kernel, g.stride, g.padding, g.dilation, shape.groups)
    torch.manual_seed(0)
    return nn.Conv2d(*how) if v == "torch" else layers.Conv2d(*how, algorithm=v)


def seconds_of(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def measure(shape: ConvShape) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """By variant: median seconds of the forward, of forward and backward together, and peak MB."""
    x = torch.randn(shape.input, requires_grad=True)
    made = {v: layer_of(shape, v) for v in VARIANTS}
    g = torch.randn_like(made["torch"](x))

    def both(layer: nn.Module) -> None:
        layer(x).backward(g)
        layer.zero_grad()
        x.grad = None

    forward: dict[str, list[float]] = {v: [] for v in VARIANTS}
    whole: dict[str, list[float]] = {v: [] for v in VARIANTS}
    for layer in made.values():
        both(layer)
        both(layer)
    for _ in range(ROUNDS):
        for v, layer in made.items():
            with torch.no_grad():
                forward[v].append(seconds_of(lambda layer=layer: layer(x)))
            whole[v].append(seconds_of(lambda layer=layer: both(layer)))
    memory = {v: peak_megabytes(lambda layer=layer: both(layer)) for v, layer in made.items()}
    return _medians(forward), _medians(whole), memory


def _medians(times: dict[str, list[float]]) -> dict[str, float]:
    return {v: statistics.median(found) for v, found in times.items()}


def report(name: str) -> None:
    build, images = SHAPES_OF[name]
    totals = dict.fromkeys(VARIANTS, 0.0)
    print(f"\n{name}: shape, how often, torch ms, then auto/torch and own/torch: forward | with backward | peak memory")
    for shape, count in conv_shapes(build(), torch.zeros(images)).items():
        forward, whole, memory = measure(shape)
        for v in VARIANTS:
            totals[v] += count * whole[v]
        cells = " | ".join(
            f"{found['auto'] / found['torch']:5.2f} {found['own'] / found['torch']:5.2f}" for found in (forward, whole)
        )
        peak = " ".join(f"{memory[v] / memory['torch']:.2f}" for v in ("auto", "own"))
        print(f"  {shape!s:<46} {count:2}× {whole['torch'] * 1e3:8.2f}  {cells} | {peak}", flush=True)
    auto, own = (totals[v] / totals["torch"] for v in ("auto", "own"))
    print(f"  all of them, with backward: auto {auto:.2f}, own {own:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="all if none is named")
    options = parser.parse_args()
    unknown = set(options.names) - set(SHAPES_OF)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(SHAPES_OF)}")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for name in options.names or SHAPES_OF:
        report(name)


if __name__ == "__main__":
    main()
