"""What is shown while a run goes on."""

from __future__ import annotations

import io
import re
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
from rich.console import Console

from repronet import ImageClassifier
from repronet.config.compose import compose
from repronet.session.console import speaking_to
from repronet.session.run import train
from repronet.training.callbacks.history import EpochRow, History
from repronet.training.callbacks.progress import EpochLines, epoch_line


def test_a_terminal_gets_lightnings_bar_and_a_line_an_epoch_within_80_columns(tmp_path, capsys):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, highlight=False)
    with speaking_to(console):
        train(compose("train", ["trainer.max_epochs=1", f"run_dir={tmp_path / 'r'}"]), console)
    bars = [line for line in re.split(r"[\r\n]+", capsys.readouterr().out) if "it/s" in line]
    assert any("Epoch 0" in bar and "loss=" in bar for bar in bars)
    (line,) = [line for line in screen.getvalue().splitlines() if line.startswith("epoch 1/1  step    55")]
    assert len(line) <= 80
    assert "epoch 1/1  step    55" in (tmp_path / "r" / "train.log").read_text()


def test_a_pipe_gets_no_bar(tmp_path, capsys):
    console = Console(file=io.StringIO(), highlight=False)
    with speaking_to(console):
        train(compose("train", ["trainer.max_epochs=1", f"run_dir={tmp_path / 'r'}"]), console)
    assert "it/s" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(("within", "rate"), [(True, "100"), (False, "700")])
def test_a_resumed_run_counts_only_the_images_since_then(tmp_path, monkeypatch, caplog, within, rate):
    clock = iter((10.0, 15.0))
    monkeypatch.setattr("repronet.training.callbacks.progress.time", SimpleNamespace(monotonic=lambda: next(clock)))
    history, task = History(tmp_path), ImageClassifier()
    top5: dict[str, None] = {"train_error_top5": None, "val_error_top5": None}
    figures = {"train_loss": 1.0, "train_error": 1.0, "val_loss": 1.0, "val_error": 1.0}
    history.rows = [EpochRow(epoch=1, step=55, lr=0.1, seconds=1.0, **figures, **top5)]
    lines, trainer = EpochLines(history), pl.Trainer(logger=False, accelerator="cpu", enable_checkpointing=False)
    monkeypatch.setattr(pl.Trainer, "estimated_stepping_batches", 55)
    task.train_metrics.load_sums({"count": 3000})  # as the checkpoint has it
    lines.on_train_start(trainer, task)
    if not within:
        lines.on_train_epoch_start(trainer, task)
    task.train_metrics.load_sums({"count": 3500})
    with caplog.at_level("INFO", logger="repronet.progress"):
        lines.on_train_epoch_end(trainer, task)
    assert f" {rate} img/s" in caplog.text


def test_the_plain_line_fits_80_columns_for_long_runs():
    row = EpochRow(
        epoch=120,
        step=60_000,
        train_loss=0.12345,
        train_error=0.1,
        train_error_top5=None,
        val_loss=0.2,
        val_error=0.1234,
        val_error_top5=0.01,
        lr=0.1,
        seconds=1.0,
    )
    short = epoch_line({**row, "epoch": 7, "step": 999}, 20, rate=876.5, left=3_599)
    assert short == "epoch  7/20  step   999  loss 0.1235  val error 12.34%    876 img/s  59:59 left"
    line = epoch_line(row, 200, rate=9_876.5, left=3_600)
    assert line == "epoch 120/200 step 60000 loss 0.1235 val error 12.34% 9,876 img/s 1.0 h left"
    longest = {**row, "epoch": 90, "step": 900_000, "train_loss": 12.2976, "val_error": 0.9985}
    for top5, epochs in ((None, 500), (0.9934, 90)):
        line = epoch_line({**longest, "train_error_top5": top5, "val_error_top5": top5}, epochs, 12_345, 900_000)
        assert len(line) <= 80
        assert line.endswith(" 12,345 img/s 250 h left")
    never = {**row, "val_loss": None, "val_error": None, "train_error_top5": 0.05, "val_error_top5": None}
    assert "  val error -  " in epoch_line(never, 200, rate=1.0, left=1)
