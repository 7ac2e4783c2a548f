"""What breaks a run is one line that says what to do; what was done is kept."""

from __future__ import annotations

import errno
import math
import os
import shutil

import pytest
import torch

from repronet import runs
from repronet.training.checkpoints import read_checkpoint
from repronet.training.module import ImageClassifier


def failing_at(monkeypatch, number: int, error: BaseException) -> None:
    """The ``number``-th step of the run raises ``error``."""
    step = ImageClassifier.training_step

    def stepping(self, batch, batch_idx):
        if self.trainer.global_step + 1 == number:
            raise error
        return step(self, batch, batch_idx)

    monkeypatch.setattr(ImageClassifier, "training_step", stepping)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried"),
        MemoryError(),
    ],
    ids=["cuda", "cpu", "python"],
)
def test_want_of_memory_names_the_nearest_smaller_batch(repronet, monkeypatch, error):
    failing_at(monkeypatch, 1, error)
    outcome = repronet("train", "data.batch_size=100", "trainer.max_epochs=1")
    assert outcome.code == 1
    assert outcome.err == (
        "repronet: out of memory with data.batch_size=100; use data.batch_size=64, and "
        "trainer.accumulate_grad_batches=2 for the same steps\n"
    )


def test_a_batch_of_one_cannot_be_smaller(repronet, monkeypatch):
    failing_at(monkeypatch, 1, MemoryError())
    outcome = repronet("train", "data.batch_size=1", "trainer.max_epochs=1")
    assert outcome.err == "repronet: out of memory with data.batch_size=1; lenet5 is too large for this machine\n"


