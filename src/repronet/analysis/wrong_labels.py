"""Find labels that are probably wrong from a network's answers: confident learning."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

from torch import Tensor

from repronet.errors import UserError

MOST_OF_GUESSING = 0.5  # share of the error of always guessing the commonest class, up to which labels are judged


def require_cleanlab(key: str) -> None:
    """Check that cleanlab is installed.

    Raises:
        UserError: if it is not, with the command that installs it.
    """
    if find_spec("cleanlab") is None:
        raise UserError(f"{key}: needs cleanlab to find wrong labels: pip install cleanlab")


def errs_too_often(likely: Tensor, labels: Tensor) -> str | None:
    """Why a network's answers are too poor to judge labels, in words; None if they are good enough.

    Its error must be at most half of that of always guessing the commonest class. With a network that has hardly
    learned anything, confident learning takes the network's mistakes for wrong labels.

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

    By cleanlab: for each class as many as its estimated noise, if another class is likelier than the label (C. G.
    Northcutt, L. Jiang, I. L. Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70, 2021).

    Args:
        likely: probabilities (N, classes), preferably of a network that was not trained on these images.
        labels: (N,).
    """
    if len(labels.unique()) < 2:  # the noise cannot be estimated from one class, and cleanlab refuses
        return []
    from cleanlab.filter import find_label_issues  # importing it takes seconds

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="May not flag all label issues", category=UserWarning)
        found = find_label_issues(
            labels.numpy(), likely.double().numpy(), return_indices_ranked_by="self_confidence", n_jobs=1
        )
    return [int(row) for row in found]
