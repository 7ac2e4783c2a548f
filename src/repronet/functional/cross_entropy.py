"""Softmax cross-entropy and negative log-likelihood, each with its gradients.

With the probabilities p = softmax(x), a target t_i and a weight w_i for every class, the loss of one example is

    l = −Σ_i w_i·t_i·log p_i

    ∂l/∂x_i = p_i·Σ_j w_j·t_j − w_i·t_i
    ∂l/∂t_i = −w_i·log p_i
    ∂l/∂w_i = −Σ t_i·log p_i            over all examples

For one correct class y, t is 1 at y and 0 elsewhere: l = −w_y·log p_y and ∂l/∂x_i = w_y·(p_i − [i = y]), the softmax
minus the target. Label smoothing replaces t_i by (1−ε)·t_i + ε/C. (Bridle, "Probabilistic interpretation of
feedforward classification network outputs", 1990; the CS231n notes on linear classification; Szegedy et al.,
"Rethinking the Inception architecture for computer vision", 2016, section 7, for the smoothing.)

The loss of each example is multiplied by a share: 1/N for the mean, 1 for the sum, 0 if its label is ignored.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from repronet.functional.class_labels import Labels, checked_labels, class_dim, require_class_weight
from repronet.functional.elementwise import exp_of, require_floating
from repronet.functional.function import added, differentiable, is_plain, overridable
from repronet.functional.loss_reduction import (
    Share,
    in_full_precision,
    not_a_number_if,
    of_each,
    reduced,
    require_constant,
    require_reduction,
    require_tensor,
    share_of_each,
    without_ignored,
)
from repronet.functional.precision import accumulation_dtype
from repronet.functional.softmax import log_softmax_forward, log_softmax_input_gradient, softmax_input_gradient


def cross_entropy_forward(input: Tensor, labels: Tensor, share: Share, dim: int, total: bool) -> tuple[Tensor, Tensor]:
    """l = share·(log Σ e^x − x_y), and the probabilities p: (N, C, …), labels (N, 1, …) → (N, …) or (), (N, C, …)."""
    x = input.to(accumulation_dtype(input.dtype))
    below = x if x.numel() == 0 else x - x.amax(dim, keepdim=True)  # keeps e^x from overflowing
    powers = exp_of(below)
    sums = powers.sum(dim, keepdim=True)  # (N, 1, …)
    losses = sums.log() - below.gather(dim, labels)  # (N, 1, …)
    losses = reduced(without_ignored(losses, share), share, total).to(input.dtype)
    return losses if total else losses.squeeze(dim), powers.div_(sums)


def cross_entropy_input_gradient(
    grad_output: Tensor, probabilities: Tensor, labels: Tensor, share: Share, dim: int
) -> Tensor:
    """∂L/∂x_i = ∂L/∂l·share·(p_i − [i = y]): (N, 1, …) or () → (N, C, …)."""
    each = grad_output.to(probabilities.dtype) * share  # (N, 1, …) or ()
    gradient, at_label = probabilities * each, -each.expand(labels.shape)
    if is_plain():
        return gradient.scatter_add_(dim, labels, at_label)
    return gradient.scatter_add(dim, labels, at_label)


def _smoothed(target: Tensor, smoothing: float, dim: int) -> Tensor:
    """(1−ε)·t + ε/C."""
    return target * (1 - smoothing) + smoothing / max(target.shape[dim], 1) if smoothing else target


def _weighted(values: Tensor, weight: Tensor | None) -> Tensor:
    return values if weight is None else values * weight


def soft_cross_entropy_forward(
    input: Tensor, target: Tensor, weight: Tensor | None, smoothing: float, share: Share, dim: int, total: bool
) -> tuple[Tensor, Tensor]:
    """l = −share·Σ w·t·log softmax(x), with t smoothed, and log softmax(x): (N, C, …) → (N, …) or (), (N, C, …)."""
    log_probabilities = log_softmax_forward(input, dim)
    q = _weighted(_smoothed(target, smoothing, dim), weight)  # (N, C, …)
    losses = (q * log_probabilities).sum(dim, keepdim=True)  # (N, 1, …)
    losses = -reduced(without_ignored(losses, share), share, total)
    return losses if total else losses.squeeze(dim), log_probabilities


def soft_cross_entropy_input_gradient(
    each: Tensor, log_probabilities: Tensor, target: Tensor, weight: Tensor | None, smoothing: float, dim: int
) -> Tensor:
    """∂L/∂x = each·(p·Σ w·t − w·t), with t smoothed and each = ∂L/∂l·share, (N, 1, …) or (): (N, C, …)."""
    q = _weighted(_smoothed(target, smoothing, dim), weight)  # (N, C, …)
    return (exp_of(log_probabilities) * q.sum(dim, keepdim=True) - q) * each


def soft_cross_entropy_target_gradient(
    each: Tensor, log_probabilities: Tensor, weight: Tensor | None, smoothing: float
) -> Tensor:
    """∂L/∂t = −each·(1−ε)·w·log p: (N, C, …)."""
    return _weighted(log_probabilities * each, weight) * (smoothing - 1)


def soft_cross_entropy_weight_gradient(
    each: Tensor, log_probabilities: Tensor, target: Tensor, weight: Tensor, smoothing: float, dim: int
) -> Tensor:
    """∂L/∂w = −Σ each·t·log p over all examples, with t smoothed: (N, C, …) → the shape of the weight."""
    return -(_smoothed(target, smoothing, dim) * log_probabilities * each).sum_to_size(weight.shape)


# The probabilities, and the log-probabilities below, are extra outputs with their own gradients, for second derivatives
# only: first derivatives never reach them.
def _input_gradient(
    grad_output: Tensor | None,
    grad_probabilities: Tensor | None,
    probabilities: Tensor,
    labels: Tensor,
    share: Share,
    dim: int,
    total: bool,
    input_dtype: torch.dtype,
) -> Tensor | None:
    of_input = through = None
    if grad_output is not None:
        each = of_each(grad_output, dim, total)
        of_input = cross_entropy_input_gradient(each, probabilities, labels, share, dim).to(input_dtype)
    if grad_probabilities is not None:
        through = softmax_input_gradient(grad_probabilities, probabilities, dim).to(input_dtype)
    return added(of_input, through)


_cross_entropy = differentiable(cross_entropy_forward, outputs=("loss", "probabilities"), input=_input_gradient)


def _soft_gradients(
    grad_output: Tensor | None,
    grad_log: Tensor | None,
    log_probabilities: Tensor,
    target: Tensor,
    weight: Tensor | None,
    smoothing: float,
    share: Share,
    dim: int,
    total: bool,
    needs: Sequence[bool],
) -> tuple[Tensor | None, ...]:
    """∂L/∂x, ∂L/∂t and ∂L/∂w; None for those not needed."""
    log_p, of_input, of_target, of_weight = log_probabilities, None, None, None
    if grad_output is not None:
        each = share * of_each(grad_output, dim, total)
        if needs[0]:
            of_input = soft_cross_entropy_input_gradient(each, log_p, target, weight, smoothing, dim)
        if needs[1]:
            of_target = soft_cross_entropy_target_gradient(each, log_p, weight, smoothing)
        if needs[2] and weight is not None:
            of_weight = soft_cross_entropy_weight_gradient(each, log_p, target, weight, smoothing, dim)
    through = None if grad_log is None else log_softmax_input_gradient(grad_log, log_p, dim)
    return added(of_input, through), of_target, of_weight


_soft_cross_entropy = differentiable(soft_cross_entropy_forward, _soft_gradients, outputs=("loss", "log_probabilities"))


@overridable
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy between the target and the softmax of the input: l = −Σ_i w_i·t_i·log softmax(x)_i.

    Args:
        input: scores before the softmax, (N, C), (N, C, …) for maps, or (C,) for one example.
        target: labels from 0 to C − 1, int64 or uint8, with the input's shape without C; or class probabilities t,
            floating point, with the input's shape.
        weight: the weight w of each class, (C,), or None.
        ignore_index: a label whose examples are ignored, inside or outside 0 to C − 1; not for probabilities.
        reduction: "mean" for Σ l/Σ w_y with labels y, Σ l/N with probabilities; "sum"; "none" for every l.
        label_smoothing: ε from 0 to 1; t becomes (1−ε)·t + ε/C.

    Returns:
        () or, without reduction, the shape of the input without C.

    Raises:
        IndexError: on the CPU, for a label outside 0 to C − 1; on a GPU, this check would have to wait for the GPU.
        ValueError: if there are not as many labels as examples, or for an unknown reduction.
        RuntimeError: for other incompatible shapes, dtypes or values, or a weight that requires grad if the target
            holds labels.
        TypeError: for arguments of the wrong type.
        NotImplementedError: for an input that is not real floating point.
    """
    require_tensor("cross_entropy", input=input, target=target)
    if isinstance(label_smoothing, bool) or not isinstance(label_smoothing, int | float):
        raise TypeError(f"label_smoothing must be a number, got {label_smoothing!r}")
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be from 0 to 1, got {label_smoothing}")
    input, target, weight = in_full_precision(input, target, weight)
    if input.shape == target.shape:
        return _of_probabilities(input, target, weight, ignore_index, reduction, label_smoothing)
    labels = checked_labels("cross_entropy", input, target, weight, ignore_index)
    require_constant("cross_entropy with labels", weight=weight)
    require_reduction(reduction)
    if label_smoothing == 0:
        share = labels.share(weight, reduction, accumulation_dtype(input.dtype))
        loss, _ = _cross_entropy(input, labels.index, share, class_dim(input), reduction != "none")
    else:
        loss = _of_smoothed_labels(input, labels, weight, label_smoothing, reduction)
    return labels.not_a_number_if_all_ignored(loss, reduction)