def test_a_loader_process_that_is_not_waited_for_is_one_line_too(repronet, monkeypatch):
    failing_at(monkeypatch, 1, RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "))
    outcome = repronet("train", "data.workers=4", "trainer.max_epochs=1", "run_dir=r")
    assert outcome.code == 1
    assert outcome.err == (
        "repronet: a loader process was killed, often because memory ran out; data.workers=2 needs less; "
        "resume with: repronet train resume=r\n"
    )


def test_another_error_is_not_taken_for_that(repronet, monkeypatch):
    failing_at(monkeypatch, 1, RuntimeError("shapes differ"))
    outcome = repronet("train", "trainer.max_epochs=1")
    assert outcome.code == 1
    assert outcome.err == "repronet: RuntimeError: shapes differ (debug=true shows where)\n"


def test_a_full_disk_keeps_the_checkpoint_before(repronet, tmp_path, monkeypatch):
    from repronet.runs import atomic as durable

    sync, count = os.fsync, []

    def filling(handle):
        count.append(1)
        if len(count) > 8:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(durable.os, "fsync", filling)
        outcome = repronet("train", "trainer.max_epochs=4", "run_dir=r")
    assert outcome.code == 1
    assert ".ckpt: cannot be written (No space left on device); resume with: repronet train resume=r\n" in outcome.err
    assert outcome.err.count("\n") == 1
    assert not list((tmp_path / "r").rglob(".*"))
    assert read_checkpoint(tmp_path / "r" / runs.LAST)["repronet"]["position"]["epochs"] >= 1
    assert repronet("train", "resume=r").code == 0


def test_a_run_folder_that_cannot_be_written_is_one_line(repronet, tmp_path, finished_run):
    shutil.copytree(finished_run, tmp_path / "r")
    (tmp_path / "r" / runs.RESULT).unlink()
    (tmp_path / "r" / runs.LOCK).unlink()
    (tmp_path / "r" / runs.LOCK).mkdir()  # root, whom tests may run as, can write wherever it likes
    outcome = repronet("train", "resume=r")
    assert outcome.code == 2
    assert "repronet: r: the run cannot continue there (" in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("step", [1, 16, 57])
def test_a_gradient_that_is_not_finite_stops_before_the_weights_take_it_up(repronet, tmp_path, monkeypatch, step):
    backward, seen, before = torch.Tensor.backward, [], {}

    def spoiled(self):
        backward(self)
        seen.append(1)
        if len(seen) == step:
            layers = task()
            before.update({name: value.clone() for name, value in layers.state_dict().items()})
            layers.c3.weight.grad[0, 0, 0, 0] = math.inf
            layers.c1.weight.grad[0, 0, 0, 0] = math.nan

    tasks: list[ImageClassifier] = []

    def task():
        return tasks[0].network

    start = ImageClassifier.on_train_epoch_start
    monkeypatch.setattr(ImageClassifier, "on_train_epoch_start", lambda self: (tasks.append(self), start(self)))
    monkeypatch.setattr(torch.Tensor, "backward", spoiled)
    outcome = repronet("train", "trainer.max_epochs=2", "run_dir=r")
    assert outcome.code == 2
    assert f"the gradient is no longer finite at step {step}: first in c3.weight" in outcome.err
    assert outcome.err.count("\n") == 1
    assert all(torch.equal(before[name], value) for name, value in task().state_dict().items())
    assert (tmp_path / "r" / runs.LAST).exists() == (step > 55)


def test_weights_that_are_no_longer_finite_are_not_saved(repronet, tmp_path, monkeypatch):
    end = ImageClassifier.on_train_epoch_end

    def spoil(self):
        end(self)
        if self.trainer.current_epoch == 1:
            self.network.c3.weight.data[0, 0, 0, 0] = math.inf

    monkeypatch.setattr(ImageClassifier, "on_train_epoch_end", spoil)
    outcome = repronet("train", "trainer.max_epochs=3", "run_dir=r")
    assert outcome.code == 2
    assert "c3.weight is no longer finite after step 110" in outcome.err
    assert read_checkpoint(tmp_path / "r" / runs.LAST)["repronet"]["position"]["epochs"] == 1


def test_patience_stops_early_and_a_resumed_run_stops_there_too(repronet, tmp_path):
    words = ("trainer.max_epochs=9", "trainer.patience=1", "optimizer.lr=1e-9", "schedule=constant")
    outcome = repronet("train", *words, "run_dir=r")
    assert outcome.code == 0
    assert "stopping after epoch 2: epoch 1 was the best" in outcome.out
    result = runs.read_result(tmp_path / "r")
    assert (result["epochs"], result["best_epoch"]) == (2, 1)
    (tmp_path / "r" / runs.RESULT).unlink()  # as if it had been killed at the very end
    outcome = repronet("train", "resume=r")
    assert outcome.code == 0
    assert runs.read_result(tmp_path / "r")["epochs"] == 2


def test_patience_is_in_epochs_however_few_are_validated(repronet, tmp_path):
    words = ("trainer.patience=2", "trainer.check_val_every_n_epoch=2", "optimizer.lr=1e-9", "schedule=constant")
    outcome = repronet("train", "trainer.max_epochs=9", *words, "run_dir=r")
    assert outcome.code == 0
    assert "stopping after epoch 4: epoch 2 was the best" in outcome.out
    assert read_checkpoint(tmp_path / "r" / runs.LAST)["repronet"]["logged"] == {}  # of services alone


def test_deterministic_operations_alone(repronet):
    outcome = repronet("train", "deterministic=true", "trainer.max_epochs=1", "run_dir=r")
    assert torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(False)
    assert (outcome.code, outcome.err) == (0, "")


@pytest.mark.slow
def test_a_compiled_network_learns(repronet, tmp_path):
    outcome = repronet("train", "trainer.compile=true", "layers=torch", "trainer.max_epochs=2", "run_dir=r")
    if "compiler" in outcome.err:
        pytest.skip("torch.compile needs a C++ compiler")
    assert outcome.code == 0, outcome.err
    assert runs.read_result(tmp_path / "r")["last_val_error"] < 0.3
    assert repronet("eval", "run=r").code == 0


@pytest.mark.slow
def test_half_precision_and_channels_last_learn_and_go_on(repronet, tmp_path):
    words = (
        "trainer.precision=bf16-mixed",
        "trainer.channels_last=true",
        "trainer.accumulate_grad_batches=2",
        "trainer.max_epochs=2",
    )
    outcome = repronet("train", *words, "averaging=polyak", "model.loss=svm", "initialization=he", "run_dir=r")
    assert (outcome.code, outcome.err) == (0, "")
    assert runs.read_result(tmp_path / "r")["last_val_error"] < 0.4
    assert repronet("eval", "run=r").code == 0


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["mse", "binary"])
def test_the_other_losses_learn(repronet, tmp_path, loss):
    words = (f"model.loss={loss}", "trainer.max_epochs=4", "optimizer=adam", "optimizer.lr=0.004", "layers=torch")
    assert repronet("train", *words, "run_dir=r").code == 0
    assert runs.read_result(tmp_path / "r")["last_val_error"] < 0.6
