"""Metrics where an image may have several labels: each class is there or not."""

from __future__ import annotations

from torch import Tensor
from torchmetrics.classification import MultilabelConfusionMatrix

from repronet.analysis.class_figures import average_precision
from repronet.training.metrics import LossAndError, Outputs, SplitEvaluation


def answered(logits: Tensor) -> Tensor:
    """The classes that a network finds in each image, those of probability above 0.5: (N, classes) → the same."""
    return logits > 0


class MultilabelLossAndError(LossAndError):
    """Mean loss, and the share of images of which not all labels are right: scikit-learn's zero_one_loss."""

    def update(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch.

        Args:
            loss: the mean over the batch, ().
            logits: (N, classes).
            labels: zeros and ones, (N, classes).
        """
        self.loss_sum.add_(loss, alpha=len(labels))
        self.wrong.add_((answered(logits) != (labels > 0)).any(dim=1).sum())
        self.count.add_(len(labels))


class AveragePrecision(Outputs):
    """Of each class, the mean of its precision over the images that have it, ranked by their logits.

    AP = Σ_k (R_k − R_k−1)·P_k over the thresholds k, as scikit-learn's average_precision_score.
    """

    def compute(self) -> list[float | None]:  # type: ignore[override]
        """A figure a class; None for one that no image has, which has none."""
        scores, labels = (values.cpu() for values in super().compute())
        columns = zip(labels.T > 0, scores.nan_to_num().T, strict=True)
        return [average_precision(of_class, of) if of_class.any() else None for of_class, of in columns]


class MultilabelEvaluation(SplitEvaluation):
    """Loss, error, average precisions and a confusion matrix (2, 2) a class over a pass of a validation or test split.

    The error is that of :class:`MultilabelLossAndError`; ``map`` is the mean average precision, over the classes that
    some image has.
    """

    def __init__(self, num_classes: int):
        super().__init__(num_classes)
        self.figures = MultilabelLossAndError()
        self.confusion = MultilabelConfusionMatrix(num_classes, validate_args=False, sync_on_compute=False)
        self.precisions = AveragePrecision()

    def reset(self) -> None:
        super().reset()
        self.precisions.reset()

    def update(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """``loss`` is the mean over the batch; logits and labels (N, classes)."""
        self.figures.update(loss, logits, labels)
        self.confusion.update(answered(logits).long(), labels)
        self.precisions.update(logits, labels)

    def merge(self) -> None:
        super().merge()
        self.precisions.merge()

    def compute(self) -> dict[str, float]:
        known = [figure for figure in self.average_precisions() if figure is not None]
        return {**self.figures.compute(), "map": sum(known) / max(len(known), 1)}

    def average_precisions(self) -> list[float | None]:
        """Of each class; None where no image has it."""
        return self.precisions.compute() if self.precisions.logits else []

    def class_errors(self) -> list[float]:
        """The share of the images of which each label is wrong, there or not."""
        counts = self.confusion.compute()  # (classes, 2, 2)
        wrong, total = counts[:, 0, 1] + counts[:, 1, 0], counts.sum(dim=(1, 2)).clamp_min(1)
        return (wrong / total).tolist()
