"""Linear SVMs, one per class against all others, for features in memory or in a memory-mapped file."""

from __future__ import annotations

import logging
import warnings
from typing import Any, TypeAlias

import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.optim import LBFGS

from repronet.errors import UserError

log = logging.getLogger("repronet.train")
ITERATIONS, HISTORY = 1000, 20  # of L-BFGS: maximum number of iterations, and of steps that it remembers
NEVER = -1e6  # the score of a class without training images

Rows: TypeAlias = Any  # features (N, D), float32: a csr_array, or a NumPy array, in memory or mapped to a file


def scores_of(matrix: Tensor, weights: Tensor) -> Tensor:
    """Scores: features (N, D), as of :func:`matrix_of`, and weights (classes, D + 1), the bias last → (N, classes)."""
    return matrix @ weights[:, :-1].t() + weights[:, -1]


def matrix_of(features: Rows) -> Tensor:
    """Features as a tensor (N, D) in the same memory. PyTorch's sparse products take half the time of SciPy's."""
    if not isinstance(features, csr_array):
        return torch.from_numpy(features)
    parts = (torch.from_numpy(part) for part in (features.indptr, features.indices, features.data))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
        return torch.sparse_csr_tensor(*parts, size=features.shape, check_invariants=True)


def _curvature(features: Rows, images: int, cost: float) -> Tensor:
    """The second derivative by each weight, if a tenth of the images is within the margin, (D + 1,)."""
    if isinstance(features, csr_array):
        squares = torch.from_numpy(features.power(2).sum(0))
    else:
        squares = torch.linalg.vector_norm(torch.from_numpy(features), dim=0).square()
    return 1 + 0.2 * cost * torch.cat([squares, torch.tensor([float(images)])]).double()


def solved(features: Rows, labels: Tensor, cost: float, start: Tensor) -> Tensor:
    """Weights and biases of a linear SVM for each class against all others, (classes, D + 1), the bias last.

    Minimizes ½ ‖w‖² + C Σₙ max(0, 1 − tₙ w·xₙ)² by L-BFGS, where tₙ is 1 for images of the class and −1 for others, and
    xₙ ends in a 1. scikit-learn's LinearSVC minimizes the same, but needs two more copies of dense features in memory,
    with 8 and 16 bytes per number. L-BFGS needs fewer steps if weights are scaled to a curvature of about one.

    Args:
        cost: C.
        start: initial weights, (classes, D + 1), for instance the solution for a smaller C.

    Raises:
        UserError: if all images are of one class.
    """
    present = labels.unique()
    if len(present) < 2:
        raise UserError("an SVM needs two classes, and all training images are of one; use another split")
    signs = torch.where(labels[:, None] == present, 1.0, -1.0)
    share = 1 / (cost * signs.numel())  # scales the objective to 1 at w = 0
    unit = (share * _curvature(features, len(labels), cost)).sqrt()
    matrix = matrix_of(features)
    # Sparse features are copied, as a product with a transposed view of them is far slower.
    transposed = matrix_of(features.T.tocsr()) if isinstance(features, csr_array) else matrix.t()
    scaled = (start[present] * unit).requires_grad_()
    solver = LBFGS(
        [scaled],
        max_iter=ITERATIONS,
        max_eval=25 * ITERATIONS,  # as many as the line searches may take
        tolerance_grad=0,
        tolerance_change=1e-10,  # of the objective, which is 1 at w = 0
        history_size=HISTORY,
        line_search_fn="strong_wolfe",
    )

    @torch.no_grad()
    def objective() -> float:
        weights = scaled / unit
        missing = (1 - signs * scores_of(matrix, weights.float())).clamp_(min=0)
        slopes = missing * signs
        summed = torch.cat([(transposed @ slopes).t(), slopes.sum(0)[:, None]], 1)
        scaled.grad = share * (weights - 2 * cost * summed) / unit
        return share * (weights.square().sum().item() / 2 + cost * missing.double().square().sum().item())

    solver.step(objective)
    if solver.state[scaled]["n_iter"] >= ITERATIONS:
        log.info(f"C={cost:g}: the SVM stopped after {ITERATIONS:,} iterations, before it had converged")
    found = torch.zeros(start.shape)
    found[:, -1] = NEVER
    found[present] = (scaled.detach() / unit).float()
    return found
