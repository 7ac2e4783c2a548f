"""Draw a roofline plot of the convolutions of some networks on this machine: docs/images/roofline.png.

    python benchmarks/roofline.py [--out docs/images/roofline.png]

For every convolution shape in float32, channels last: operations per byte of input, filters and output, and operations
per second of torch's kernels and ours (`repronet.functional.convolution.native`), the best of ten calls.
"""

from __future__ import annotations

import argparse

import matplotlib.pyplot as plt
import torch

from repronet import models
from repronet.analysis.conv_speed import STEPS, ConvShape, conv_shapes, measure
from repronet.analysis.step_speed import bandwidth, peak
from repronet.runs.memory import keep_memory

NETWORKS = {"resnet20": (128, 3, 32, 32), "vgg11_32px": (128, 3, 32, 32), "resnet50": (8, 3, 224, 224)}


def shapes() -> list[ConvShape]:
    """Every convolution shape, once."""
    found: dict[ConvShape, int] = {}
    with torch.device("meta"):
        for name, images in NETWORKS.items():
            found |= conv_shapes(models.create(name, layers="torch"), torch.zeros(images))
    return list(found)


def intensity(shape: ConvShape) -> float:
    """Operations per byte that must be moved: float32 input, filters and output, each once."""
    batch, channels, *size = shape.input
    height, width = shape.geometry.output_size((size[0], size[1]))
    filters = shape.filters * channels // shape.groups * len(shape.geometry.offsets)
    numbers = batch * channels * size[0] * size[1] + filters + batch * shape.filters * height * width
    return 2 * shape.multiplications / (4 * numbers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="docs/images/roofline.png")
    options = parser.parse_args()
    keep_memory()
    most, flow = peak(), bandwidth()
    if most is None:
        parser.error("there is no C compiler here")
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), sharey=True, layout="constrained")
    marks = {"vendor": ("o", "PyTorch's kernels"), "native": ("x", "ours in C")}
    for shape in shapes():
        times = measure(shape, marks, memory_format=torch.channels_last)
        for step, plot in zip(STEPS, axes, strict=True):
            for name, (mark, _) in marks.items():
                rate = 2 * shape.multiplications / times[step][name] / 1e9
                plot.plot(intensity(shape), rate, mark, color=f"C{list(marks).index(name)}", markersize=5)
    for step, plot in zip(STEPS, axes, strict=True):
        reach = [2, most / flow, 1000]
        plot.plot(reach, [min(most, i * flow) / 1e9 for i in reach], color="black", linewidth=1)
        plot.set(xscale="log", yscale="log", title=step.replace("_", " "), xlabel="operations a byte", ylim=(30, 2000))
    axes[0].set_ylabel("GFLOP/s, counted as plain sums")
    for mark, label in marks.values():
        axes[0].plot([], [], mark, label=label, color=f"C{list(marks.values()).index((mark, label))}")
    axes[0].legend(loc="lower right")
    figure.savefig(options.out, dpi=110)
    print(f"peak {most / 1e9:.0f} GFLOP/s, memory {flow / 1e9:.0f} GB/s, {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
