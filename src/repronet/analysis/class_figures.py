"""Precision, recall and further figures of each class, and the calibration of a network's probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import torch
from torch import Tensor

BINS = 15  # Guo et al. 2017, section 4
LISTED = 20  # classes; of more, a terminal shows only the worst
LONGEST = 20  # letters of a class's name in a terminal


@dataclass(frozen=True)
class ClassFigures:
    """One class against all others; None where a figure has no meaning."""

    name: str  # of the class
    support: int  # number of images of the class
    precision: float | None  # the share of right answers among those that name the class; 0 if none does
    recall: float | None  # the share of its images that are answered right; None without images
    f1: float | None  # 2 · precision · recall / (precision + recall)
    average_precision: float | None  # Σ (R_n − R_(n−1)) P_n over the thresholds of the class's probability
    roc_auc: float | None  # how often an image of the class gets a higher probability for it than another image does


MEASURES = tuple(item.name for item in fields(ClassFigures) if item.name not in ("name", "support"))


def class_figures(likely: Tensor, labels: Tensor, classes: Sequence[str]) -> list[ClassFigures]:
    """The figures of each class, as scikit-learn defines them.

    Args:
        likely: probabilities (N, classes).
        labels: (N,), or zeros and ones (N, classes) if an image may have several: then the answer for an image is all
            classes with a probability above one half.
        classes: the class names, in label order.

    Raises:
        ValueError: for probabilities that are not finite.
    """
    if not likely.isfinite().all():
        raise ValueError("the probabilities are not finite")
    several = labels.ndim == 2
    answers = likely > 0.5 if several else likely.argmax(dim=1)
    found = []
    for label, name in enumerate(classes):
        of_class = labels[:, label] > 0 if several else labels == label  # (N,)
        said = answers[:, label] if several else answers == label
        hits, support, named = (int(mask.sum()) for mask in (of_class & said, of_class, said))
        if support:
            shares = (hits / max(named, 1), hits / support, 2 * hits / (named + support))
            ranked = average_precision(of_class, likely[:, label]), roc_auc(of_class, likely[:, label])
            found.append(ClassFigures(name, support, *shares, *ranked))
        else:
            found.append(ClassFigures(name, 0, None, None, None, None, None))
    return found


def average_precision(of_class: Tensor, scores: Tensor) -> float:
    """Σ_k (R_k − R_(k−1)) P_k over the thresholds k, one per score that occurs; both arguments are (N,).

    ``of_class`` must be true for at least one image.
    """
    hits, others = _above(of_class, scores)
    return float((hits.diff(prepend=hits.new_zeros(1)) * hits / (hits + others)).sum() / hits[-1])


def roc_auc(of_class: Tensor, scores: Tensor) -> float | None:
    """The area under the curve of true against false positives, by trapezoids; None if all images are of the class.

    Arguments as of :func:`average_precision`.
    """
    hits, others = (torch.cat((count.new_zeros(1), count)) for count in _above(of_class, scores))
    return float(torch.trapezoid(hits, others) / (hits[-1] * others[-1])) if others[-1] else None


def _above(of_class: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """The numbers of images of the class, and of others, at or above each threshold, highest first: (K,) and (K,)."""
    ranked, order = scores.sort(descending=True)
    ends = torch.cat((ranked[1:] != ranked[:-1], torch.ones(1, dtype=torch.bool)))  # equal scores count together
    hits = of_class[order].double().cumsum(0)
    return hits[ends], (torch.arange(1, len(ranked) + 1) - hits)[ends]


def means(found: Sequence[ClassFigures]) -> dict[str, float | None]:
    """The macro mean of each figure: over the classes that have it, all with the same weight."""
    values = {name: [asdict(one)[name] for one in found if asdict(one)[name] is not None] for name in MEASURES}
    return {name: sum(some) / len(some) if some else None for name, some in values.items()}


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: in bins of similar probability, how often the answers are right."""

    images: Tensor  # (bins,), the number of answers in each bin
    likely: Tensor  # (bins,), their mean probability
    right: Tensor  # (bins,), the share of right answers

    @property
    def error(self) -> float:
        """The expected calibration error, Σ_b n_b / N · |right_b − likely_b| (Guo et al. 2017, equation 3)."""
        share = self.images / self.images.sum().clamp_min(1)
        return float((share * (self.right - self.likely).abs()).sum())


def reliability(likely: Tensor, labels: Tensor, bins: int = BINS) -> Reliability:
    """The answers binned by their probability; ``bins`` of equal width, each with its upper limit.

    C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2.

    Args:
        likely: probabilities (N, classes).
        labels: (N,), or zeros and ones (N, classes): then each class is a yes-or-no answer of its own.
    """
    if labels.ndim == 2:
        likely, labels = torch.stack((1 - likely.double(), likely.double()), dim=-1).flatten(0, 1), labels.flatten()
    sure, answers = likely.double().max(dim=1)
    at = torch.bucketize(sure, torch.linspace(0, 1, bins + 1, dtype=sure.dtype)[1:-1])  # (N,)
    images = torch.bincount(at, minlength=bins).double()

    def mean(values: Tensor) -> Tensor:
        return torch.bincount(at, values.double(), minlength=bins) / images.clamp_min(1)

    return Reliability(images, mean(sure), mean(answers == labels))


def lines(found: Sequence[ClassFigures], most: int = 4) -> list[str]:
    """A table for a terminal: the means over the classes, and the classes with images whose F1 is lowest."""
    worst = sorted((one for one in found if one.f1 is not None), key=lambda one: one.f1 or 0.0)[:most]
    rows = [(f"mean of {len(found)}", "", means(found))]
    rows += [(shortened(one.name), f"{one.support:,}", asdict(one)) for one in worst]
    width = max(13, *(len(name) for name, _, _ in rows))
    heads = ("support", "precision", "recall", "F1", "AP", "ROC AUC")
    table = [f"{'worst classes':<{width}}" + "".join(f"{head:>10}" for head in heads)]
    for name, support, values in rows:
        shares = (values[measure] for measure in MEASURES)
        cells = "".join(f"{'-' if share is None else f'{share:.1%}':>10}" for share in shares)
        table.append(f"{name:<{width}}{support:>10}{cells}")
    return table


def shortened(name: str, letters: int = LONGEST) -> str:
    """A class's name, cut to fit into a table in a terminal."""
    return name if len(name) <= letters else f"{name[: letters - 1]}…"
