"""Labels as people have them, from the command line to the figures, which are scikit-learn's."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score, zero_one_loss
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.utils.class_weight import compute_class_weight

import repronet as package
from repronet import runs
from repronet.cli.commands import report_runs
from repronet.config.build import assemble
from repronet.config.compose import compose
from repronet.session.evaluation import ABSENT
from repronet.training.module import ImageClassifier

COUNT, COLOURS = 60, ("red", "green", "blue")
SHORT = (
    *("data=table", "data.file=photos/labels.csv", "model=lecture_net", "layers=torch", "augmentation=none"),
    *("data.batch_size=8", "trainer.max_epochs=2", "optimizer.lr=0.02", "logger=none"),
)


def several(number: int) -> list[str]:
    """The colours in an image; of each number of them, and each colour rarer than the one before."""
    return [colour for place, colour in enumerate(COLOURS, start=2) if number % place == 0]


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Path:
    """60 images with a colour, several colours, a person of twelve and a split, in one table."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder, rng = tmp_path / "photos", np.random.default_rng(0)
    folder.mkdir()
    rows = ["image,label,tags,red,green,blue,person,given"]
    for number in range(COUNT):
        pixels = rng.integers(0, 120, (16, 20, 3), dtype=np.uint8)
        for colour in several(number):
            pixels[..., COLOURS.index(colour)] += rng.integers(0, 100, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
        label = COLOURS[0 if number % 10 < 7 else 1 if number % 10 < 9 else 2]
        bits = ",".join(str(int(colour in several(number))) for colour in COLOURS)
        given = "test" if number % 5 == 1 else "train"
        rows.append(f"{number:02}.png,{label},{'|'.join(several(number))},{bits},p{number // 5},{given}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


def column(photos: Path, name: str) -> np.ndarray:
    lines = [line.split(",") for line in (photos / "labels.csv").read_text().splitlines()]
    return np.array([line[lines[0].index(name)] for line in lines[1:]])


def images(photos: Path, rows) -> list[Path]:
    return [photos / f"{row:02}.png" for row in rows]


def test_a_table_is_trained_on_tested_named_and_reported(repronet, tmp_path, photos):
    outcome = repronet("train", *SHORT, "data.split_column=given", "run_dir=run")
    assert (outcome.code, outcome.err) == (0, "")
    assert "labels.csv: images in image, labels in label, splits in given\n" in outcome.out
    assert "data.group_column=person would keep each person on one side" in outcome.out
    assert "41 train, 7 validation, 12 test" in outcome.out
    rows = np.flatnonzero(column(photos, "given") == "test")
    named = package.load(tmp_path / "run").predict(images(photos, rows))
    result = runs.read_result(tmp_path / "run")
    assert result["test_error"] == pytest.approx(zero_one_loss(column(photos, "label")[rows], named), abs=1e-6)
    assert repr(result["test_error"]) in repronet("eval", "run=run").out
    assert repronet("predict", "run=run", "images=photos").code == 0
    assert (tmp_path / "predictions.csv").read_text().count("\n") == COUNT + 1
    assert "1 run" in repronet("report", "run").out


@pytest.mark.parametrize(
    "words", [["data.label_separator=|", "data.label_column=tags"], ["data.label_columns=[red,green,blue]"]]
)
def test_several_labels_are_ranked_as_scikit_learn_ranks_them(repronet, tmp_path, photos, words):
    outcome = repronet("train", *SHORT, *words, "data.split_column=given", "run_dir=run", "data.balance=loss")
    assert (outcome.code, outcome.err) == (0, "")
    assert "several labels per image: using model.loss=binary" in outcome.out
    rows = np.flatnonzero(column(photos, "given") == "test")
    bits = np.stack([column(photos, colour)[rows] == "1" for colour in ("blue", "green", "red")], axis=1)
    classifier = package.load(tmp_path / "run")
    scores = classifier.probabilities(images(photos, rows)).numpy()
    result = runs.read_result(tmp_path / "run")
    assert classifier.classes == (("blue", "green", "red") if "separator" in words[0] else COLOURS)
    order = [classifier.classes.index(colour) for colour in ("blue", "green", "red")]
    each = average_precision_score(bits, scores[:, order], average=None)
    assert result["test_map"] == pytest.approx(average_precision_score(bits, scores[:, order]), abs=1e-6)
    with (tmp_path / "run" / runs.PER_CLASS).open(newline="") as file:
        listed = {row["class"]: float(row["average_precision"]) for row in csv.DictReader(file)}
    assert [listed[colour] for colour in ("blue", "green", "red")] == pytest.approx(each.tolist(), abs=1e-6)
    assert result["test_error"] == pytest.approx(zero_one_loss(bits, scores[:, order] > 0.5), abs=1e-6)
    with (tmp_path / "run" / runs.ANSWERS).open(newline="") as file:
        wrong = [(row["class"], row["answer"]) for row in csv.DictReader(file)]
    assert len(wrong) == int((bits != (scores[:, order] > 0.5)).sum())
    assert all(pair.count(ABSENT) == 1 for pair in wrong)
    assert wrong.count(("green", ABSENT)) == int((bits[:, 1] & (scores[:, order[1]] <= 0.5)).sum())
    assert (tmp_path / "run" / runs.PICTURES / "mistakes.png").exists()
    assert repronet("report", "run").code == 0
    page = (tmp_path / "report.html").read_text()
    assert all(f"<td>{label}</td><td>{answer}</td>" in page for label, answer in wrong)
    assert "<th>average precision, %</th>" in page
    again = repronet("eval", "run=run")
    assert f"test_map    {result['test_map']!r}" in again.out
    assert f"{each[0]:.1%}" in next(line for line in again.out.splitlines() if line.startswith("blue"))
    assert repronet("eval", "run=run", "protocol=ten_crop").err.endswith("needs one label per image; use center\n")
    [page] = report_runs.read_runs([tmp_path / "run"])
    assert page.best is not None
    assert page.best["epoch"] == result["best_epoch"] == max(page.rows, key=lambda row: row["val_map"])["epoch"]
    assert f"{result['test_map']:.4f}" in repronet("report", "run").out


def test_every_label_above_the_threshold_is_named(repronet, tmp_path, photos):
    words = ["data.label_columns=[red,green,blue]", "run_dir=run"]
    assert repronet("train", *SHORT, *words).code == 0
    outcome = repronet("predict", "run=run", "images=photos/00.png", "threshold=0", "sheet=sheet.png", "out=all.json")
    assert (outcome.code, outcome.err) == (0, "")
    assert all(f"1  {colour}" in outcome.out for colour in COLOURS)
    classifier, image = package.load(tmp_path / "run"), photos / "00.png"
    likely = dict(zip(classifier.classes, classifier.probabilities(image)[0].tolist(), strict=True))
    threshold = sorted(likely.values())[1]
    assert repronet("predict", "run=run", "images=photos/00.png", f"threshold={threshold:.6f}").code == 0
    (line,) = (tmp_path / "predictions.csv").read_text().splitlines()[1:]
    named = sorted((c for c in COLOURS if likely[c] >= round(threshold, 6)), key=lambda c: -likely[c])
    assert line.split(",")[1:-1:2] == named
    assert classifier.labels(image, round(threshold, 6)) == [[c for c in COLOURS if c in named]]
    assert "(none)" in repronet("predict", "run=run", "images=photos/00.png", "threshold=1").out
    drawn = repronet("visualize", "run=run", "what=guided,confusion")
    assert "left out: what=confusion: needs one label per image" in drawn.out
    assert "needs images with one label each; these have several" in repronet("data", "check", "run=run").err


@pytest.mark.slow
@pytest.mark.parametrize("group", [None, "person"])
def test_five_folds_have_the_errors_that_scikit_learn_finds_and_their_mean(repronet, tmp_path, photos, group):
    grouped = [f"data.group_column={group}"] if group else []
    outcome = repronet("train", "-m", *SHORT, *grouped, "data.folds=5", "data.fold=range(5)")
    assert (outcome.code, outcome.err) == (0, "")
    (sweep,) = (tmp_path / "runs" / "sweeps").iterdir()
    labels, persons = column(photos, "label"), column(photos, "person")
    kind = StratifiedGroupKFold if group else StratifiedKFold
    parts = kind(5, shuffle=True, random_state=0).split(labels, labels, persons if group else None)
    errors = []
    for fold, (_, rows) in enumerate(parts):
        folder = sweep / f"{fold + 1}_data.fold={fold}"
        found = zero_one_loss(labels[rows], package.load(folder).predict(images(photos, rows)))
        assert runs.read_result(folder)["test_error"] == pytest.approx(found, abs=1e-6)
        errors.append(found)
    table = outcome.out[outcome.out.index("all jobs") :]
    assert f"{np.mean(errors):.2%} ± {100 * np.std(errors, ddof=1):.2f}" in table
    assert "5 folds" in table


def test_uneven_classes_weigh_what_scikit_learn_says_and_are_drawn_as_often(photos):
    words = [*SHORT, f"data.file={photos}/labels.csv", "data.split_column=given", "data.workers=0"]
    weighted = assemble(compose("train", [*words, "data.balance=loss"]))
    labels = weighted.data.train.labels.numpy()
    assert min(np.bincount(labels)) < max(np.bincount(labels)) / 3
    wanted = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert weighted.task.training_loss.weights.tolist() == pytest.approx(wanted.tolist(), rel=1e-6)
    drawn = assemble(compose("train", [*words, "data.balance=sampler"]))
    loader = drawn.data.train_dataloader()
    epochs = np.concatenate([labels[loader.order(epoch).numpy()] for epoch in range(40)])
    assert np.bincount(epochs) / len(epochs) == pytest.approx([1 / 3] * 3, abs=0.05)


@pytest.mark.parametrize("words", [[], ["data.label_columns=[red,green,blue]"]])
def test_a_balanced_run_that_was_stopped_goes_on_to_the_same_end(repronet, tmp_path, photos, monkeypatch, words):
    words = [
        "train",
        *SHORT,
        *words,
        "data.balance=sampler",
        "augmentation=cifar_standard",
        "trainer.save_minutes=0.00001",
    ]
    assert repronet(*words, "run_dir=whole").code == 0
    step = ImageClassifier.training_step

    def breaking(self, batch, batch_idx):
        if self.trainer.global_step == 8:
            raise RuntimeError("pulled the plug")
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(ImageClassifier, "training_step", breaking)
        assert repronet(*words, "run_dir=stopped").code == 1
    outcome = repronet("train", "resume=stopped")
    assert (outcome.code, outcome.err) == (0, "")
    assert "resuming after epoch 1, batch 2 of the next" in outcome.out
    whole, resumed = (runs.read_result(tmp_path / name) for name in ("whole", "stopped"))
    same = ("test_loss", "test_error", "test_map", "best_val_map", "last_train_loss", "last_val_loss")
    assert {key: whole.get(key) for key in same} == {key: resumed.get(key) for key in same}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data.file=none.csv"], "none.csv: no such file; give the table"),
        (["data.label_column=lable"], "data.label_column=lable: not in"),
        (["data.folds=5"], "data.folds=5: needs the fold to hold out; add data.fold=0, or run all with -m"),
        (["data.fold=1"], "data.fold=1: needs the number of folds; add data.folds=5"),
        (["data.folds=5", "data.fold=5"], "data.fold=5: must be from 0 to 4, with data.folds=5"),
        (["data.folds=1", "data.fold=0"], "data.folds=1: must be a whole number of parts from 2"),
        (["data.label_columns=[red,green]", "data.label_column=label"], "leave out data.label_column and"),
        (["data.balance=both"], "data.balance=both: must be one of none, sampler, loss"),
        (
            ["data.balance=loss", "model.loss=svm"],
            "data.balance=loss: svm takes no weights of classes; take model.loss=",
        ),
        (
            ["data.label_columns=[red,green]", "model.loss=svm"],
            "model.loss=svm: needs one label for each image; use binary",
        ),
        (["data.label_columns=[red,green]", "augmentation=mixup"], "model.loss=binary: needs unmixed labels"),
    ],
)
def test_bad_words_are_one_line_and_make_no_run(repronet, tmp_path, photos, words, message):
    outcome = repronet("train", *SHORT, *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_an_archive_of_several_labels_is_trained_when_that_is_meant(repronet, tmp_path):
    drawn = np.random.default_rng(0)
    labels = drawn.integers(0, 2, (60, 3)).astype(np.uint8)
    images = np.kron(labels[:, None, :], np.full((1, 28, 9), 90, np.uint8))  # a bright stripe a label, (60, 28, 27)
    np.savez(tmp_path / "several.npz", train_images=images + drawn.integers(0, 60, images.shape), train_labels=labels)
    words = ("train", "data=npz", "data.root=several.npz", "trainer.max_epochs=1", "run_dir=r", "layers=torch")
    refused = repronet(*words)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "it has several labels per image, rows of 0 and 1; model.loss=binary trains them" in refused.err
    trained = repronet(*words, "model.loss=binary")
    assert trained.code == 0, trained.err
    assert 0 < runs.read_result(tmp_path / "r")["test_map"] <= 1
