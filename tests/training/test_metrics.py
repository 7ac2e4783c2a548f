"""Metrics are counted, so that they are exact however the split is batched."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import top_k_accuracy_score
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


def error_top5(logits, labels, batch_size=7):
    metric = LossAndError(top5=True)
    for some, right in zip(logits.split(batch_size), labels.split(batch_size), strict=True):
        metric.update(torch.tensor(0.0), some, right)
    return metric.compute()["error_top5"]


def vendors(logits, labels):
    """The top-5 errors that torchmetrics and scikit-learn count."""
    classes = logits.shape[1]
    theirs = MulticlassAccuracy(classes, average="micro", top_k=5)(logits, labels)
    accuracy = top_k_accuracy_score(labels.numpy(), logits.double().numpy(), k=5, labels=range(classes))
    return 1 - theirs.item(), 1 - accuracy


@pytest.mark.parametrize("classes", [6, 20, 1000])
def test_top5_is_torchmetrics_and_scikit_learns(classes):
    draw = torch.Generator().manual_seed(classes)
    logits, labels = torch.randn(2000, classes, generator=draw), torch.arange(2000) % classes
    assert vendors(logits, labels) == pytest.approx((error_top5(logits, labels),) * 2, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_of_equal_logits_the_earlier_class_comes_first(dtype):
    """As in ``argmax``. scikit-learn takes the later class first: it counts the same where the classes are reversed.

    torchmetrics asks ``torch.topk``, which promises no order: it counts the same where the ties are broken for it.
    """
    draw = torch.Generator().manual_seed(0)
    logits = torch.randint(0, 12, (500, 100), generator=draw).to(dtype)  # some eight classes share the fifth place
    likely = logits.argsort(dim=1, descending=True, stable=True)  # (N, classes), of equals the earlier first
    labels = likely[torch.arange(500), torch.arange(500) % 10]  # every second image has its class among the first five
    assert error_top5(logits, labels) == 0.5
    assert vendors(logits.flip(1), 99 - labels)[1] == pytest.approx(0.5)
    places = likely.argsort(dim=1)  # (N, classes), of each class, without ties
    assert vendors(-places.float(), labels) == pytest.approx((0.5, 0.5))
    assert vendors(logits, labels)[1] > 0.51


def test_a_network_that_says_nothing_is_right_by_chance_alone():
    """Were equals counted as right, the constant network would be the best of all."""
    labels = torch.arange(1000)
    assert error_top5(torch.zeros(1000, 1000), labels) == 0.995
    assert error_top5(torch.full((1000, 1000), torch.nan), labels) == 0.995  # as argmax, which takes the first NaN


def test_top5_is_never_above_top1():
    draw = torch.Generator().manual_seed(0)
    logits, labels = torch.randint(0, 3, (400, 6), generator=draw).float(), torch.arange(400) % 6
    logits[::7] = torch.nan
    logits[::5, 2] = -torch.inf
    for row, label in zip(logits, labels, strict=True):
        metric = LossAndError(top5=True)
        metric.update(torch.tensor(0.0), row[None], label[None])
        figures = metric.compute()
        assert figures["error_top5"] <= figures["error"]


def test_mixed_labels_count_by_their_likeliest_class():
    running = LossAndError()
    logits = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0]])
    labels = torch.tensor([[0.4, 0.6], [0.1, 0.9], [0.7, 0.3]])
    running.update(torch.tensor(1.0), logits, labels)
    assert running.compute()["error"] == 1 / 3


def test_losses_of_single_precision_are_summed_in_double():
    running, losses = LossAndError(), torch.rand(50, generator=torch.Generator().manual_seed(2)) * 1e4
    for loss in losses:
        running.update(loss, LOGITS, LABELS)
    assert running.sums()["loss_sum"] == sum(loss * len(LOGITS) for loss in losses.tolist())