def _of_smoothed_labels(
    input: Tensor, labels: Labels, weight: Tensor | None, smoothing: float, reduction: str
) -> Tensor:
    dim, dtype = class_dim(input), accumulation_dtype(input.dtype)
    target = torch.zeros_like(input, dtype=dtype).scatter(dim, labels.index, 1.0)  # (N, C, …), 1 for the correct class
    share = labels.share(weight, reduction, dtype, weighted=False)
    return _soft(input.to(dtype), target, weight, smoothing, share, reduction).to(input.dtype)


def _of_probabilities(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, smoothing: float
) -> Tensor:
    if not target.is_floating_point():
        raise RuntimeError(f"cross_entropy needs class probabilities of floating point, got {target.dtype}")
    if input.dim() == 0:
        raise IndexError("cross_entropy needs an input (N, C, …) or (C,), got one number")
    require_floating("cross_entropy", input)
    require_class_weight("cross_entropy", input, weight)
    require_reduction(reduction)
    if ignore_index >= 0:
        raise RuntimeError(f"ignore_index={ignore_index} needs labels, the target holds class probabilities")
    dtype = torch.promote_types(input.dtype, target.dtype)
    dtype = dtype if weight is None else torch.promote_types(dtype, weight.dtype)
    inner = accumulation_dtype(dtype)
    examples = input.numel() // max(input.shape[class_dim(input)], 1)
    share = share_of_each(reduction, examples)
    loss = _soft(input.to(inner), target.to(inner), weight, smoothing, share, reduction).to(dtype)
    return not_a_number_if(reduction == "mean" and examples == 0, loss)


def _soft(
    input: Tensor, target: Tensor, weight: Tensor | None, smoothing: float, share: Share, reduction: str
) -> Tensor:
    dim = class_dim(input)
    if weight is not None:
        weight = weight.to(input.dtype).reshape(-1, *(1,) * (input.dim() - 1 - dim))  # (C, 1, …), to broadcast
    return _soft_cross_entropy(input, target, weight, smoothing, share, dim, reduction != "none")[0]
