"""``repronet schedule``: the rates of a run in a table and an image; and recipes that runs take up."""

from __future__ import annotations

import json

import pytest
import torch
from PIL import Image

from repronet.cli.commands.schedule import rates
from repronet.config.build import assemble
from repronet.config.compose import compose


def test_the_rates_are_printed_and_drawn(repronet, tmp_path):
    outcome = repronet("schedule", "schedule=multistep", "trainer.max_epochs=20", "optimizer.lr=0.1", "out=a/rate.png")
    assert (outcome.code, outcome.err) == (0, "")
    lines = [line.split() for line in outcome.out.splitlines()]
    assert ["1", "0", "0.1", "0.1"] in lines
    assert ["20", "1,900", "0.001", "0.001"] in lines
    with Image.open(tmp_path / "a" / "rate.png") as image:
        assert image.width > image.height > 200


def test_an_experiments_rates_are_those_of_its_paper():
    found = rates(compose("schedule", ["experiment=resnet20_cifar10", "steps_per_epoch=352"]))
    assert len(found) == 64_064
    changes = [step for step in range(1, len(found)) if found[step] != found[step - 1]]
    assert changes == [91 * 352, 136 * 352]
    assert found[-1] == pytest.approx(0.001)


def test_a_plateau_says_what_it_cannot_know(repronet):
    assert "also falls when the validation" in repronet("schedule", "schedule=plateau").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["schedule", "schedule=cosin"], "nearest: cosine"),
        (["schedule", "schedule.warmup_shape=step"], "schedule.warmup_shape=step: must be one of linear, constant"),
        (["schedule", "out=rate.pdf"], "out=rate.pdf: must be the name of a .png file"),
        (["schedule", "steps_per_epoch=0"], "steps_per_epoch=0: must be"),
        (["train", "trainer.gradient_clip_val=0"], "trainer.gradient_clip_val=0.0: must be a number above 0"),
        (["train", "schedule.warmup_error=1.5"], "schedule.warmup_error=1.5: must be a number above 0 and at most 1"),
        (["train", "schedule.warmup_error=0.8", "schedule.warmup_epochs=1"], "leave warmup_epochs=0"),
        (["train", "averaging=ema", "averaging.decay=1"], "averaging.decay=1.0: must be a number above 0 and below 1"),
        (["train", "averaging=emma"], "nearest: ema"),
        (["train", "averaging.decay=0.9"], "averaging.decay=0.9: no such key"),
        (["train", "trainer.accumulate_grad_batches=0"], "trainer.accumulate_grad_batches=0: must be"),
        (["train", "trainer.filter_rms=-1"], "trainer.filter_rms=-1.0: must be"),
        (["train", "trainer.patience=0"], "trainer.patience=0: must be"),
        (["train", "trainer.save_minutes=0"], "trainer.save_minutes=0.0: must be"),
        (["train", "initialization=kaiming"], "initialization=kaiming: must be one of paper, he"),
        (["train", "initialization=he", "model=lenet5_1998"], "lenet5_1998 sets its own initial weights"),
        (["train", "dropout=1"], "dropout=1.0: must be"),
        (["train", "dropout=0.5", "model=nin", "dropout=2"], "dropout=2.0: must be"),
        (["train", "deterministic=maybe"], "deterministic=maybe: must be true or false"),
        (["train", "trainer.compile=fast"], "trainer.compile=fast: must be true or false"),
        (["train", "label_smoothing=1"], "label_smoothing=1.0: must be"),
        (["train", "label_smoothing=0.1", "model=lenet5_1998"], "rbf_map has no label smoothing"),
        (["train", "optimizer.decay=some"], "optimizer.decay=some: must be one of all, weights"),
        (["train", "schedule=multistep", "schedule.unit=hours"], "schedule.unit=hours: must be one of epochs, steps"),
    ],
)
def test_bad_words_are_one_line(repronet, words, message):
    outcome = repronet(*words)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


RECIPE = [
    "optimizer=rmsprop",
    "optimizer.decay=weights",
    "schedule=plateau",
    "schedule.patience=1",
    "schedule.least=1",
    "schedule.warmup_epochs=0.5",
    "label_smoothing=0.1",
    "trainer.gradient_clip_val=2",
]


def test_a_run_takes_up_its_whole_recipe(repronet, tmp_path):
    words = [*RECIPE, "trainer.max_epochs=3", "layers=torch", "optimizer.lr=0.01"]
    outcome = repronet("train", *words, "run_dir=run")
    assert (outcome.code, outcome.err) == (0, "")
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    header = rows[0].split(",")
    seen = [float(row.split(",")[header.index("lr")]) for row in rows[1:]]
    # The first error is an improvement on none; one of 100 points never comes after it.
    assert seen == pytest.approx([0.01, 0.01, 0.001])
    assert json.loads((tmp_path / "run" / "result.json").read_text())["best_val_error"] < 0.9


def test_smoothing_reaches_the_task():
    task = assemble(compose("train", ["label_smoothing=0.2", "layers=torch"])).task
    logits, labels = torch.tensor([[2.0, 0.0]]), torch.tensor([0])
    plain = torch.nn.functional.cross_entropy
    torch.testing.assert_close(task.training_loss(logits, labels), plain(logits, labels, label_smoothing=0.2))
    torch.testing.assert_close(task.loss(logits, labels), plain(logits, labels))
