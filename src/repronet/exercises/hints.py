"""Hints for wrong exercises: the idea to think about, not the code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

# By feature of a case, rarest first; the smallest failing case has only features that the fault needs.
_BY_FEATURE = {
    "large": "softmax does not change if you subtract one number from all of x: which one keeps exp small?",
    "empty": "this batch is empty: what shape does the result have?",
    "groups": "there are two groups: which channels does a filter see?",
    "dilation": "the window has gaps: on which number does the second weight lie?",
    "padding": "there is padding: where in the padded image does its first number lie?",
    "remainder": "the stride leaves a remainder that no window covers: what happens to those numbers?",
    "overlap": "windows overlap: what does a number in two windows receive?",
    "stride": "windows lie a stride apart: where does the second begin?",
    "batch": "there are several images: what do they share, and what does each have of its own?",
}
_OF_EXERCISE = {  # by exercise and a feature of the case, or an output
    ("im2col", "overlap"): "windows overlap: in how many columns is a number that lies in two of them?",
    ("max_pool2d_forward", "overlap"): "windows overlap: may one of them change what another one sees?",
    ("avg_pool2d_forward", "overlap"): "windows overlap: may one of them change what another one sees?",
    ("max_pool2d_forward", "padding"): "there is padding: which padding value never wins?",
    ("max_pool2d_input_gradient", "padding"): "there is padding: which padding value never wins?",
    ("max_pool2d_input_gradient", "ties"): "two numbers of a window are equal: how many of them win?",
    ("avg_pool2d_forward", "padding"): "there is padding: do its zeros count in the mean?",
    ("avg_pool2d_input_gradient", "padding"): "there is padding: do its zeros count in the mean?",
    ("conv2d_forward", "overlap"): "the kernel is laid on the image as it is: which weight meets the first number?",
    ("conv2d_forward", "channels"): "a filter spans all channels of its group: how are its sums over them combined?",
    ("conv2d_weight_gradient", "overlap"): "a weight is used at every place: how do the gradients of all combine?",
    ("conv2d_weight_gradient", "batch"): "all images share the weights: how do their gradients combine?",
    ("conv2d_bias_gradient", "batch"): "all images share the bias: how do its gradients combine?",
    ("linear_weight_gradient", "batch"): "all images share the weights: how do their gradients combine?",
    ("linear_bias_gradient", "batch"): "all images share the bias: how do its gradients combine?",
    ("batch_norm_gradients", "the gradient of weight"): "the weight is a factor of what, before the bias is added?",
    ("batch_norm_gradients", "the gradient of bias"): "which outputs was this bias added to?",
}
_PLAIN = {
    "conv2d_forward": "the kernel is laid on the image as it is: which weight meets the first number?",
    "conv2d_input_gradient": "to which outputs did this number contribute, and with which weight?",
    "conv2d_weight_gradient": "which numbers did this weight meet, and where?",
    "conv2d_bias_gradient": "which outputs was this bias added to?",
    "im2col": "rows are channels and places in the window, columns are images and windows: in which order?",
    "col2im": "this reverses im2col: where was this number copied from?",
    "max_pool2d_forward": "which numbers lie in this window?",
    "max_pool2d_input_gradient": "which number won, and what do the others receive?",
    "avg_pool2d_forward": "which numbers lie in this window, and by how many is their sum divided?",
    "avg_pool2d_input_gradient": "what share of its window's mean is one number?",
    "relu_forward": "what is below zero, at it and above it?",
    "relu_input_gradient": "what passes where the output is zero?",
    "linear_forward": "each output is a sum over which index?",
    "linear_input_gradient": "each input went into which outputs, and with which weight?",
    "linear_weight_gradient": "each weight joins which input to which output?",
    "linear_bias_gradient": "which outputs was this bias added to?",
    "batch_norm_forward": "which numbers are averaged, what is the divisor, and where is ε added?",
    "batch_norm_gradients": "if one x grows, the mean and the variance move too: what does that do to every output?",
    "softmax_cross_entropy": "which class's probability counts, and how is it averaged over the images?",
    "softmax_cross_entropy_input_gradient": "what is softmax minus the target, and what share does each image have?",
    "edge_6x6": "lay the filter on the upper left corner: which column is added, ignored, subtracted?",
    "places_7_stride_3": "(W − F)/S + 1: what if that is no whole number?",
    "alexnet_conv1_units": "how many places along one side, how many places in all, and how many filters?",
    "alexnet_conv1_parameters": "how many weights does one filter have over all channels, and what else does it have?",
    "alexnet_conv1_im2col": "what does one window hold, and how many windows are there?",
    "receptive_fields": "look back: r numbers side by side see s·r + (f − s) of the layer below.",
    "inception_operations": "one output of a k×k filter over C channels costs k·k·C; how many outputs are there?",
    "inception_bottleneck_operations": "how many channels do the larger filters see after the bottleneck?",
}


def hint(name: str, case: dict[str, Any], is_wrong: Callable[[dict[str, Any]], bool], output: str = "") -> str:
    """The hint for the smallest failing case of an exercise.

    Args:
        is_wrong: tells whether the exercise also fails in another case, which shows what the fault depends on.
        output: the wrong one of several outputs.
    """
    if (name, output) in _OF_EXERCISE:
        return _OF_EXERCISE[name, output]
    for feature in _features(name, case, is_wrong):
        text = _OF_EXERCISE.get((name, feature)) or _BY_FEATURE.get(feature)
        if text:
            return text
    return _PLAIN[name]


def _features(name: str, case: dict[str, Any], is_wrong: Callable[[dict[str, Any]], bool]) -> list[str]:
    """The special features of a case, rarest first."""
    first: Any = next((case[key] for key in ("input", "grad_output", "columns") if key in case), np.ones(1))
    found = {"empty": first.size == 0, "large": np.abs(first).max(initial=0) > 50}
    if name == "max_pool2d_input_gradient":
        distinct = np.arange(first.size).reshape(first.shape) if "input" in case else first
        found["ties"] = not is_wrong(case | {"input": distinct})
    found |= _of_windows(case) if "stride" in case else {}
    if not name.startswith(("relu", "softmax")):
        found["batch"] = case.get("batch", len(first)) > 1
        found["channels"] = first.ndim == 4 and first.shape[1] > 1
    return [feature for feature, there in found.items() if there]


def _of_windows(case: dict[str, Any]) -> dict[str, bool]:
    (h, w), (kh, kw), s = case["size"], case["kernel_size"], case["stride"]
    spans = [case["dilation"] * (k - 1) + 1 for k in (kh, kw)]
    rooms = [side + 2 * case["padding"] - span for side, span in zip((h, w), spans, strict=True)]
    several = [room >= s for room in rooms]
    return {
        "groups": case["groups"] > 1,
        "dilation": case["dilation"] > 1,
        "padding": case["padding"] > 0,
        "remainder": any(room % s for room in rooms),
        "overlap": any(many and s < span for many, span in zip(several, spans, strict=True)),
        "stride": s > 1 and any(several),
    }
