"""Small test cases for every topic, drawn by hypothesis, which can shrink a failing case to the smallest one.

A case has a value for each argument of the topic's exercises, by name. Arrays are numpy's, of whole numbers near zero,
so that a person can follow the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from repronet.exercises.reference import geometry

Case = dict[str, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]


def _numbers(draw: Draw, needed: Collection[str], most: int = 3, **shapes: tuple[int, ...]) -> Case:
    """Arrays of whole numbers, for the needed arguments only."""
    elements, some = st.integers(-most, most), {name: shape for name, shape in shapes.items() if name in needed}
    return {name: draw(arrays(np.int16, shape, elements=elements)) for name, shape in some.items()}


def _windows(draw: Draw, needed: Collection[str], pads: bool) -> tuple[Case, tuple[int, int]]:
    """Window settings with an image size, and the output size; strides may leave a remainder, windows may overlap."""
    kernel = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    stride = draw(st.integers(1, 3))
    dilation = draw(st.integers(1, 2)) if "dilation" in needed else 1
    padding = draw(st.integers(0, 2 if pads else min(kernel) // 2)) if "padding" in needed else 0
    spans = [dilation * (side - 1) + 1 for side in kernel]
    least = [max(1, span - 2 * padding) for span in spans]
    size = least[0] + draw(st.integers(0, 3)), least[1] + draw(st.integers(0, 3))
    case = {"size": size, "kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    return case, geometry(kernel, stride, padding, dilation).output_size(size)


@st.composite
def _of_windows(draw: Draw, topic: str, batch: int | None, needed: Collection[str]) -> Case:
    n = draw(st.integers(1, 2)) if batch is None else batch
    groups = draw(st.integers(1, 2)) if "groups" in needed else 1
    channels = groups * draw(st.integers(1, 2))
    filters = groups * draw(st.integers(1, 2)) if topic == "conv2d" else channels
    case, places = _windows(draw, needed, pads=topic in ("conv2d", "im2col"))
    case |= {"batch": n, "groups": groups}
    return case | _numbers(
        draw,
        needed,
        input=(n, channels, *case["size"]),
        weight=(filters, channels // groups, *case["kernel_size"]),
        bias=(filters,),
        grad_output=(n, filters, *places),
        columns=(channels * case["kernel_size"][0] * case["kernel_size"][1], n * places[0] * places[1]),
    )


@st.composite
def _of_relu(draw: Draw, topic: str, batch: int | None, needed: Collection[str]) -> Case:
    shape = draw(st.integers(1, 2)) if batch is None else batch, draw(st.integers(1, 3)), draw(st.integers(1, 2))
    case = _numbers(draw, ("input", "grad_output"), input=shape, grad_output=shape)
    return case | {"output": np.maximum(case["input"], 0)}


@st.composite
def _of_linear(draw: Draw, topic: str, batch: int | None, needed: Collection[str]) -> Case:
    n = draw(st.integers(1, 3)) if batch is None else batch
    features, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    arrays_of = {"weight": (outputs, features), "bias": (outputs,), "grad_output": (n, outputs)}
    return _numbers(draw, needed, input=(n, features), **arrays_of)


@st.composite
def _of_batch_norm(draw: Draw, topic: str, batch: int | None, needed: Collection[str]) -> Case:
    n, channels = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    shape, eps = (n, channels, draw(st.integers(1, 2)), draw(st.integers(1, 3))), draw(st.sampled_from([1.0, 1e-3]))
    return {"eps": eps} | _numbers(draw, needed, input=shape, weight=(channels,), bias=(channels,), grad_output=shape)


@st.composite
def _of_cross_entropy(draw: Draw, topic: str, batch: int | None, needed: Collection[str]) -> Case:
    n, classes = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    most = draw(st.sampled_from([3, 1000]))
    labels = draw(arrays(np.int32, (n,), elements=st.integers(0, classes - 1)))
    return _numbers(draw, ("input",), most, input=(n, classes)) | {"labels": labels}


_TOPICS = {
    **dict.fromkeys(("im2col", "conv2d", "max_pool2d", "avg_pool2d"), _of_windows),
    "relu": _of_relu,
    "linear": _of_linear,
    "batch_norm": _of_batch_norm,
    "softmax_cross_entropy": _of_cross_entropy,
}
HAVE_EMPTY = ("im2col", "conv2d", "max_pool2d", "avg_pool2d", "relu", "linear")  # a batch may be empty


def cases(topic: str, needed: Collection[str], batch: int | None = None) -> st.SearchStrategy[Case]:
    """A hypothesis strategy for the cases of a topic.

    Args:
        needed: the arguments that are needed. Of the others, padding is 0, dilation and groups are 1, and arrays may be
            missing.
        batch: the number of images; None for any number from one.
    """
    return _TOPICS[topic](topic, batch, needed)
