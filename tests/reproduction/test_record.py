"""A record shows when it was changed after its run wrote it."""

from __future__ import annotations

import json

import pytest

from made_up_records import made_up
from repronet.errors import UserError
from repronet.reproduction import record as records


def changed(path, **values):
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **values}))


def resealed(path, **values):
    """As one who changes a figure and knows how the hash is made."""
    content = json.loads(path.read_text())
    content.pop(records.HASH)
    path.write_text(json.dumps(records.sealed({**content, **values})))


def test_what_is_written_is_read(tmp_path):
    record = made_up("resnet20_cifar10", seed=3)
    path = records.write(tmp_path, record)
    assert path == tmp_path / "resnet20_cifar10" / "paper-seed3.json"
    assert records.read_all(tmp_path) == {path: record}


def test_records_from_before_there_was_a_top5_error_are_read(tmp_path):
    for seed, top5 in enumerate((None, 0.0, 0.01)):
        records.write(tmp_path, made_up("resnet20_cifar10", seed, test_error_top5=top5))
    assert [found.get("test_error_top5") for found in records.read_all(tmp_path).values()] == [None, 0.0, 0.01]


def test_a_figure_changed_by_hand_is_noticed(tmp_path):
    path = records.write(tmp_path, made_up("resnet20_cifar10"))
    changed(path, test_error=0.05)
    with pytest.raises(UserError, match=r"paper-seed0\.json: is not what its run wrote: its hash is"):
        records.read(path)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"best_val_error": 0.01}, "but its epochs have"),
        ({"epochs": 5}, "but its epochs have"),
        ({"test_error": 0.12345}, "is not a count out of 10000 images"),
        ({"test_error_top5": 0.01234}, "test_error_top5 0.01234 is not a count out of 10000 images"),
        ({"test_error_top5": 0.0876}, "test_error_top5 0.0876 above test_error 0.0875"),
        ({"test_error_top5": 0.02}, "test_error_top5 0.02, but center_error_top5 0.01"),
        ({"config": {"optimizer": {"lr": 1.0}}}, "its config has another hash"),
    ],
)
def test_figures_that_contradict_each_other_are_noticed_under_a_new_hash_too(tmp_path, values, reason):
    path = records.write(tmp_path, made_up("resnet20_cifar10", test_error_top5=0.01))
    resealed(path, **values)
    with pytest.raises(UserError, match=reason):
        records.read(path)


def test_a_record_stands_where_it_belongs_or_beside_it_with_its_machine(tmp_path):
    path = records.write(tmp_path, made_up("resnet20_cifar10"))
    beside = path.with_name("paper-seed0-on-abacus.json")
    beside.write_text(path.read_text())
    assert list(records.read_all(tmp_path)) == [beside, path]
    resealed(path, seed=1)
    with pytest.raises(UserError, match="it is of resnet20_cifar10, paper, seed 1"):
        records.read_all(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"sha256": 1}', "\x00"])
def test_what_is_no_record_is_one_line(tmp_path, text):
    path = records.write(tmp_path, made_up("resnet20_cifar10"))
    path.write_text(text)
    with pytest.raises(UserError, match="is not a record of a run"):
        records.read(path)


def test_places_processor_and_seed_are_not_part_of_what_was_asked():
    config = {
        "seed": 3,
        "run_dir": "here",
        "data": {"root": "there", "batch_size": 4},
        "trainer": {"threads": 2, "max_epochs": 1},
    }
    assert records.asked(config) == {"data": {"batch_size": 4}, "trainer": {"max_epochs": 1}}
