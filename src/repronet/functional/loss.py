"""Losses, each with its gradient.

    cross-entropy:   L = −Σ_c t_c·log p_c,  p = softmax(x)            ∂L/∂x = p·Σt − t
    Euclidean:       L = (x − t)²                                    ∂L/∂x = 2(x − t)

(The CS231n notes on linear classification; Bishop, "Pattern recognition and machine learning", 2006, section 4.3.4.)
"""

from typing import Any

import torch
from torch import Tensor

from repronet.functional.function import Function
from repronet.functional.precision import accumulation_dtype, require_real, require_tensors


def cross_entropy_forward(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """−Σ_c t_c·log p_c of each row, and log Σ e^x: (R, C), (R, C) → (R,), (R,)."""
    log_sum = logits.logsumexp(1)
    return log_sum * targets.sum(1) - (targets * logits).sum(1), log_sum


def cross_entropy_input_gradient(grad_losses: Tensor, logits: Tensor, log_sum: Tensor, targets: Tensor) -> Tensor:
    """∂L/∂x = ∂L/∂loss · (p·Σt − t): (R,) → (R, C)."""
    probabilities = (logits - log_sum[:, None]).exp()
    return grad_losses[:, None] * (probabilities * targets.sum(1, keepdim=True) - targets)


def cross_entropy_target_gradient(grad_losses: Tensor, logits: Tensor, log_sum: Tensor) -> Tensor:
    """∂L/∂t = −∂L/∂loss · log p: (R,) → (R, C)."""
    return grad_losses[:, None] * (log_sum[:, None] - logits)


def label_cross_entropy_forward(logits: Tensor, labels: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """−w·log p_y of each row, and log Σ e^x: (R, C), (R,), (R,) → (R,), (R,)."""
    log_sum = logits.logsumexp(1)
    return weights * (log_sum - logits.gather(1, labels[:, None]).squeeze(1)), log_sum


def label_cross_entropy_input_gradient(
    grad_losses: Tensor, logits: Tensor, log_sum: Tensor, labels: Tensor, weights: Tensor
) -> Tensor:
    """∂L/∂x = ∂L/∂loss · w · (p − [c = y]): (R,) → (R, C)."""
    scale = (grad_losses * weights)[:, None]
    probabilities = (logits - log_sum[:, None]).exp()
    return (probabilities * scale).scatter_add(1, labels[:, None], -scale)


class _LabelCrossEntropy(Function):
    """log Σ e^x is an output with a gradient of its own, p, so that second derivatives flow through it."""

    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor, labels: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        return label_cross_entropy_forward(logits, labels, weights)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*inputs, output[1])
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, None, None]:
        (grad_losses, grad_log_sum), (logits, labels, weights, log_sum) = grad_outputs, ctx.saved_tensors
        gradient = None
        if grad_losses is not None:
            gradient = label_cross_entropy_input_gradient(grad_losses, logits, log_sum, labels, weights)
        return _with_log_sum(gradient, grad_log_sum, logits, log_sum), None, None


class _CrossEntropy(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return cross_entropy_forward(logits, targets)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*inputs, output[1])
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        (grad_losses, grad_log_sum), (logits, targets, log_sum) = grad_outputs, ctx.saved_tensors
        of_logits = of_targets = None
        if grad_losses is not None:
            of_logits = cross_entropy_input_gradient(grad_losses, logits, log_sum, targets)
            if ctx.needs_input_grad[1]:
                of_targets = cross_entropy_target_gradient(grad_losses, logits, log_sum)
        return _with_log_sum(of_logits, grad_log_sum, logits, log_sum), of_targets


