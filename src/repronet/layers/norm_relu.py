"""Batch normalisation followed by ReLU, as two layers or, if nothing needs the value between them, as one operator."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.overrides import has_torch_function

from repronet.functional.function import is_transformed
from repronet.layers.activation import ReLU
from repronet.layers.norm import BatchNorm2d

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_GLOBAL = torch.nn.modules.module


def norm_relu(norm: nn.Module, relu: nn.Module, x: Tensor, shortcut: Callable[[], Tensor] | None = None) -> Tensor:
    """relu(norm(x) + shortcut()): (N, C, H, W) → the same.

    One call of `repronet.functional.batch_norm_relu` if both are our layers, in training, with algorithm "native" and
    not synchronized. Otherwise, if hooks observe one of them, and under torch's tracing tools, the two layers one after
    the other. Both ways give the same bits.
    """
    if isinstance(norm, BatchNorm2d) and _is_one(norm, relu, x):
        return norm.with_relu(x, None if shortcut is None else shortcut())
    y = norm(x)
    return relu(y if shortcut is None else y + shortcut())


def _is_one(norm: BatchNorm2d, relu: nn.Module, x: Tensor) -> bool:
    return (
        norm.algorithm == "native"
        and norm.training
        and not norm.synchronized
        and type(norm) is BatchNorm2d
        and type(relu) is ReLU
        and not has_torch_function((x,))
        and not is_transformed()
        and not any(_is_watched(module) for module in (norm, relu))
    )


def _is_watched(module: nn.Module) -> bool:
    """Whether hooks, the module's own or global ones, or a replaced `forward` see the module's input or output."""
    return (
        "forward" in vars(module)
        or any(getattr(module, hooks) for hooks in _HOOKS)
        or any(getattr(_GLOBAL, f"_global{hooks}") for hooks in _HOOKS)
    )
