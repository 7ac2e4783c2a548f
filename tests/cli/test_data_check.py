"""``repronet data check``: its exit codes, its table and its JSON."""

from __future__ import annotations

import json

import pytest

from odd_pictures import REFUSED, write_good


def test_a_clean_folder_leaves_with_0(repronet, tmp_path):
    write_good(tmp_path / "photos")
    outcome = repronet("data", "check", "data.root=photos")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == "pictures          6  in 2 classes\n\n0 errors, 0 warnings: a run can use it\n"


def test_errors_leave_with_1_and_each_is_named(repronet, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    write_good(tmp_path / "photos" / "train")
    for name, (content, _) in REFUSED.items():
        (tmp_path / "photos" / "train" / "cat" / name).write_bytes(content())
    outcome = repronet("data", "check", "data.root=photos")
    assert (outcome.code, outcome.err) == (1, "")
    assert "train             6  in 2 classes" in outcome.out
    assert "train/cat/huge.png: too large" in outcome.out
    assert f"{len(REFUSED)} errors, 0 warnings: a run would stop or learn wrong" in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_many_of_a_kind_are_cut_in_the_table_and_whole_in_json(repronet, tmp_path):
    write_good(tmp_path / "photos")
    for number in range(30):
        (tmp_path / "photos" / "cat" / f"bad{number:02}.png").write_bytes(b"")
    table = repronet("data", "check", "data.root=photos")
    assert "… empty: 24 more; format=json has them all" in table.out
    listed = json.loads(repronet("data", "check", "data.root=photos", "format=json").out)
    assert len(listed["findings"]) == 30
    assert listed["pictures"] == {"all": {"cat": 3, "dog": 3}}
    assert listed["findings"][0]["severity"] == "error"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data"], "data: needs a second word; there is: data check"),
        (["data", "chek"], "data chek: needs a second word"),
        (["data", "check"], "data.root: must name the folder of pictures"),
        (["data", "check", "data.root=nowhere"], "data.root=nowhere: no such folder"),
        (["data", "check", "data=mnist"], "data=mnist: is no folder of pictures"),
        (["data", "check", "data.root=photos", "format=xml"], "format=xml: must be one of table, json"),
        (["data", "check", "data.root=empty"], "it needs one a class"),
    ],
)
def test_bad_input_leaves_with_2(repronet, tmp_path, words, message):
    write_good(tmp_path / "photos")
    (tmp_path / "empty").mkdir()
    outcome = repronet(*words)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