def _with_log_sum(
    gradient: Tensor | None, grad_log_sum: Tensor | None, logits: Tensor, log_sum: Tensor
) -> Tensor | None:
    """Add what flows through log Σ e^x, whose gradient is p."""
    if grad_log_sum is None:
        return gradient
    through = grad_log_sum[:, None] * (logits - log_sum[:, None]).exp()
    return through if gradient is None else gradient + through


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """−Σ_c t_c·log softmax(x)_c, averaged.

    Args:
        input: x, (N, C), (N, C, d1, …), or (C,) for one picture.
        target: the labels, whole numbers of shape (N,), (N, d1, …) or (); or a share for every class, as x in shape.
        weight: of each class, (C,). The mean of labels is then a weighted one.
        ignore_index: the label that does not count.
        reduction: "mean", "sum" or "none".
        label_smoothing: ε; the target becomes (1 − ε)·t + ε/C (Szegedy et al., "Rethinking the inception architecture
            for computer vision", 2016, section 7).

    Raises:
        ValueError: for batches of different sizes, or an unknown reduction.
        IndexError: for a label that is no class.
        RuntimeError: for shapes or dtypes that do not go together, or an ε outside 0 to 1.
        TypeError: for anything but tensors.
        NotImplementedError: for integer and complex inputs.
    """
    _check_reduction(reduction)
    _require_floating("cross_entropy", input, target)
    require_tensors("cross_entropy", weight)
    if not isinstance(ignore_index, int):
        raise TypeError(f"ignore_index must be an integer, got {ignore_index!r}")
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must lie between 0 and 1, got {label_smoothing}")
    _check_classes(input, target, weight)
    logits, positions = _rows(input)  # (R, C)
    wide = None if weight is None else weight.to(logits.dtype)
    if target.shape == input.shape:
        shares = _rows(target)[0] * (1 - label_smoothing) + label_smoothing / logits.shape[1]
        losses, _ = _CrossEntropy.apply(logits, shares if wide is None else shares * wide)
        total = None
    else:
        losses, total = _of_labels(logits, target.reshape(-1).long(), wide, ignore_index, label_smoothing)
    return _reduced(losses, total, reduction, positions).to(input.dtype)


def _of_labels(
    logits: Tensor, labels: Tensor, weight: Tensor | None, ignore_index: int, label_smoothing: float
) -> tuple[Tensor, Tensor]:
    """The loss of each row and the sum of their weights."""
    counts = labels != ignore_index
    labels = labels * counts  # class 0 for those that do not count, since some class must be looked up
    weights = counts.to(logits.dtype)
    try:
        if weight is not None:
            weights = weights * weight.gather(0, labels)
        if label_smoothing == 0:
            return _LabelCrossEntropy.apply(logits, labels, weights)[0], weights.sum()
        hard = torch.zeros_like(logits).scatter(1, labels[:, None], (weights * (1 - label_smoothing))[:, None])
    except RuntimeError as error:
        wrong = next((label for label in labels.tolist() if not 0 <= label < logits.shape[1]), None)
        if wrong is None:
            raise
        raise IndexError(f"cross_entropy needs labels from 0 to {logits.shape[1] - 1}, got {wrong}") from error
    even = torch.ones_like(logits) if weight is None else weight.expand_as(logits)
    smooth = even * counts[:, None].to(logits.dtype) * (label_smoothing / logits.shape[1])
    return _CrossEntropy.apply(logits, hard + smooth)[0], weights.sum()


def _rows(values: Tensor) -> tuple[Tensor, torch.Size]:
    """(N, C, d1, …) or (C,) → (R, C) with R = N·d1·…, and the shape of what R counts."""
    batch = values if values.dim() > 1 else values.unsqueeze(0)
    positions = torch.Size((batch.shape[0], *batch.shape[2:])) if values.dim() > 1 else torch.Size(())
    return batch.movedim(1, -1).reshape(-1, batch.shape[1]).to(accumulation_dtype(values.dtype)), positions


def _reduced(losses: Tensor, total: Tensor | None, reduction: str, shape: torch.Size) -> Tensor:
    """Reduce the loss of each row; `total` is what their sum is divided by, None for their number."""
    if reduction == "none":
        return losses.reshape(shape)
    if reduction == "mean" and total is None:
        return losses.mean()
    return losses.sum() if total is None or reduction == "sum" else losses.sum() / total


