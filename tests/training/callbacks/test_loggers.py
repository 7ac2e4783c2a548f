"""A TensorBoard that can no longer be written is said once and stops nothing."""

from __future__ import annotations

import errno
import logging
import os
from contextlib import suppress

import pytest
import pytorch_lightning as pl
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from tensorboard.summary.writer.record_writer import RecordWriter

from repronet import runs
from repronet.training.callbacks.tensorboard import draw, tolerant


@pytest.fixture
def full_disk(monkeypatch):
    """From the ``left``-th record on nothing can be written."""

    def fill(left: int) -> None:
        write, count = RecordWriter.write, []

        def failing(self, data):
            count.append(1)
            if len(count) > left:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write(self, data)

        monkeypatch.setattr(RecordWriter, "write", failing)

    return fill


@pytest.mark.parametrize("left", [0, 1, 5])
def test_it_is_said_once_and_later_calls_do_nothing(tmp_path, full_disk, caplog, capfd, left):
    full_disk(left)
    with caplog.at_level(logging.WARNING, logger="repronet.train"):
        logger = tolerant(TensorBoardLogger(tmp_path, name="", version="run"))
        for step in range(20):
            logger.log_metrics({"loss": 1.0}, step)
            with suppress(OSError):
                logger.experiment.flush()
        logger.finalize("success")
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "TensorBoard: No space left on device; nothing more is written there; training continues",
    ]
    assert capfd.readouterr().err == ""  # no traceback of its thread


def test_a_logger_that_fails_in_any_way_is_a_warning(tmp_path, caplog):
    logger = CSVLogger(tmp_path)
    logger.log_metrics = lambda metrics, step: 1 / 0
    logger = tolerant(logger)
    with caplog.at_level(logging.WARNING, logger="repronet.train"):
        logger.log_metrics({"loss": 1.0}, 0)
        logger.log_metrics({"loss": 1.0}, 1)
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("CSV: ZeroDivisionError: division by zero; nothing more is written there")


def test_a_drawing_that_fails_is_a_warning(tmp_path, caplog):
    trainer = pl.Trainer(logger=TensorBoardLogger(tmp_path), accelerator="cpu", enable_progress_bar=False)
    with caplog.at_level(logging.WARNING, logger="repronet.train"):
        draw(trainer, lambda writer: writer.nothing_of_that_name())
    assert "TensorBoard: a drawing failed (AttributeError" in caplog.text


def test_a_training_goes_on_without_its_tensorboard(repronet, tmp_path, full_disk):
    full_disk(8)
    outcome = repronet("train", "trainer.max_epochs=2", "run_dir=r")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.count("TensorBoard: No space left on device") == 1
    assert runs.read_result(tmp_path / "r")["epochs"] == 2
