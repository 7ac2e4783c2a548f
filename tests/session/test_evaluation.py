"""What a run leaves for a person to read: figures by class, answers, images."""

from __future__ import annotations

import csv
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import classification_report, roc_auc_score

from odd_images import write_good
from repronet import runs
from repronet.config.build import assemble, recorded_config
from repronet.session.evaluation import _chosen, write_figures
from repronet.training.answers import Answers
from repronet.training.classifier import of_run


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_per_class_is_scikit_learns_of_the_best_weights(finished_run):
    test = assemble(recorded_config(finished_run / runs.BEST), begins=False).data.test
    likely = of_run(finished_run).probabilities([test.image(row) for row in range(len(test))]).numpy()
    report = classification_report(test.labels.numpy(), likely.argmax(1), output_dict=True)
    auc = roc_auc_score(test.labels.numpy(), likely, multi_class="ovr", average=None)
    rows = table(finished_run / runs.PER_CLASS)
    for label, row in enumerate(rows):
        theirs = report[str(label)]
        found = [float(row[name]) for name in ("support", "precision", "recall", "f1", "roc_auc")]
        wanted = [theirs["support"], theirs["precision"], theirs["recall"], theirs["f1-score"], auc[label]]
        assert found == pytest.approx(wanted, abs=1e-5)
    result = runs.read_result(finished_run)
    assert result["class_means"]["f1"] == pytest.approx(report["macro avg"]["f1-score"], abs=1e-6)
    assert 0 < result["calibration_error"] < 1


def test_answers_are_the_confusion_matrix_and_have_thumbnails(finished_run):
    answers = table(finished_run / runs.ANSWERS)
    counted = Counter((row["class"], row["answer"]) for row in answers)
    with (finished_run / runs.CONFUSION).open() as file:
        head, *rows = csv.reader(file)
    assert counted == {
        (row[0], name): int(n) for row in rows for name, n in zip(head[1:], row[1:], strict=True) if int(n)
    }
    tiles = sorted(int(row["thumbnail"]) for row in answers if row["thumbnail"])
    assert tiles == list(range(len(tiles)))
    sprite = np.asarray(Image.open(finished_run / runs.THUMBNAILS))
    assert sprite.shape == (32 * len(tiles), 32)
    wrong = [row for row in answers if row["class"] != row["answer"]]
    surest = max(wrong, key=lambda row: float(row["probability"]))
    assert surest["thumbnail"] == "0"
    test = assemble(recorded_config(finished_run / runs.BEST), begins=False).data.test
    assert (sprite[:32] == test.image(int(surest["picture"]))[0].numpy()).all()


def test_thumbnails_are_the_surest_mistakes_of_each_pair_and_the_least_sure_hits():
    labels = torch.tensor([0] * 20 + [1] * 20)
    sure = torch.linspace(0.6, 0.9, 40, dtype=torch.float64)  # all are taken for class 1
    chosen = list(_chosen(Answers(labels, torch.stack([1 - sure, sure], dim=1))))
    assert chosen == [19, 18, 17, 16, 15, 14, 20, 21, 22]


def test_images_are_there_unasked(finished_run):
    drawn = {path.stem for path in (finished_run / runs.PICTURES).glob("*.png")}
    assert drawn == {"curves", "confusion", "reliability", "inputs", "mistakes"}
    for path in (finished_run / runs.PICTURES).glob("*.png"):
        assert np.asarray(Image.open(path).convert("L")).std() > 10


def test_files_have_their_names_and_without_a_test_split_validation_answers(repronet, tmp_path):
    for split in ("train", "val"):
        write_good(tmp_path / "photos" / split)
    words = (
        "data=image_folder",
        "data.root=photos",
        "data.resize=32",
        "data.workers=0",
        "model=lenet5",
        "layers=torch",
    )
    assert repronet("train", *words, "trainer.max_epochs=1", "run_dir=r").code == 0
    answers = table(tmp_path / "r" / runs.ANSWERS)
    assert all((tmp_path / "photos" / row["picture"]).is_file() for row in answers)
    assert {row["picture"].split("/")[0] for row in answers} == {"val"}
    assert sum(int(row["support"]) for row in table(tmp_path / "r" / runs.PER_CLASS)) == len(answers)
    assert (tmp_path / "r" / runs.PICTURES / "reliability.png").exists()


def test_a_drawing_that_fails_is_a_warning_and_board_curves_draws_none(repronet, tmp_path, monkeypatch):
    from repronet.session import evaluation

    def broken(*given):
        raise ValueError("no ink")

    monkeypatch.setattr(evaluation, "gradcam", broken)
    outcome = repronet("train", "trainer.max_epochs=1", "layers=torch", "run_dir=r")
    assert outcome.code == 0
    assert "pictures/mistakes.png is not written (ValueError: no ink); the run goes on" in outcome.out + outcome.err
    assert (tmp_path / "r" / runs.PICTURES / "confusion.png").exists()
    assert (tmp_path / "r" / runs.RESULT).exists()
    assert repronet("train", "trainer.max_epochs=1", "layers=torch", "trainer.board=curves", "run_dir=s").code == 0
    assert not (tmp_path / "s" / runs.PICTURES).exists()
    assert (tmp_path / "s" / runs.PER_CLASS).exists()


def test_answers_that_are_not_finite_lose_no_run(tmp_path):
    found = write_figures(tmp_path, Answers(torch.tensor([0, 1]), torch.full((2, 2), torch.nan)), ("a", "b"))
    assert found == []