def rbf_loss(input: Tensor, target: Tensor, rubbish: float = 10.0) -> Tensor:
    """LeNet-5's maximum a posteriori criterion: E = mean[ y_D + log(e^{−j} + Σ_i e^{−y_i}) ].

    y_i is the squared distance to the code of class i, D the right class and j the distance of a made-up rubbish class:
    wrong codes farther away than j are not pushed (LeCun et al., "Gradient-based learning applied to document
    recognition", 1998, equation 9). It is the cross-entropy of one class more, which is never right.

    Args:
        input: the negated distances −y, (N, C).
        target: the labels, (N,).
        rubbish: j, which the paper only says to be positive.

    Raises: as `cross_entropy`.
    """
    _require_floating("rbf_loss", input, target)
    if input.dim() != 2 or target.dim() != 1:
        raise RuntimeError(f"rbf_loss needs (N, C) and (N,), got {tuple(input.shape)} and {tuple(target.shape)}")
    if target.numel() and int(target.max()) >= input.shape[1]:
        raise IndexError(f"rbf_loss needs labels from 0 to {input.shape[1] - 1}, got {int(target.max())}")
    return cross_entropy(torch.cat([input, input.new_full((input.shape[0], 1), -rubbish)], dim=1), target)


def mse_forward(input: Tensor, target: Tensor) -> Tensor:
    """(x − t)², any shape."""
    difference = input - target
    return difference * difference


def mse_input_gradient(grad_output: Tensor, input: Tensor, target: Tensor) -> Tensor:
    """∂L/∂x = 2(x − t)·∂L/∂y; ∂L/∂t is its negative."""
    return 2 * (input - target) * grad_output


class _SquaredError(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(input: Tensor, target: Tensor) -> Tensor:
        return mse_forward(input, target)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, Tensor | None]:
        gradient = mse_input_gradient(grad_outputs[0], *ctx.saved_tensors)
        needs_input, needs_target = ctx.needs_input_grad
        return gradient if needs_input else None, -gradient if needs_target else None


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """(x − t)², averaged: the Euclidean loss.

    Args:
        input, target: of one shape, or shapes that broadcast.
        reduction: "mean", "sum" or "none".

    Raises:
        ValueError: for an unknown reduction.
        RuntimeError: for shapes that do not broadcast.
        TypeError: for anything but tensors.
        NotImplementedError: for complex tensors.
    """
    _check_reduction(reduction)
    _require_tensors("mse_loss", input, target)
    dtype = torch.promote_types(input.dtype, target.dtype)
    if not dtype.is_floating_point:
        raise NotImplementedError(f"mse_loss needs floating point, got {input.dtype} and {target.dtype}")
    wide = accumulation_dtype(dtype)
    x, t = torch.broadcast_tensors(input.to(wide), target.to(wide))
    losses = _SquaredError.apply(x, t)
    return _averaged(losses, reduction).to(dtype)


def _averaged(losses: Tensor, reduction: str) -> Tensor:
    return losses if reduction == "none" else losses.sum() if reduction == "sum" else losses.mean()


def _check_reduction(reduction: str) -> None:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")


def _require_tensors(name: str, input: Tensor, target: Tensor) -> None:
    if not isinstance(input, Tensor) or not isinstance(target, Tensor):
        raise TypeError(f"{name} needs tensors, got {type(input).__name__} and {type(target).__name__}")
    require_real(name, input)
    require_real(name, target)


def _require_floating(name: str, input: Tensor, target: Tensor) -> None:
    _require_tensors(name, input, target)
    if not input.is_floating_point():
        raise NotImplementedError(f"{name} needs floating point, got {input.dtype}")


def _check_classes(input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    if input.dim() == 0:
        raise RuntimeError("cross_entropy needs an input (N, C, …) or (C,), got a single number")
    classes = input.shape[0] if input.dim() == 1 else input.shape[1]
    if weight is not None and weight.shape != (classes,):
        raise RuntimeError(f"weight must have shape ({classes},), one a class, got {tuple(weight.shape)}")
    if target.shape == input.shape:
        if not target.is_floating_point():
            raise RuntimeError(f"shares of classes must be floating point, got {target.dtype}")
        return
    expected = () if input.dim() == 1 else (input.shape[0], *input.shape[2:])
    if target.shape[:1] != expected[:1]:
        raise ValueError(f"input {tuple(input.shape)} and target {tuple(target.shape)} differ in their batches")
    if target.dtype not in (torch.int64, torch.uint8):
        raise RuntimeError(f"labels must be int64 or uint8, got {target.dtype} of shape {tuple(target.shape)}")
    if tuple(target.shape) != expected:
        raise RuntimeError(f"labels must have shape {expected}, got {tuple(target.shape)}")
