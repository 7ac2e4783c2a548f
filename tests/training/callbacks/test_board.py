"""A TensorBoard that can no longer be written is said once and stops nothing."""

from __future__ import annotations

import errno
import logging
import os

import pytest
from tensorboard.summary.writer.record_writer import RecordWriter

from repronet import runs
from repronet.training.callbacks.board import Board


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
        board = Board(tmp_path, purge_step=0)
        for step in range(20):
            board.add_scalar("loss", 1.0, step)
            board.flush()
        board.close()
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "TensorBoard: No space left on device; nothing more is drawn there, and the training goes on",
    ]
    assert capfd.readouterr().err == ""  # no traceback of its thread


def test_a_folder_that_cannot_be_made_is_said_too(tmp_path, caplog):
    (tmp_path / "taken").write_text("")
    with caplog.at_level(logging.WARNING, logger="repronet.train"):
        Board(tmp_path / "taken", purge_step=0).add_scalar("loss", 1.0, 0)
    assert len(caplog.records) == 1


def test_a_training_goes_on_without_its_tensorboard(repronet, tmp_path, full_disk):
    full_disk(8)
    outcome = repronet("train", "trainer.max_epochs=2", "run_dir=r")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.count("TensorBoard: No space left on device") in (1, 2)  # two runs of TensorBoard
    assert runs.read_result(tmp_path / "r")["epochs"] == 2
