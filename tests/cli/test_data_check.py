"""``repronet data check``: its exit codes, its table and its JSON."""

from __future__ import annotations

import json
import shlex

import pytest
from PIL import Image

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
    table, _, command = outcome.out.partition("set aside what cannot be read: ")
    assert max(map(len, table.splitlines())) <= 80
    assert command == "repronet data check data.root=photos aside=photos-unreadable\n"


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


def test_what_cannot_be_read_is_set_aside_by_the_command_that_is_named(repronet, tmp_path):
    write_good(tmp_path / "my photos")
    for name in ("cat/bad.png", "dog/bad.png"):
        (tmp_path / "my photos" / name).write_bytes(b"no picture")
    outcome = repronet("data", "check", "data.root=my photos")
    assert outcome.code == 1
    words = shlex.split(outcome.out[outcome.out.index("repronet data check ") :])
    outcome = repronet(*words[1:])
    assert (outcome.code, outcome.err) == (0, "")
    assert "2 pictures that cannot be read are in" in outcome.out
    moved = sorted(path.relative_to(tmp_path) for path in (tmp_path / "my photos-unreadable").rglob("*.png"))
    assert list(map(str, moved)) == ["my photos-unreadable/cat/bad.png", "my photos-unreadable/dog/bad.png"]
    assert repronet("data", "check", "data.root=my photos").code == 0


def test_nothing_is_set_aside_within_the_folder_or_over_another(repronet, tmp_path):
    write_good(tmp_path / "photos")
    (tmp_path / "photos" / "cat" / "bad.png").write_bytes(b"no picture")
    outcome = repronet("data", "check", "data.root=photos", "aside=photos/bad")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "aside=photos/bad: is within data.root=photos" in outcome.err
    (tmp_path / "aside" / "cat").mkdir(parents=True)
    (tmp_path / "aside" / "cat" / "bad.png").write_bytes(b"another")
    outcome = repronet("data", "check", "data.root=photos", "aside=aside")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "there is one of its name" in outcome.err
    assert (tmp_path / "aside" / "cat" / "bad.png").read_bytes() == b"another"


def test_a_picture_of_one_pixel_is_flagged(repronet, tmp_path):
    write_good(tmp_path / "photos")
    Image.new("RGB", (1, 1)).save(tmp_path / "photos" / "cat" / "dot.png")
    outcome = repronet("data", "check", "data.root=photos")
    assert (outcome.code, outcome.err) == (0, "")
    assert "cat/dot.png: tiny picture, 1×1 pixels" in outcome.out
    assert "0 errors, 1 warning" in outcome.out
