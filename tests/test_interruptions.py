"""A run that is killed or stopped anywhere goes on to the very same end. ``tests/interruptions.py`` does more of it."""

from __future__ import annotations

import signal

import numpy as np
import pytest
import torch
from PIL import Image

from interruptions import WORDS, Strike, Trial, difference, run, start, term_strikes, write_strikes
from repronet import runs
from repronet.training.checkpoints import read_checkpoint, write_checkpoint

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trial(tmp_path_factory) -> Trial:
    return Trial(tmp_path_factory.mktemp("trial"))


@pytest.mark.parametrize("share", [0.15, 0.35, 0.55, 0.75, 0.95])
def test_a_kill_at_any_time_changes_nothing(trial, share):
    assert trial.killed(share) is None


def test_a_chain_of_kills_changes_nothing(trial):
    assert trial.chain(4) is None


@pytest.mark.parametrize("strike", term_strikes(5), ids=lambda strike: f"{strike.where}{strike.nth}")
def test_a_run_that_is_told_to_stop_is_saved_and_exits_with_143(trial, strike):
    assert trial.struck(strike) == (143, None)


@pytest.mark.parametrize("strike", write_strikes(4), ids=lambda strike: f"{strike.where}{strike.nth}")
def test_a_kill_in_the_midst_of_a_checkpoint_leaves_the_one_before(trial, strike):
    assert trial.struck(strike) == (-signal.SIGKILL, None)


def test_a_kill_between_the_last_point_of_an_epoch_and_its_checkpoint_draws_no_point_twice(trial):
    # Saved before every step and evaluation batch, so that the last checkpoint is of the epoch's very last step.
    assert trial.struck(Strike("save best", 2), "trainer.save_minutes=1e-9") == (-signal.SIGKILL, None)


def test_a_stop_during_the_last_step_of_a_chunk_is_saved_too(trial):
    name = trial.fresh()
    words = [*WORDS, "trainer.save_minutes=60", f"run_dir={name}"]
    assert run(trial.folder, *words, strike=Strike("step", 16, signal.SIGTERM)) == 143
    assert read_checkpoint(trial.folder / name / runs.LAST)["global_step"] == 16
    assert trial.finish(name) is None


def test_points_that_a_checkpoint_counts_as_drawn_are_there(trial):
    assert trial.struck(Strike("step", 40), "trainer.save_minutes=1e-9") == (-signal.SIGKILL, None)


def test_usr1_and_the_first_ctrl_c_save_too(trial):
    for number, code in ((signal.SIGUSR1, 143), (signal.SIGINT, 130)):
        name = trial.fresh()
        assert run(trial.folder, *WORDS, f"run_dir={name}", strike=Strike("step", 57, number)) == code
        assert read_checkpoint(trial.folder / name / runs.LAST)["global_step"] == 57
        assert f"interrupted; resume with: repronet train resume={name}" in (trial.folder / "out.txt").read_text()
        assert trial.finish(name) is None


def test_a_second_ctrl_c_stops_at_once(trial):
    name = trial.fresh()
    words = [*WORDS, f"run_dir={name}", "trainer.save_minutes=60"]
    process = start(trial.folder, *words, strike=Strike("step twice", 57, signal.SIGINT))
    process.join()
    assert process.exitcode == 130
    assert not (trial.folder / name / runs.LAST).exists()


def test_a_stop_while_it_is_tested_loses_nothing(trial):
    assert trial.struck(Strike("test", 1, signal.SIGTERM)) == (143, None)


