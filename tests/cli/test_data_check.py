"""``repronet data check``: its exit codes, its table and its JSON."""

from __future__ import annotations

import json
import re
import shlex

import numpy as np
import pytest
from PIL import Image

from odd_images import REFUSED, write_good


def test_a_clean_folder_leaves_with_0(repronet, tmp_path):
    write_good(tmp_path / "photos")
    outcome = repronet("data", "check", "data.root=photos")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == "images            6  in 2 classes\n\n0 errors, 0 warnings: a run can use it\n"


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
    command = outcome.out.partition("set aside what cannot be read:\n  ")[2]
    assert command == "repronet data check data.root=photos aside=photos-unreadable\n"


def test_many_of_a_kind_are_cut_in_the_table_and_whole_in_json(repronet, tmp_path):
    write_good(tmp_path / "photos")
    for number in range(30):
        (tmp_path / "photos" / "cat" / f"bad{number:02}.png").write_bytes(b"")
    table = repronet("data", "check", "data.root=photos")
    assert "… empty: 24 more; format=json has them all" in table.out
    listed = json.loads(repronet("data", "check", "data.root=photos", "format=json").out)
    assert len(listed["findings"]) == 30
    assert listed["images"] == {"all": {"cat": 3, "dog": 3}}
    assert listed["findings"][0]["severity"] == "error"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data"], "data: needs a second word, one of: data check"),
        (["data", "chek"], "data chek: needs a second word; nearest: data check"),
        (["data", "check"], "data.root must name the folder of images"),
        (["data", "check", "data.root=nowhere"], "nowhere: no such folder"),
        (["data", "check", "data=mnist"], "data=mnist: is not a folder of images"),
        (["data", "check", "data.root=photos", "format=xml"], "format=xml: must be one of table, json"),
        (["data", "check", "data.root=empty"], "it needs one for each class"),
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
        (tmp_path / "my photos" / name).write_bytes(b"no image")
    outcome = repronet("data", "check", "data.root=my photos")
    assert outcome.code == 1
    words = shlex.split(outcome.out[outcome.out.index("repronet data check ") :])
    outcome = repronet(*words[1:])
    assert (outcome.code, outcome.err) == (0, "")
    assert "moved to my photos-unreadable: 2 unreadable images" in outcome.out
    moved = sorted(path.relative_to(tmp_path) for path in (tmp_path / "my photos-unreadable").rglob("*.png"))
    assert list(map(str, moved)) == ["my photos-unreadable/cat/bad.png", "my photos-unreadable/dog/bad.png"]
    assert repronet("data", "check", "data.root=my photos").code == 0


def test_nothing_is_set_aside_within_the_folder_or_over_another(repronet, tmp_path):
    write_good(tmp_path / "photos")
    (tmp_path / "photos" / "cat" / "bad.png").write_bytes(b"no image")
    outcome = repronet("data", "check", "data.root=photos", "aside=photos/bad")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "aside=photos/bad: is within data.root=photos" in outcome.err
    (tmp_path / "aside" / "cat").mkdir(parents=True)
    (tmp_path / "aside" / "cat" / "bad.png").write_bytes(b"another")
    outcome = repronet("data", "check", "data.root=photos", "aside=aside")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "there is one of its name" in outcome.err
    assert (tmp_path / "aside" / "cat" / "bad.png").read_bytes() == b"another"


def test_an_image_of_one_pixel_is_flagged(repronet, tmp_path):
    write_good(tmp_path / "photos")
    Image.new("RGB", (1, 1)).save(tmp_path / "photos" / "cat" / "dot.png")
    outcome = repronet("data", "check", "data.root=photos")
    assert (outcome.code, outcome.err) == (0, "")
    assert "cat/dot.png: tiny image, 1×1 pixels" in outcome.out
    assert "0 errors, 1 warning" in outcome.out


