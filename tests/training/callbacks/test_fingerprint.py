"""What a run keeps of its first steps, and where two of them part."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from rich.console import Console

from interrupted import interrupted_at
from repronet import models, runs
from repronet.config.compose import compose
from repronet.session.run import resume, train
from repronet.training.callbacks import fingerprint
from repronet.training.callbacks.fingerprint import Parting, layers_of, parting

WORDS = ("data.per_class=20", "trainer.max_epochs=2", "trainer.board=none", "trainer.threads=1", "data.batch_size=40")
NAMES = list(layers_of(models.create("lenet5")))


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def fingerprint_of(folder, *words):
    train(compose("train", [*WORDS, f"run_dir={folder}", *words]), Console(quiet=True))
    return runs.read_result(folder)["fingerprint"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return fingerprint_of(tmp_path_factory.mktemp("runs") / "first")


def test_the_same_run_has_the_same_and_it_is_small(kept, tmp_path):
    assert len(kept["loss"]) == 10 * fingerprint.LOSS_DIGITS  # two epochs of 200 images
    assert list(kept["weights"]) == ["0", "1", "2", "5", "10"]
    assert list(kept["outputs"]) == ["1", "2", "5", "10"]
    assert len(json.dumps(kept)) < 1000
    again = fingerprint_of(tmp_path / "again", "trainer.log_every_n_steps=1")  # watching changes nothing
    assert again == kept
    assert parting(kept, again, NAMES) is None


def test_another_seed_another_rate_and_other_images_part_where_they_should(kept, tmp_path):
    assert parting(kept, fingerprint_of(tmp_path / "seed", "seed=1"), NAMES) == Parting(0, "c1's weights")
    rate = parting(kept, fingerprint_of(tmp_path / "rate", "optimizer.lr=0.011"), NAMES)
    assert (rate.step, rate.where) == (1, "output's update")  # the first forward pass is the same
    images = parting(kept, fingerprint_of(tmp_path / "images", "augmentation=none"), NAMES)
    assert (images.step, images.where) == (1, "c1's output")
    assert images.losses[0] != images.losses[1]


def test_a_step_that_was_not_looked_into_has_its_loss_alone(kept):
    changed = copy.deepcopy(kept)
    at = 6 * fingerprint.LOSS_DIGITS
    changed["loss"] = kept["loss"][:at] + "00000000" + kept["loss"][at + fingerprint.LOSS_DIGITS :]
    found = parting(kept, changed, NAMES)
    assert (found.step, found.where, found.losses[1]) == (7, "", 0.0)


def test_one_layer_of_a_step_is_named(kept):
    changed, layer = copy.deepcopy(kept), NAMES.index("f6")
    digits = changed["outputs"]["5"]
    at = layer * fingerprint.DIGITS
    changed["outputs"]["5"] = digits[:at] + "zzzz" + digits[at + fingerprint.DIGITS :]
    assert (parting(kept, changed, NAMES).step, parting(kept, changed, NAMES).where) == (5, "f6's output")


def test_neighbours_in_deep_networks_share_a_hash(kept):
    names = list(layers_of(models.create("resnet110", layers="torch")))
    hashes = iter([f"{n:064x}" for n in range(len(names))])
    joined = fingerprint._joined(hashes)
    assert len(names) > fingerprint.MOST >= len(joined) / fingerprint.DIGITS
    other = joined[:4] + ("0000" if joined[4:8] != "0000" else "1111") + joined[8:]
    assert fingerprint._first(joined, other, names) == f"{names[3]} to {names[5]}"


def test_an_interrupted_run_keeps_the_same(kept, tmp_path):
    with interrupted_at(7), pytest.raises(KeyboardInterrupt):
        fingerprint_of(tmp_path / "stopped")
    resume(tmp_path / "stopped", Console(quiet=True))
    assert runs.read_result(tmp_path / "stopped")["fingerprint"] == kept
