"""Metrics are counted, so that they are exact however the split is batched."""

from __future__ import annotations

import pytest
import torch
from torchmetrics.classification import MulticlassAccuracy

from repronet.training.losses import cross_entropy
from repronet.training.metrics import LossAndError, SplitEvaluation

LOGITS = torch.randn(103, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.randint(0, 4, (103,), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("batch_size", [1, 7, 50, 103])
def test_evaluation_is_exact_for_every_batch_size(batch_size):
    evaluation = SplitEvaluation(4)
    for logits, labels in zip(LOGITS.split(batch_size), LABELS.split(batch_size), strict=True):
        evaluation.update(cross_entropy(logits, labels), logits, labels)
    wrong = sum(int(row.argmax() != label) for row, label in zip(LOGITS, LABELS, strict=True))
    figures = evaluation.compute()
    assert figures["error"] == wrong / 103
    assert figures["accuracy"] == (103 - wrong) / 103
    assert figures["loss"] == pytest.approx(cross_entropy(LOGITS.double(), LABELS).item(), rel=1e-6)


def test_evaluation_starts_again_after_reset():
    evaluation = SplitEvaluation(2)
    evaluation.update(torch.tensor(5.0), torch.tensor([[0.0, 1.0]]), torch.tensor([0]))
    evaluation.reset()
    evaluation.update(torch.tensor(1.0), torch.tensor([[0.0, 1.0]]), torch.tensor([1]))
    assert evaluation.compute() == {"loss": 1.0, "error": 0.0, "accuracy": 1.0}


def test_class_errors_are_by_true_class():
    evaluation = SplitEvaluation(3)
    logits = torch.eye(3)[[0, 0, 1, 1]]
    evaluation.update(torch.tensor(0.0), logits, torch.tensor([0, 1, 1, 1]))
    assert evaluation.class_errors() == [0.0, pytest.approx(1 / 3), 0.0]


def test_running_training_weighs_batches_by_their_size():
    running = LossAndError()
    losses = [torch.tensor(2.0), torch.tensor(6.0)]
    logits = [torch.tensor([[1.0, 0.0]] * 3), torch.tensor([[1.0, 0.0]])]
    for loss, some, labels in zip(losses, logits, [torch.tensor([0, 0, 1]), torch.tensor([1])], strict=True):
        running.update(loss, some, labels)
    assert running.compute() == {"loss": 3.0, "error": 0.5, "accuracy": 0.5}
    running.update(losses[0], logits[0], torch.tensor([1, 1, 1]))
    assert running.compute() == {"loss": 18 / 7, "error": 5 / 7, "accuracy": 2 / 7}
    running.reset()
    assert running.count == 0


def test_the_sums_travel_as_plain_numbers():
    one, other = LossAndError(), LossAndError()
    one.update(torch.tensor(0.1), LOGITS, LABELS)
    other.load_sums(one.sums())
    assert one.compute() == other.compute()
    assert all(type(value) in (int, float) for value in one.sums().values())


def test_top5_is_torchmetrics():
    logits, labels = torch.randn(200, 20), torch.arange(200) % 20
    metric = LossAndError(top5=True)
    for some, right in zip(logits.split(7), labels.split(7), strict=True):
        metric.update(torch.tensor(0.0), some, right)
    accuracy = MulticlassAccuracy(20, average="micro", top_k=5)(logits, labels)
    assert metric.compute()["error_top5"] == pytest.approx(1 - accuracy.item())


def test_mixed_labels_count_by_their_likeliest_class():
    running = LossAndError()
    logits = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0]])
    labels = torch.tensor([[0.4, 0.6], [0.1, 0.9], [0.7, 0.3]])
    running.update(torch.tensor(1.0), logits, labels)
    assert running.compute()["error"] == 1 / 3
