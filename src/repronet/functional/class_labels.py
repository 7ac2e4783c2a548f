"""The labels of a loss: which are ignored, which are invalid, and the weight of each example."""

from dataclasses import dataclass

import torch
from torch import Tensor

from repronet.functional.elementwise import require_floating
from repronet.functional.function import is_transformed
from repronet.functional.loss_reduction import Share, share_of_each


def class_dim(input: Tensor) -> int:
    """The dimension of the classes in an input (C,) or (N, C, …)."""
    return 1 if input.dim() > 1 else 0


@dataclass(frozen=True)
class Labels:
    """Checked labels.

    Args:
        index: labels from 0 to C − 1, with 0 for ignored ones: (N, 1, …), or (1,) for one example.
        ignored: whether each label is ignored, in the shape of `index`; None if none is.
    """

    index: Tensor
    ignored: Tensor | None

    def counts(self, weight: Tensor | None, dtype: torch.dtype) -> Tensor | None:
        """The weight of each example in a mean, w_y or 1, and 0 if it is ignored: (N, 1, …); None if all are 1."""
        of_label = None if weight is None else weight.to(dtype)[self.index]
        if self.ignored is None:
            return of_label
        return self._kept(dtype) if of_label is None else of_label.masked_fill(self.ignored, 0)

    def share(self, weight: Tensor | None, reduction: str, dtype: torch.dtype, *, weighted: bool = True) -> Share:
        """The factor of each loss, (N, 1, …) or one for all: w_y, divided by Σ w_y for the mean.

        Args:
            weighted: False for losses that already include w.
        """
        counts = self.counts(weight, dtype)
        if counts is None:
            return share_of_each(reduction, self.index.numel())
        each = counts if weighted else self._kept(dtype)
        if reduction != "mean":
            return each
        each = each / counts.sum()
        return each if self.ignored is None else each.masked_fill(self.ignored, 0)  # 0/0 where all are ignored

    def not_a_number_if_all_ignored(self, loss: Tensor, reduction: str) -> Tensor:
        """Replace the loss by NaN if it is a mean and all labels are ignored."""
        if reduction != "mean" or self.ignored is None:
            return loss
        if self.index.numel() == 0:
            return loss * float("nan")  # its gradient is NaN too, as in torch
        return loss.masked_fill(self.ignored.all(), float("nan"))

    def _kept(self, dtype: torch.dtype) -> Tensor:
        ones = torch.ones_like(self.index, dtype=dtype)
        return ones if self.ignored is None else ones.masked_fill(self.ignored, 0)


def checked_labels(name: str, input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int) -> Labels:
    """Check the arguments of a loss, and return its labels.

    Raises:
        As `repronet.functional.cross_entropy`.
    """
    if isinstance(ignore_index, bool) or not isinstance(ignore_index, int):
        raise TypeError(f"ignore_index must be an integer, got {ignore_index!r}")
    _check_shapes(name, input, target)
    require_floating(name, input)
    if target.dtype not in (torch.int64, torch.uint8):
        raise RuntimeError(f"{name} needs labels of int64 or uint8, got {target.dtype}")
    require_class_weight(name, input, weight)
    if weight is not None and weight.dtype != input.dtype:
        raise RuntimeError(f"{name} needs input and weight of one dtype, got {input.dtype} and {weight.dtype}")
    classes, dim = input.shape[class_dim(input)], class_dim(input)
    index = target.to(torch.int64)
    index = index.reshape(1) if input.dim() == 1 else index.unsqueeze(dim)  # (1,) or (N, 1, …)
    if is_plain_sight(index) and not 0 <= ignore_index < classes:
        low, high = torch.aminmax(index)
        if low.item() >= 0 and high.item() < classes:
            return Labels(index, None)
    ignored = index == ignore_index
    require_classes(name, index, classes, ignored)
    return Labels(index.masked_fill(ignored, 0), ignored)


def require_class_weight(name: str, input: Tensor, weight: Tensor | None) -> None:
    """Refuse anything but one weight per class, or None.

    Raises:
        TypeError: for anything but a tensor.
        RuntimeError: for another shape.
    """
    if weight is None:
        return
    if not isinstance(weight, Tensor):
        raise TypeError(f"{name} needs a tensor for weight, got {type(weight).__name__}")
    classes = input.shape[class_dim(input)]
    if weight.shape != (classes,):
        raise RuntimeError(f"{name} needs one weight for each of {classes} classes, got {tuple(weight.shape)}")


def _check_shapes(name: str, input: Tensor, target: Tensor) -> None:
    if input.dim() == 1:
        expected = target.dim() == 0 or target.shape == (1,)
    else:
        expected = target.shape == (*input.shape[:1], *input.shape[2:])
    if expected:
        return
    message = f"{name} needs an input (N, C, …) and labels (N, …), got {tuple(input.shape)} and {tuple(target.shape)}"
    if input.dim() == 1:
        raise ValueError(message) if target.dim() == 1 else RuntimeError(message)
    raise ValueError(message) if target.shape[:1] != input.shape[:1] else RuntimeError(message)


def is_plain_sight(labels: Tensor) -> bool:
    """Whether the labels can be read without waiting for a GPU or leaving a transform."""
    return labels.is_cpu and labels.numel() > 0 and not is_transformed()


def require_classes(name: str, labels: Tensor, classes: int, ignored: Tensor | None = None) -> None:
    """Refuse labels outside 0 to C − 1, if their values can be read (see `is_plain_sight`).

    Raises:
        IndexError: for such a label, unless it is ignored.
    """
    if not is_plain_sight(labels):
        return
    wrong = (labels < 0) | (labels >= classes)
    found = labels[wrong if ignored is None else wrong & ~ignored]
    if found.numel() > 0:
        raise IndexError(f"{name} needs labels from 0 to {classes - 1}, got {found[0].item()}")
