"""The linear SVM on dense and sparse features, held against scikit-learn's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.datasets import make_blobs
from sklearn.svm import LinearSVC
from torch import Tensor

from repronet.classical import svm
from repronet.classical.svm import NEVER, matrix_of, scores_of, solved
from repronet.errors import UserError


def blobs(classes: int, spread: float = 4.0) -> tuple[np.ndarray, Tensor]:
    points, labels, *_ = make_blobs(60, 5, centers=classes, random_state=0, cluster_std=spread)
    return points.astype(np.float32), torch.from_numpy(labels)


@pytest.mark.parametrize("of", [np.asarray, csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("classes", [2, 3])
# Features are float32: with overlapping classes, a closer solution than 2e-4 is not found with any tolerance.
@pytest.mark.parametrize(("spread", "atol"), [(1.0, 1e-4), (4.0, 5e-4)], ids=["separable", "overlapping"])
def test_the_solution_is_scikit_learns(of: Callable[[np.ndarray], Any], classes: int, spread: float, atol: float):
    points, labels = blobs(classes, spread)
    reference = LinearSVC(C=0.5, random_state=0, dual=False, tol=1e-10, max_iter=100_000).fit(points, labels)
    features = of(points)
    weights = solved(features, labels, 0.5, torch.zeros(4, 6))
    scores = scores_of(matrix_of(features), weights)
    expected = reference.decision_function(points)
    found = scores[:, :3] if classes == 3 else scores[:, 1]  # of two classes scikit-learn keeps the second's
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=atol)
    assert (scores[:, classes:] == NEVER).all()  # classes without images


def test_where_the_solution_starts_does_not_matter():
    features, labels = blobs(3)
    one = solved(features, labels, 0.5, torch.zeros(3, 6))
    other = solved(features, labels, 0.5, solved(features, labels, 0.01, torch.zeros(3, 6)))
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("cost", [0.1, 10.0, 100.0])
def test_many_images_and_a_start_nearby_still_end_at_the_optimum(cost: float):
    draw = np.random.default_rng(0)
    points = draw.standard_normal((4000, 50)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    noisy = points @ draw.standard_normal((50, 10)) + 0.3 * draw.gumbel(size=(4000, 10))
    labels = noisy.argmax(1)
    start = solved(points, torch.from_numpy(labels), cost / 10, torch.zeros(10, 51))
    found = solved(points, torch.from_numpy(labels), cost, start).numpy().astype(np.float64)
    reference = LinearSVC(C=cost, dual=False, tol=1e-8, max_iter=10_000).fit(points, labels)
    best = np.concatenate([reference.coef_, reference.intercept_[:, None]], 1)
    assert objective(found, points, labels, cost) < (1 + 1e-6) * objective(best, points, labels, cost)


def objective(weights: np.ndarray, points: np.ndarray, labels: np.ndarray, cost: float) -> float:
    signs = np.where(labels[:, None] == np.arange(len(weights)), 1.0, -1.0)
    margins = signs * (points @ weights[:, :-1].T + weights[:, -1])
    return (weights**2).sum() / 2 + cost * (np.maximum(0, 1 - margins) ** 2).sum()


def test_of_one_class_there_is_nothing_to_tell():
    with pytest.raises(UserError, match="all training images are of one"):
        solved(np.ones((3, 2), np.float32), torch.zeros(3, dtype=torch.long), 1.0, torch.zeros(2, 3))


def test_a_solution_that_was_cut_short_is_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setattr(svm, "ITERATIONS", 2)
    with caplog.at_level(logging.INFO, "repronet.train"):
        solved(*blobs(3), 10.0, torch.zeros(3, 6))
    assert caplog.messages == ["C=10: the SVM stopped after 2 iterations, before it had converged"]
