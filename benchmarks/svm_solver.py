"""Seconds to fit the pipelines' SVM: our L-BFGS relative to scikit-learn's LinearSVC, on the same features.

    python benchmarks/svm_solver.py DATA_ROOT [--model fisher_svm] [--per-class 500] [--costs 0.1 1 10] [--rounds 3]

Features of ``--per-class`` training images of each class of CIFAR-10, one processor thread.
Vocabularies are learned from the first of them. The two solvers take turns.
LinearSVC is fitted once per C, as it cannot start from a solution; ours starts from the solution for the previous C.
Prints the median processor seconds for all C, and how far our objective is above LinearSVC's for each C, in percent.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC
from torch import Tensor

from repronet.classical.fitting import LEARNED_FROM, Pipeline, stacked
from repronet.classical.svm import Rows, solved
from repronet.config.build import assemble
from repronet.config.compose import compose


def features_of(root: Path, model: str, per_class: int) -> tuple[Rows, Tensor]:
    """Features and labels of the training images."""
    words = [f"model={model}", "data=cifar10", f"data.root={root}", f"data.per_class={per_class}", "trainer.threads=1"]
    parts = assemble(compose("train", words))
    network, data = parts.task.network, parts.data
    assert isinstance(network, Pipeline)
    images = torch.cat([images for images, _ in data.in_order(data.train)])
    network.learn(images[:LEARNED_FROM], data.seed)
    return stacked(map(network.features, images.split(500)), len(images)), data.train.labels


def ours(features: Rows, labels: Tensor, costs: list[float]) -> list[Tensor]:
    found = [torch.zeros(len(labels.unique()), features.shape[1] + 1)]
    for cost in costs:
        found.append(solved(features, labels, cost, found[-1]))
    return found[1:]


def theirs(features: Rows, labels: Tensor, costs: list[float]) -> list[Tensor]:
    found = []
    for cost in costs:
        svm: Any = LinearSVC(C=cost, random_state=0).fit(features, labels.numpy())
        found.append(torch.from_numpy(np.concatenate([svm.coef_, svm.intercept_[:, None]], 1)))
    return found


def objective(weights: Tensor, features: Rows, labels: Tensor, cost: float) -> float:
    values = weights.double().numpy()
    signs = np.where(labels.numpy()[:, None] == np.arange(len(values)), 1.0, -1.0)
    missing = np.maximum(0, 1 - signs * (features @ values[:, :-1].T + values[:, -1]))
    return float((values**2).sum() / 2 + cost * (missing**2).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--model", default="fisher_svm")
    parser.add_argument("--per-class", type=int, default=500)
    parser.add_argument("--costs", nargs="+", type=float, default=[0.1, 1.0, 10.0])
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    features, labels = features_of(asked.root, asked.model, asked.per_class)
    seconds: dict[str, list[float]] = {"ours": [], "LinearSVC": []}
    weights: dict[str, list[Tensor]] = {}
    for _ in range(asked.rounds):
        for name, fit in (("ours", ours), ("LinearSVC", theirs)):
            started = time.process_time()
            weights[name] = fit(features, labels, asked.costs)
            seconds[name].append(time.process_time() - started)
    one, other = (median(values) for values in seconds.values())
    excess = [
        100 * (objective(mine, features, labels, cost) / objective(peer, features, labels, cost) - 1)
        for cost, mine, peer in zip(asked.costs, weights["ours"], weights["LinearSVC"], strict=True)
    ]
    print(f"{asked.model}, {len(labels):,} × {features.shape[1]:,}: ours {one:.1f} s, LinearSVC {other:.1f} s")
    print(f"ratio {one / other:.2f}; objective above LinearSVC's by {', '.join(f'{value:.4f}' for value in excess)} %")


if __name__ == "__main__":
    main()
