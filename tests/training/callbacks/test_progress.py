"""What is shown while a run goes on."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from repronet.config.compose import compose
from repronet.session.console import speaking_to
from repronet.session.run import train
from repronet.training.callbacks.history import EpochRow
from repronet.training.callbacks.progress import epoch_line


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_gets_a_bar_within_its_width(tmp_path, width):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=width, highlight=False)
    with speaking_to(console):
        train(compose("train", ["trainer.max_epochs=1", f"run_dir={tmp_path / 'r'}"]), console)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())
    bars = [line for line in re.split(r"[\r\n]+", text) if "img/s" in line]
    assert bars
    assert all(len(bar.rstrip()) <= width for bar in bars)
    assert re.search(r"epoch 1/1 .*step 5[0-9] loss \d\.\d+ val error .*img/s", bars[-1])
    assert width < 80 or bars[-1].rstrip().endswith("left")
    assert "epoch 1/1  step" not in text  # the plain line is for the log alone
    assert "epoch 1/1  step    55" in (tmp_path / "r" / "train.log").read_text()


def test_the_plain_line_fits_80_columns_for_long_runs():
    row = EpochRow(
        epoch=120,
        step=60_000,
        train_loss=0.12345,
        train_error=0.1,
        val_loss=0.2,
        val_error=0.1234,
        lr=0.1,
        seconds=1.0,
    )
    line = epoch_line(row, 200, rate=9_876.5, left=3_599)
    assert line == "epoch 120/200  step 60000  loss 0.1235  val error 12.34%  9,876 img/s  59:59 left"
    assert len(line) <= 82
