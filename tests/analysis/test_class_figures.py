"""Figures of classes and calibration are those of scikit-learn and torchmetrics."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import (
    average_precision_score,
    classification_report,
    precision_recall_fscore_support,
    roc_auc_score,
)
from torchmetrics.functional.classification import multiclass_calibration_error

from repronet.analysis.class_figures import class_figures, lines, means, reliability

CLASSES = ("cat", "dog", "owl", "emu")


def some(images: int = 300) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities that are right more often than not, and labels of uneven classes."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.multinomial(torch.tensor([0.6, 0.2, 0.15, 0.05]), images, replacement=True, generator=draw)
    logits = torch.randn(images, 4, generator=draw, dtype=torch.float64)
    logits[torch.arange(images), labels] += 1.0
    return logits.softmax(dim=1), labels


def test_figures_are_scikit_learns():
    likely, labels = some()
    found = class_figures(likely, labels, CLASSES)
    right, answers, one_hot = labels.numpy(), likely.argmax(1).numpy(), torch.eye(4)[labels].numpy()
    precision, recall, f1, support = precision_recall_fscore_support(right, answers)
    assert [one.name for one in found] == list(CLASSES)
    assert [one.support for one in found] == support.tolist()
    assert [one.precision for one in found] == pytest.approx(precision, abs=1e-6)
    assert [one.recall for one in found] == pytest.approx(recall, abs=1e-6)
    assert [one.f1 for one in found] == pytest.approx(f1, abs=1e-6)
    theirs = average_precision_score(one_hot, likely.numpy(), average=None)
    assert [one.average_precision for one in found] == pytest.approx(theirs, abs=1e-6)
    theirs = roc_auc_score(one_hot, likely.numpy(), average=None, multi_class="ovr")
    assert [one.roc_auc for one in found] == pytest.approx(theirs, abs=1e-6)


def test_means_are_scikit_learns_macro_means():
    likely, labels = some()
    found = means(class_figures(likely, labels, CLASSES))
    report = classification_report(labels.numpy(), likely.argmax(1).numpy(), output_dict=True)["macro avg"]
    assert [found["precision"], found["recall"], found["f1"]] == pytest.approx(
        [report["precision"], report["recall"], report["f1-score"]], abs=1e-6
    )
    one_hot = torch.eye(4)[labels].numpy()
    assert found["average_precision"] == pytest.approx(average_precision_score(one_hot, likely.numpy()), abs=1e-6)
    assert found["roc_auc"] == pytest.approx(roc_auc_score(labels.numpy(), likely.numpy(), multi_class="ovr"), abs=1e-6)


def test_a_class_without_images_has_no_figures_and_no_part_in_the_means():
    likely, labels = some()
    kept = labels != 3
    found = class_figures(likely[kept], labels[kept], CLASSES)
    assert (found[3].support, found[3].recall, found[3].f1, found[3].roc_auc) == (0, None, None, None)
    assert means(found)["recall"] == pytest.approx(sum(one.recall for one in found[:3]) / 3)
    assert "emu" not in "".join(lines(found))


def test_a_split_of_one_class_has_no_ranking_against_others():
    likely, labels = some()
    found = class_figures(likely[labels == 0], labels[labels == 0], CLASSES)
    assert (found[0].average_precision, found[0].roc_auc) == (pytest.approx(1.0), None)
    assert means(found)["roc_auc"] is None


@pytest.mark.parametrize("bins", [5, 15])
def test_the_calibration_error_is_torchmetrics(bins):
    likely, labels = some()
    theirs = multiclass_calibration_error(likely, labels, num_classes=4, n_bins=bins, norm="l1")
    found = reliability(likely, labels, bins)
    assert found.error == pytest.approx(float(theirs), abs=1e-6)
    assert int(found.images.sum()) == 300


def test_calibration_by_hand():
    likely = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.5, 0.5], [1.0, 0.0]])
    found = reliability(likely, torch.tensor([0, 1, 0, 0]), bins=5)
    assert found.images.tolist() == [0, 0, 1, 0, 3]
    assert found.right.tolist() == pytest.approx([0, 0, 1, 0, 2 / 3])
    assert found.error == pytest.approx(0.25 * 0.5 + 0.75 * (2.8 / 3 - 2 / 3))


def test_the_terminal_has_the_worst_class_first_within_80_columns():
    likely, labels = some()
    names = ("a class whose name is much too long for a table", "dog", "owl", "emu")
    table = lines(class_figures(likely, labels, names), most=3)
    assert [row.split("  ")[0] for row in table] == ["worst classes", "mean of 4", "emu", "owl", "dog"]
    assert max(map(len, lines(class_figures(likely, labels, names)))) == 80
