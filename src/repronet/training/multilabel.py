"""Metrics for multi-label images: each class is either present or absent."""

from __future__ import annotations

from torch import Tensor
from torchmetrics.classification import MultilabelConfusionMatrix

from repronet.analysis.class_figures import average_precision
from repronet.training.metrics import LossAndError, Outputs, SplitEvaluation


def answered(logits: Tensor) -> Tensor:
    """Whether each class is predicted, with a probability above 0.5: (N, classes) → bool (N, classes)."""
    return logits > 0


class MultilabelLossAndError(LossAndError):
    """Mean loss, and the fraction of images with any wrong label, as scikit-learn's zero_one_loss."""

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
    """The average precision of each class: the mean precision over its images, ranked by their logits.

    AP = Σ_k (R_k − R_k−1)·P_k over the thresholds k, as in scikit-learn's average_precision_score.
    """

    def compute(self) -> list[float | None]:  # type: ignore[override]
        """One value per class; None for a class that no image has."""
        scores, labels = (values.cpu() for values in super().compute())
        columns = zip(labels.T > 0, scores.nan_to_num().T, strict=True)
        return [average_precision(of_class, of) if of_class.any() else None for of_class, of in columns]


class MultilabelEvaluation(SplitEvaluation):
    """Loss, error, average precisions and one (2, 2) confusion matrix per class over a validation or test split.

    The error is that of :class:`MultilabelLossAndError`; ``map`` is the mean average precision over the classes that
    occur in the split.
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
        """The average precision of each class; None for a class that no image has."""
        return self.precisions.compute() if self.precisions.logits else []

    def class_errors(self) -> list[float]:
        """For each class, the fraction of images for which its prediction, present or absent, is wrong."""
        counts = self.confusion.compute()  # (classes, 2, 2)
        wrong, total = counts[:, 0, 1] + counts[:, 1, 0], counts.sum(dim=(1, 2)).clamp_min(1)
        return (wrong / total).tolist()
