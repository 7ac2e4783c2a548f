"""Several labels per image: figures equal to scikit-learn's, losses equal to torch's, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from sklearn.metrics import (
    average_precision_score,
    multilabel_confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
    zero_one_loss,
)
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from repronet import ImageClassifier, models
from repronet.analysis.class_figures import class_figures, reliability
from repronet.errors import UserError
from repronet.session.console import quiet_lightning
from repronet.training.answers import of_logits
from repronet.training.losses import LOSSES, balancing_weights, training_loss
from repronet.training.multilabel import MultilabelEvaluation


def answers(count: int = 300, classes: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits with many equals, and labels that they say something of."""
    drawn = torch.Generator().manual_seed(0)
    labels = (torch.rand(count, classes, generator=drawn) < torch.tensor([0.5, 0.3, 0.2, 0.1, 0.02])).long()
    logits = (torch.randn(count, classes, generator=drawn) + labels).mul(4).round() / 4 - 0.5
    return logits, labels


def evaluated(logits: torch.Tensor, labels: torch.Tensor, batch: int = 64) -> MultilabelEvaluation:
    evaluation = MultilabelEvaluation(labels.shape[1])
    for some, its in zip(logits.split(batch), labels.split(batch), strict=True):
        evaluation.update(LOSSES["binary"](some, its), some, its)
    return evaluation


def test_every_figure_is_scikit_learns():
    logits, labels = answers()
    evaluation, figures = evaluated(logits, labels), evaluated(logits, labels).compute()
    scores, truth = logits.numpy(), labels.numpy()
    assert figures["map"] == pytest.approx(average_precision_score(truth, scores), abs=1e-6)
    each = average_precision_score(truth, scores, average=None)
    assert evaluation.average_precisions() == pytest.approx(each.tolist(), abs=1e-6)
    assert figures["error"] == pytest.approx(zero_one_loss(truth, scores > 0), abs=1e-6)
    counts = multilabel_confusion_matrix(truth, scores > 0)
    assert np.array_equal(evaluation.confusion.compute().numpy(), counts)
    assert evaluation.class_errors() == pytest.approx(((truth == 1) != (scores > 0)).mean(axis=0), abs=1e-6)
    assert figures["loss"] == pytest.approx(float(F.binary_cross_entropy_with_logits(logits, labels.float())), abs=1e-6)


def test_a_label_that_no_image_has_counts_nowhere():
    logits, labels = answers()
    labels[:, 4] = 0
    evaluation = evaluated(logits, labels)
    assert evaluation.average_precisions()[4] is None
    wanted = average_precision_score(labels[:, :4].numpy(), logits[:, :4].numpy())
    assert evaluation.compute()["map"] == pytest.approx(wanted, abs=1e-6)


def test_a_second_pass_begins_anew():
    logits, labels = answers()
    evaluation = evaluated(logits, labels)
    first = evaluation.compute()
    evaluation.reset()
    evaluation.update(torch.tensor(0.0), logits, labels)
    assert evaluation.compute()["map"] == first["map"]


def test_balanced_losses_are_torchs_with_their_weights():
    logits, labels = answers()
    counts = labels.sum(dim=0).float()
    loss = training_loss(LOSSES["binary"], 0.0, balancing_weights("binary", labels, 5))
    wanted = F.binary_cross_entropy_with_logits(logits, labels.float(), pos_weight=(300 - counts) / counts)
    torch.testing.assert_close(loss(logits, labels), wanted)
    single = labels.argmax(dim=1)
    weights = balancing_weights("cross_entropy", single, 5)
    loss = training_loss(LOSSES["cross_entropy"], 0.1, weights)
    wanted = F.cross_entropy(logits, single, torch.tensor(weights), label_smoothing=0.1)
    torch.testing.assert_close(loss(logits, single), wanted)
    with pytest.raises(UserError, match="svm takes no weights of classes"):
        balancing_weights("svm", single, 5)


def test_weights_of_classes_follow_the_module_and_are_in_no_checkpoint():
    task = ImageClassifier("lenet5", class_weights=[1.0] * 10)
    assert task.double().training_loss.weights.dtype == torch.float64
    assert not [name for name in task.state_dict() if "weights" in name]


@pytest.mark.parametrize("loss", ["binary", "mse"])
def test_a_plain_trainer_takes_several_labels(loss):
    pixels, labels = torch.rand(40, 1, 32, 32, generator=torch.Generator().manual_seed(0)), answers(40, 5)[1]
    network = models.create("lenet5", num_classes=5, in_channels=1, layers="torch")
    task = ImageClassifier(network, loss=loss, multilabel=True)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = pl.Trainer(max_epochs=1, enable_model_summary=False, **quiet)
    loader = DataLoader(TensorDataset(pixels, labels), batch_size=20)
    quiet_lightning()
    trainer.fit(task, loader, loader)
    scores = task.eval()(pixels).detach()
    known = [label for label in range(5) if labels[:, label].any()]
    wanted = average_precision_score(labels[:, known].numpy(), scores[:, known].numpy())
    assert float(trainer.callback_metrics["val/map"]) == pytest.approx(wanted, abs=1e-6)
    torch.testing.assert_close(task.predict_step(pixels, 0), scores.sigmoid())


def test_a_loss_of_one_label_is_refused():
    with pytest.raises(
        UserError, match="loss=cross_entropy: needs one label for each image; for several, use binary or mse"
    ):
        ImageClassifier("lenet5", multilabel=True)


def test_figures_of_each_label_are_scikit_learns():
    logits, labels = answers()
    given = of_logits(logits, labels)
    assert given.multilabel
    found = class_figures(given.likely, given.labels, "abcde")
    truth, said = labels.numpy(), logits.numpy() > 0
    wanted = precision_recall_fscore_support(truth, said, zero_division=0)
    for place, (one, *shares, support) in enumerate(zip(found, *wanted, strict=True)):
        assert (one.precision, one.recall, one.f1) == pytest.approx(shares, abs=1e-6)
        assert one.support == support
        assert one.roc_auc == pytest.approx(roc_auc_score(truth[:, place], logits[:, place].numpy()), abs=1e-6)
        assert one.average_precision == pytest.approx(
            average_precision_score(truth[:, place], logits[:, place].numpy()), abs=1e-6
        )
    # Each decision by itself, there or not: as of one label of two classes.
    single = torch.stack((1 - given.likely, given.likely), dim=-1).flatten(0, 1)
    assert reliability(given.likely, given.labels).error == reliability(single, labels.flatten()).error
