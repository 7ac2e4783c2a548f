"""Loss, error and confusion matrix over a split, counted exactly and on the device."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassConfusionMatrix
from torchmetrics.utilities import dim_zero_cat

from repronet.training import collective

WITHOUT_FLOAT64 = ("mps",)  # device types; mps: Apple's GPUs
TOP5_COUNTED, TOP5_SHOWN = 6, 20  # minimum classes for counting it, and for showing it in the terminal and on pages


def to_be_low(figures: Mapping[str, float]) -> float:
    """The figure that the best weights minimize: the error, or with several labels per image 1 − ``map``."""
    return 1 - figures["map"] if "map" in figures else figures["error"]


def places(logits: Tensor, labels: Tensor) -> Tensor:
    """The rank of the right class, (N,), counted from 0: below 5 it is among the five most probable.

    Among equal logits the earlier class comes first, and NaN comes before all numbers, as in ``argmax``: ``torch.topk``
    does not define the order of equal values, and scikit-learn's ``top_k_accuracy_score`` puts the later class first.
    With 16-bit logits and 1,000 classes, equal values are common.

    Args:
        logits: (N, classes).
        labels: (N,).
    """
    logits = logits.nan_to_num(nan=math.inf, posinf=math.inf, neginf=-math.inf)
    own = logits.gather(1, labels[:, None])  # (N, classes) → (N, 1)
    earlier = torch.arange(logits.shape[1], device=logits.device) < labels[:, None]  # (N, classes)
    return ((logits > own) | ((logits == own) & earlier)).sum(dim=1)


class LossAndError(Metric):
    """Mean loss and fraction of wrong predictions over the images seen since the last reset.

    Sums stay on the device, so an update makes no device wait. The loss is summed batch by batch in double precision
    and errors are integers: 172 of 10,000 is 0.0172 to the last digit, and an epoch that was interrupted and resumed
    has the same figures as an uninterrupted one. Figures cover all processes together: all processes must ask for them
    at the same time, except after :meth:`merge`.

    Args:
        top5: also count the images whose class is not among the five most probable.
    """

    full_state_update = False
    loss_sum: Tensor
    wrong: Tensor
    wrong_top5: Tensor
    count: Tensor

    def __init__(self, top5: bool = False):
        super().__init__(sync_on_compute=False)
        self.top5 = top5
        self._merged = False
        self.add_state("loss_sum", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        for name in ("wrong", "wrong_top5", "count"):
            self.add_state(name, torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> nn.Module:
        """Move the sums; on a device without 64-bit floats, the sum of losses becomes a 32-bit float."""
        narrow = fn(torch.zeros(())).device.type in WITHOUT_FLOAT64
        if not narrow:
            return super()._apply(fn, exclude_state)
        return super()._apply(lambda sums: fn(sums.float() if sums.dtype == torch.float64 else sums), exclude_state)

    def update(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch.

        Args:
            loss: the mean over the batch, ().
            logits: (N, classes).
            labels: (N,), or probabilities (N, classes) as from mixup, whose most probable class is the right one.
        """
        right = labels.argmax(dim=1) if labels.ndim == 2 else labels  # (N, classes) → (N,)
        # add_, since `+=` also assigns to an attribute of a module, which takes longer than the sum
        self.loss_sum.add_(loss, alpha=len(right))  # in the precision of the sum
        self.wrong.add_((logits.argmax(dim=1) != right).sum())
        self.count.add_(len(right))
        if self.top5:
            self.wrong_top5.add_((places(logits, right) >= 5).sum())

    def compute(self) -> dict[str, float]:
        """Mean loss, error and accuracy, and the top-5 error if it is counted; all 0 if no image was seen."""
        sums = self.sums()
        count, wrong = max(sums["count"], 1), sums["wrong"]
        figures = {
            "loss": sums["loss_sum"] / count,
            "error": wrong / count,
            "accuracy": (sums["count"] - wrong) / count,
        }
        return {**figures, "error_top5": sums["wrong_top5"] / count} if self.top5 else figures

    def sums(self) -> dict[str, Any]:
        """The sums of all processes as plain numbers, for a checkpoint."""
        own = {name: getattr(self, name).item() for name in self._defaults}
        if self._merged:
            return own
        return {
            name: type(own[name])(value) for name, value in zip(own, collective.total([*own.values()]), strict=True)
        }

    def load_sums(self, sums: dict[str, Any], share: int = 1) -> None:
        """Continue from the result of :meth:`sums`; of several processes, one has ``share`` 1 and the others 0."""
        for name, value in sums.items():
            getattr(self, name).fill_(share * value)
        self._update_count = 1  # otherwise torchmetrics warns of a compute() without an update

    def merge(self) -> None:
        """Give every process the sums over all processes, until the next reset."""
        self.load_sums(self.sums())
        self._merged = True

    def reset(self) -> None:
        super().reset()
        self._merged = False


class Outputs(Metric):
    """The logits and labels of a whole split, in its order, for figures that cannot be computed from sums."""

    full_state_update = False
    logits: list[Tensor]
    labels: list[Tensor]

    def __init__(self) -> None:
        super().__init__(sync_on_compute=False)
        self.add_state("logits", [], dist_reduce_fx="cat")
        self.add_state("labels", [], dist_reduce_fx="cat")

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Keep a batch: (N, classes) and (N,)."""
        self.logits.append(logits.detach().float())
        self.labels.append(labels)

    def merge(self) -> None:
        """Give every process the rows of all, until the next reset; each batch's rows are in the order of ranks."""
        if not collective.several() or not self.labels:
            return
        numbers = [labels.new_full((len(labels),), number) for number, labels in enumerate(self.labels)]
        order = collective.gathered(torch.cat(numbers)).argsort(stable=True)
        self.logits = [collective.gathered(dim_zero_cat(self.logits))[order]]
        self.labels = [collective.gathered(dim_zero_cat(self.labels))[order]]

    def compute(self) -> tuple[Tensor, Tensor]:
        """Logits (N, classes) and labels (N,) since the last reset; the labels of one image are ()."""
        return dim_zero_cat(self.logits), dim_zero_cat(self.labels)


class SplitEvaluation(torch.nn.Module):
    """Loss, error and confusion matrix over one pass of a validation or test split."""

    def __init__(self, num_classes: int):
        super().__init__()
        self.figures = LossAndError(top5=num_classes >= TOP5_COUNTED)
        self.confusion = MulticlassConfusionMatrix(num_classes, validate_args=False, sync_on_compute=False)

    def reset(self) -> None:
        self.figures.reset()
        self.confusion.reset()

    def update(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """``loss`` is the mean over the batch; logits (N, classes), labels (N,)."""
        self.figures.update(loss, logits, labels)
        self.confusion.update(logits.argmax(dim=1), labels)

    def merge(self) -> None:
        """Give every process the figures over all processes, until the next reset."""
        self.figures.merge()
        collective.add_up(self.confusion.confmat)

    def compute(self) -> dict[str, float]:
        """The figures of :meth:`LossAndError.compute`."""
        return self.figures.compute()

    def class_errors(self) -> list[float]:
        """The fraction of wrong predictions among each class's images, in label order; 0 for an absent class."""
        counts = self.confusion.compute()
        right, total = counts.diagonal().tolist(), counts.sum(dim=1).tolist()
        return [(t - r) / t if t else 0.0 for r, t in zip(right, total, strict=True)]