@pytest.fixture
def taught(repronet, tmp_path):
    """A run on bright and dark images, of which one in validation has the wrong label and one is saved again."""
    drawn = np.random.default_rng(0)
    for split, count in (("train", 24), ("val", 16), ("test", 8)):
        for name, level in (("bright", 170), ("dark", 60)):
            (tmp_path / "photos" / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = drawn.integers(-50, 50, (8, 8)).repeat(4, 0).repeat(4, 1) + level
                image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert("RGB")
                image.save(tmp_path / "photos" / split / name / f"{number}.png")
    photos = tmp_path / "photos"
    (photos / "val" / "dark" / "3.png").rename(photos / "val" / "bright" / "wrong.png")
    Image.open(photos / "train" / "dark" / "5.png").save(photos / "test" / "dark" / "again.jpg", quality=90)
    words = ("data=image_folder", f"data.root={photos}", "data.resize=32", "data.workers=0", "trainer.board=none")
    recipe = ("layers=torch", "augmentation=none", "data.batch_size=4", "trainer.max_epochs=4", "optimizer.lr=0.05")
    assert repronet("train", *words, *recipe, "run_dir=r").code == 0
    return repronet


def test_a_run_names_likely_wrong_labels_and_near_duplicates(taught, tmp_path, monkeypatch):
    pytest.importorskip("cleanlab")
    monkeypatch.setenv("COLUMNS", "200")
    outcome = taught("data", "check", "run=r")
    assert (outcome.code, outcome.err) == (0, "")
    assert re.search(
        r"val/bright/wrong\.png: likely wrong label, labelled bright \(.*%\), looks like dark", outcome.out
    )
    assert "test/dark/again.jpg: near duplicate in two splits, " in outcome.out
    assert ": train/dark/5.png (dark)" in outcome.out
    assert "likely wrong labels: 1; pairs of near duplicates: 1" in outcome.out
    assert (tmp_path / "r" / "pictures" / "check.png").exists()
    found = json.loads(taught("data", "check", "run=r", "format=json", "sheet=s.png").out)["findings"]
    assert [one["where"] for one in found] == ["val/bright/wrong.png", "test/dark/again.jpg"]
    assert all(0.5 < one["sure"] <= 1 for one in found)
    assert (tmp_path / "s.png").exists()


def test_a_run_cannot_be_looked_through_without_cleanlab(repronet, tmp_path, finished_run, monkeypatch):
    monkeypatch.setattr("repronet.analysis.wrong_labels.find_spec", lambda name: None)
    outcome = repronet("data", "check", f"run={finished_run}")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "pip install cleanlab" in outcome.err


def test_the_images_of_a_table_are_looked_through(repronet, tmp_path):
    write_good(tmp_path / "photos")
    (tmp_path / "photos" / "dog" / "bad.png").write_bytes(b"no image")
    (tmp_path / "photos" / "dog" / "copy.png").write_bytes((tmp_path / "photos" / "cat" / "0_0.png").read_bytes())
    far = tmp_path / "far.png"
    Image.new("RGB", (9, 9)).save(far)
    names = [path.relative_to(tmp_path / "photos") for path in sorted((tmp_path / "photos").rglob("*.png"))]
    rows = [f"{name},{name.parts[0]},{'test' if name.name == '0_2.png' else 'train'}" for name in names]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,split", *rows, f"{far},far,train"]))
    words = ("data", "check", "data=table", "data.file=labels.csv", "data.root=photos")
    outcome = repronet(*words)
    assert (outcome.code, outcome.err) == (1, "")
    assert "labels.csv: images in file, labels in label, splits in split\n" in outcome.out
    assert "dog/bad.png: not an image" in outcome.out
    assert "dog/copy.png: in two classes, the same image as cat/0_0.png" in outcome.out
    assert "far: tiny class, a single image" in outcome.out
    assert "train " in outcome.out
    assert "6  in 3 classes" in outcome.out
    assert "set aside" not in outcome.out
    assert "aside=bad: would leave rows without an image" in repronet(*words, "aside=bad").err