def test_a_damaged_last_checkpoint_falls_back_to_the_best(trial):
    name = trial.fresh()
    run(trial.folder, *WORDS, f"run_dir={name}", strike=Strike("step", 300, signal.SIGTERM))
    last = trial.folder / name / runs.LAST
    data = bytearray(last.read_bytes())
    data[len(data) // 2] ^= 1  # a single bit
    last.write_bytes(data)
    (trial.folder / "out.txt").unlink()
    assert trial.finish(name) is None
    said = (trial.folder / "out.txt").read_text()
    assert "last.ckpt: damaged" in said
    assert "resuming from best.ckpt, after epoch" in " ".join(said.split())


def test_a_missing_last_checkpoint_falls_back_too_and_damage_of_both_is_said(trial):
    name = trial.fresh()
    run(trial.folder, *WORDS, f"run_dir={name}", strike=Strike("step", 300, signal.SIGTERM))
    (trial.folder / name / runs.LAST).write_bytes(b"")
    best = (trial.folder / name / runs.BEST).read_bytes()
    (trial.folder / name / runs.BEST).write_bytes(best[:-100])
    (trial.folder / "out.txt").unlink()
    assert run(trial.folder, f"resume={name}") == 2
    said = (trial.folder / "out.txt").read_text()
    assert said.count("\n") == 1
    assert "to start the run again" in said
    (trial.folder / name / runs.LAST).unlink()
    (trial.folder / name / runs.BEST).write_bytes(best)
    assert trial.finish(name) is None
    assert "last.ckpt is missing; resuming from best.ckpt" in " ".join((trial.folder / "out.txt").read_text().split())


def test_a_run_goes_on_with_the_threads_it_began_with(trial):
    name = trial.fresh()
    words = [word for word in WORDS if not word.startswith("trainer.threads")]
    run(trial.folder, *words, f"run_dir={name}", strike=Strike("step", 57, signal.SIGTERM))
    content = read_checkpoint(trial.folder / name / runs.LAST)
    content["repronet"]["threads"] += 1
    write_checkpoint(content, trial.folder / name / runs.LAST)
    (trial.folder / "out.txt").unlink()
    assert run(trial.folder, f"resume={name}") == 0
    assert (
        f"computing with {content['repronet']['threads']} threads, as the run began"
        in (trial.folder / "out.txt").read_text()
    )
    assert runs.read_result(trial.folder / name)["hardware"]["torch_threads"] == content["repronet"]["threads"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Ninety images of two classes, of sizes that differ."""
    root, drawn = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number in range(90):
        folder = root / ("bright" if number % 2 else "dark")
        folder.mkdir(exist_ok=True)
        pixels = drawn.integers(0, 128, (40 + number % 7, 36, 3)) + 100 * (number % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:02}.png")
    return root


@pytest.fixture(scope="module")
def folder_trial(tmp_path_factory, images) -> Trial:
    """A run on a folder that is decoded as it is needed, in this process."""
    return Trial(tmp_path_factory.mktemp("workers"), folder_words(images, workers=0))


def folder_words(root, workers: int) -> tuple[str, ...]:
    return (
        f"data.root={root}",
        f"data.workers={workers}",
        *("data=image_folder", "data.memory=0", "data.batch_size=8", "data.val=0.2", "data.test=0.2"),
        *("augmentation=randaugment", "dropout=0.2", "trainer.max_epochs=3"),
        *("trainer.threads=1", "trainer.save_minutes=0.0001", "schedule=cosine"),
    )


@pytest.mark.parametrize("workers", [0, 1, 2, 4])
def test_loader_processes_change_nothing(folder_trial, images, workers):
    """Stopped in the second epoch, then killed in the third, with so many processes; against none at all."""
    name, words = folder_trial.fresh(), folder_words(images, workers)
    run(folder_trial.folder, *words, f"run_dir={name}", strike=Strike("step", 11, signal.SIGTERM))
    assert run(folder_trial.folder, f"resume={name}", strike=Strike("step", 8)) == -signal.SIGKILL
    assert folder_trial.finish(name) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT], ids=["term", "usr1", "int"])
def test_a_signal_to_the_loader_processes_too_stops_the_run_in_order(folder_trial, images, number):
    name, words = folder_trial.fresh(), folder_words(images, workers=2)
    code = run(folder_trial.folder, *words, f"run_dir={name}", strike=Strike("everyone", 11, number))
    assert code == (130 if number == signal.SIGINT else 143)
    assert read_checkpoint(folder_trial.folder / name / runs.LAST)["global_step"] == 11
    assert folder_trial.finish(name) is None


def test_a_killed_loader_process_is_one_line_and_what_was_done_is_kept(folder_trial, images):
    name = folder_trial.fresh()
    words = folder_words(images, workers=2)
    (folder_trial.folder / "out.txt").unlink()
    assert run(folder_trial.folder, *words, f"run_dir={name}", strike=Strike("worker", 12)) == 1
    said = (folder_trial.folder / "out.txt").read_text()
    assert "repronet: a loader process was killed, often because memory ran out; data.workers=1 needs less; " in said
    assert f"resume with: repronet train resume={name}\n" in said
    assert "Traceback" not in said
    assert folder_trial.finish(name) is None


def test_what_differs_is_found():
    one = {"a": [torch.tensor([1.0]), {"b": 2}]}
    assert difference(one, {"a": [torch.tensor([1.0]), {"b": 2}]}) is None
    assert difference(one, {"a": [torch.tensor([1.1]), {"b": 2}]}) == "/a[0]"
    assert difference(one, {"a": [torch.tensor([1.0]), {"b": 3}]}) == "/a[1]/b: 2 and 3"
    assert difference(one, {"a": [torch.tensor([1.0])]}) == "/a: 2 and 1 items"
    assert difference(one, {"c": 1}) == ": ['a', 'c']"


def test_twenty_runs_that_start_at_once_have_twenty_folders(tmp_path):
    processes = [start(tmp_path, "trainer.max_epochs=1", "trainer.threads=1", "layers=torch") for _ in range(20)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 20
    folders = list((tmp_path / "runs" / "lenet5-mnist5k").iterdir())
    assert len(folders) == 20
    assert all((folder / runs.RESULT).exists() for folder in folders)
