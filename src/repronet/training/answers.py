"""The predictions of a network for the images of a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from repronet.data.eval_transform import probabilities_of


@dataclass(frozen=True)
class Answers:
    """Predictions and true labels, in the order of the split."""

    #: (N,), or zeros and ones (N, classes) where an image may have several labels. For several labels, use
    #: :mod:`repronet.analysis.class_figures`, and the other properties on the result of :meth:`by_label`.
    labels: Tensor
    likely: Tensor  #: probabilities, (N, classes)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def multilabel(self) -> bool:
        """Whether an image may have several labels."""
        return self.labels.ndim == 2

    @property
    def given(self) -> Tensor:
        """The most probable class of each image, (N,)."""
        return self.likely.argmax(dim=1)

    @property
    def sure(self) -> Tensor:
        """The probability of that class, (N,)."""
        return self.likely.amax(dim=1)

    @property
    def wrong(self) -> Tensor:
        """Rows of the wrong predictions, the most confident first."""
        rows = torch.nonzero(self.given != self.labels).flatten()
        return rows[self.sure[rows].argsort(descending=True, stable=True)]

    @property
    def least_certain(self) -> Tensor:
        """All rows, the least confident prediction first."""
        return self.sure.argsort(stable=True)

    @property
    def confusion(self) -> Tensor:
        """The confusion matrix, (classes, classes): true class by row, predicted class by column."""
        classes = self.likely.shape[1]
        return torch.bincount(self.labels * classes + self.given, minlength=classes**2).reshape(classes, classes)

    def by_label(self) -> tuple[Answers, Tensor]:
        """The wrong labels of multi-label predictions, as one prediction each, and the rows of their images, (M,).

        An additional last class stands for "not there": it is the prediction for a label that was missed, and the true
        class of a label that was predicted wrongly.
        """
        nowhere = self.likely.shape[1]
        there, found = self.labels > 0, self.likely > 0.5
        images, label = torch.nonzero(there != found, as_tuple=True)  # (M,) each
        missed = there[images, label]
        given = torch.where(missed, nowhere, label)
        likely = self.likely[images, label]
        sure = torch.where(missed, 1 - likely, likely)
        shown = torch.zeros(len(images), nowhere + 1, dtype=sure.dtype).scatter(1, given[:, None], sure[:, None])
        return Answers(torch.where(missed, label, nowhere), shown), images

    def titles(self, rows: Tensor, classes: Sequence[str], letters: int = 9) -> list[str]:
        """Titles for drawings: true class → predicted class, names cut to ``letters``, and the probability."""
        some = zip(self.labels[rows].tolist(), self.given[rows].tolist(), self.sure[rows].tolist(), strict=True)
        return [f"{classes[label][:letters]} → {classes[answer][:letters]} {sure:.0%}" for label, answer, sure in some]


def of_logits(logits: Tensor, labels: Tensor) -> Answers:
    """Answers from logits (N, classes), in double precision: single precision makes close probabilities equal."""
    several = labels.ndim == 2
    return Answers((labels if several else labels.flatten()).cpu(), probabilities_of(logits.cpu().double(), several))
