"""Labels that are probably wrong, by what a network answers: confident learning."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

from torch import Tensor

from repronet.errors import UserError

MOST_OF_GUESSING = 0.5  # of the error of naming the commonest class, up to which a network judges labels


def require_cleanlab(key: str) -> None:
    """Refuse what needs cleanlab where it is missing.

    Raises:
        UserError: with what to install.
    """
    if find_spec("cleanlab") is None:
        raise UserError(f"{key}: needs cleanlab to find wrong labels: pip install cleanlab")


def errs_too_often(likely: Tensor, labels: Tensor) -> str | None:
    """Why a network's answers judge no labels, in words; None where they do.

    It must be right on half at least of what naming the commonest class alone gets wrong. With one that has hardly
    learned anything, confident learning takes the mistakes of the network for those of the labels.

    Args:
        likely, labels: as of :func:`wrong_labels`.
    """
    errs = float((likely.argmax(dim=1) != labels).double().mean())
    guessing = 1 - float(labels.bincount().max()) / len(labels)
    if errs <= MOST_OF_GUESSING * guessing:
        return None
    return (
        f"the network's error is {errs:.1%}, always guessing the commonest class has {guessing:.1%}: too high to judge "
        "labels"
    )


def wrong_labels(likely: Tensor, labels: Tensor) -> list[int]:
    """Rows whose labels are probably wrong, the least likely label first.

    By cleanlab: of each class as many as its estimated noise, where the label is less likely than another class (C. G.
    Northcutt, L. Jiang, I. L. Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70, 2021).

    Args:
        likely: probabilities (N, classes), best of a network that was not trained on these images.
        labels: (N,).
    """
    if len(labels.unique()) < 2:  # of one class there is nothing to learn the noise from, and cleanlab refuses
        return []
    from cleanlab.filter import find_label_issues  # it takes seconds to import

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="May not flag all label issues", category=UserWarning)
        found = find_label_issues(
            labels.numpy(), likely.double().numpy(), return_indices_ranked_by="self_confidence", n_jobs=1
        )
    return [int(row) for row in found]
