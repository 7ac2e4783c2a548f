"""Running sums over a split: loss, error and confusion, counted exactly."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix


class RunningTraining:
    """Loss and error over the training images seen since the last reset.

    The sum is taken batch by batch in double precision, so that it does not depend on which batches are added together:
    an epoch that was interrupted and resumed has the same figures to the last digit.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.loss, self.wrong, self.count = 0.0, 0, 0

    def update(self, losses: list[float], logits: list[Tensor], labels: list[Tensor]) -> None:
        """One entry a batch: the mean loss, logits (N, classes), labels (N,).

        Labels may be probabilities (N, classes), as mixup makes them; an answer is right that is the likeliest class.
        A whole chunk costs as many operations as one batch would, which a network of two milliseconds a step notices.
        """
        for loss, batch in zip(losses, labels, strict=True):
            self.loss += loss * len(batch)
            self.count += len(batch)
        right = torch.cat(labels)
        if right.ndim == 2:
            right = right.argmax(dim=1)  # (N, classes) → (N,)
        self.wrong += int((torch.cat(logits).argmax(dim=1) != right).sum())

    def compute(self) -> dict[str, float]:
        """Mean loss and share of wrong answers."""
        return {"loss": self.loss / self.count, "error": self.wrong / self.count}

    def state_dict(self) -> dict[str, Any]:
        return {"loss": self.loss, "wrong": self.wrong, "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.loss, self.wrong, self.count = state["loss"], state["wrong"], state["count"]


class SplitEvaluation(torch.nn.Module):
    """Mean loss, error and confusion matrix over one pass of a split.

    The error is counted, not averaged: wrong / total as whole numbers, so 172 of 10,000 is 0.0172 to the last digit
    however the split was batched.
    """

    def __init__(self, num_classes: int):
        super().__init__()
        self.confusion = MulticlassConfusionMatrix(num_classes)
        self.loss = 0.0

    def reset(self) -> None:
        self.confusion.reset()
        self.loss = 0.0

    def update(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """``loss`` is the mean over the batch; logits (N, classes), labels (N,)."""
        self.confusion.update(logits.argmax(dim=1), labels)
        self.loss += loss.item() * len(labels)

    def compute(self) -> dict[str, float]:
        """Mean loss, error and accuracy."""
        counts = self.confusion.compute()
        total, right = int(counts.sum()), int(counts.trace())
        return {"loss": self.loss / total, "error": (total - right) / total, "accuracy": right / total}

    def class_errors(self) -> list[float]:
        """The share of wrong answers among the images of each class, in label order; 0 where a class is absent."""
        counts = self.confusion.compute()
        right, total = counts.diagonal().tolist(), counts.sum(dim=1).tolist()
        return [(t - r) / t if t else 0.0 for r, t in zip(right, total, strict=True)]
