"""What a network answered to the images of a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from repronet.data.eval_transform import probabilities_of


@dataclass(frozen=True)
class Answers:
    """Answers in the order of the split."""

    #: (N,), or zeros and ones (N, classes) where an image may have several; of these the figures of
    #: :mod:`repronet.analysis.class_figures` are known, and the rest of :meth:`by_label`
    labels: Tensor
    likely: Tensor  #: (N, classes), probabilities

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def multilabel(self) -> bool:
        """Whether an image may have several labels."""
        return self.labels.ndim == 2

    @property
    def given(self) -> Tensor:
        """The likeliest class of each image, (N,)."""
        return self.likely.argmax(dim=1)

    @property
    def sure(self) -> Tensor:
        """How likely that class is, (N,)."""
        return self.likely.amax(dim=1)

    @property
    def wrong(self) -> Tensor:
        """Rows of wrong answers, the surest first."""
        rows = torch.nonzero(self.given != self.labels).flatten()
        return rows[self.sure[rows].argsort(descending=True, stable=True)]

    @property
    def least_certain(self) -> Tensor:
        """All rows, the least certain answer first."""
        return self.sure.argsort(stable=True)

    @property
    def confusion(self) -> Tensor:
        """How often each class was taken for each, (classes, classes)."""
        classes = self.likely.shape[1]
        return torch.bincount(self.labels * classes + self.given, minlength=classes**2).reshape(classes, classes)

    def by_label(self) -> tuple[Answers, Tensor]:
        """Of several labels per image, the wrong ones alone as answers of one label each, and their images, (M,).

        A class more, the last, stands for "not there": a label that was missed was taken for it, and it for one that
        was found where it is not.
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
        """For drawings: what each image is, what it was taken for, names cut to ``letters``, and how surely."""
        some = zip(self.labels[rows].tolist(), self.given[rows].tolist(), self.sure[rows].tolist(), strict=True)
        return [f"{classes[label][:letters]} → {classes[answer][:letters]} {sure:.0%}" for label, answer, sure in some]


def of_logits(logits: Tensor, labels: Tensor) -> Answers:
    """From logits (N, classes), in double precision: in single precision, what is hardly apart becomes equal."""
    several = labels.ndim == 2
    return Answers((labels if several else labels.flatten()).cpu(), probabilities_of(logits.cpu().double(), several))
