"""The check of a folder: everything odd is found, and a clean folder is called clean."""

from __future__ import annotations

import os

import pytest

from odd_images import READABLE, REFUSED, write_good
from repronet.data.scan import Finding, Report, scan


def found(report: Report, what: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.what == what]


def test_a_clean_folder(tmp_path):
    for seed, split in enumerate(("train", "val", "test")):
        write_good(tmp_path / split, seed=seed)
    report = scan(tmp_path)
    assert report.findings == ()
    assert report.images == {split: {"cat": 3, "dog": 3} for split in ("train", "val", "test")}


def test_at_least_21_odd_images_are_each_read_right_or_named(tmp_path):
    write_good(tmp_path / "good", ("",))
    odd = tmp_path / "odd"
    odd.mkdir()
    for name, (content, _) in (READABLE | REFUSED).items():
        (odd / name).write_bytes(content())
    assert len(READABLE) + len(REFUSED) >= 21
    report = scan(tmp_path)
    refused = {finding.where: finding.what for finding in report.findings if finding.severity == "error"}
    # The odd images' contents are all different, but for the two suffixes of one content.
    assert refused == {f"odd/{name}": kind for name, (_, kind) in REFUSED.items()}
    assert report.images["all"]["odd"] == len(READABLE)
    notes = " ".join(finding.detail for finding in report.findings if finding.severity == "note")
    for _, note in READABLE.values():
        assert note is None or note in notes
    (suffix,) = found(report, "wrong suffix")
    assert (suffix.where, suffix.severity) == ("odd/wrong_suffix.jpg", "warning")


def test_the_same_image_twice(tmp_path):
    write_good(tmp_path / "train")
    write_good(tmp_path / "test", seed=1)
    first = (tmp_path / "train" / "cat" / "0_0.png").read_bytes()
    (tmp_path / "test" / "cat" / "leak.png").write_bytes(first)
    (tmp_path / "train" / "dog" / "other.png").write_bytes(first)
    (tmp_path / "train" / "cat" / "again.png").write_bytes(first)
    report = scan(tmp_path)
    assert [(f.severity, f.where) for f in found(report, "in two splits")] == [("error", "test/cat/leak.png")]
    assert {f.severity for f in found(report, "in two classes")} == {"error"}
    assert [(f.severity, f.where) for f in found(report, "twice")] == [("warning", "train/cat/again.png")]


def test_classes_that_are_empty_missing_or_unknown(tmp_path):
    write_good(tmp_path / "train", ("bee", "cat", "dog"))
    (tmp_path / "train" / "owl").mkdir()
    write_good(tmp_path / "val", ("cat", "emu"), seed=1)
    (tmp_path / "val" / "bee").mkdir()
    report = scan(tmp_path)
    assert {(f.severity, f.where) for f in found(report, "empty class")} == {
        ("error", "train/owl"),
        ("warning", "val/bee"),
    }
    assert [(f.severity, f.where) for f in found(report, "unknown class")] == [("error", "val/emu")]
    assert {f.detail for f in found(report, "missing class")} == {
        "has no folder dog; training has one",
        "has no folder owl; training has one",
    }


def test_a_class_whose_images_are_all_broken_is_empty(tmp_path):
    write_good(tmp_path)
    (tmp_path / "owl").mkdir()
    (tmp_path / "owl" / "1.png").write_bytes(b"")
    report = scan(tmp_path)
    assert [f.where for f in found(report, "empty class")] == ["owl"]
    assert [f.where for f in found(report, "empty")] == ["owl/1.png"]


def test_tiny_and_unbalanced_classes(tmp_path):
    write_good(tmp_path, ("cat",), count=25)
    write_good(tmp_path, ("dog",), count=1, seed=1)
    report = scan(tmp_path)
    assert [f.where for f in found(report, "tiny class")] == ["dog"]
    assert [f.detail for f in found(report, "unbalanced")] == ["1 of dog against 25 of cat"]
    assert report.count("error") == 0


def test_what_lies_around(tmp_path):
    write_good(tmp_path / "train")
    (tmp_path / "train" / "readme.txt").write_text("x")
    (tmp_path / "train" / "cat" / "labels.csv").write_text("x")
    good = (tmp_path / "train" / "cat" / "0_0.png").read_bytes()
    (tmp_path / "train" / "cat" / "picture.dat").write_bytes(good)
    (tmp_path / "train" / "cat" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "train" / ".git").mkdir()
    (tmp_path / "train" / "dog" / "loop").symlink_to(tmp_path / "train")
    write_good(tmp_path / "extra")
    report = scan(tmp_path)
    assert [f.where for f in found(report, "outside the classes")] == ["train/readme.txt"]
    assert [f.where for f in found(report, "outside the splits")] == ["extra"]
    assert {f.where: f.detail for f in found(report, "not an image")} == {
        "train/cat/labels.csv": "not named like an image; left out",
        "train/cat/picture.dat": "its content is PNG, but it is not named like an image; left out",
    }
    assert [f.where for f in found(report, "link that leads back")] == ["train/dog/loop"]
    assert [f.detail for f in found(report, "hidden")] == ["2 hidden files and folders are passed over"]
    assert report.count("error") == 0


def test_a_file_whose_name_is_not_utf8_is_read(tmp_path):
    write_good(tmp_path)
    good = (tmp_path / "cat" / "0_0.png").read_bytes()
    with open(os.fsencode(tmp_path) + b"/dog/caf\xe9.png", "wb") as file:  # noqa: PTH123
        file.write(good)
    (tmp_path / "cat" / "0_0.png").unlink()
    report = scan(tmp_path)
    assert [f.where for f in found(report, "odd name")] == ["dog/caf\\xe9.png"]
    assert report.images["all"]["dog"] == 4


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    write_good(tmp_path)
    (tmp_path / "cat" / "0_0.png").chmod(0)
    assert [f.where for f in found(scan(tmp_path), "unreadable")] == ["cat/0_0.png"]


@pytest.mark.parametrize("pair", [("Cat", "cat"), ("cat ", "cat"), ("caf\u00e9", "cafe\u0301"), ("\ufb01n", "fin")])
def test_classes_that_a_person_takes_for_one(tmp_path, pair):
    write_good(tmp_path, (*pair, "dog"))
    (twin,) = found(scan(tmp_path), "twin class")
    assert twin.severity == "warning"
    assert twin.where in pair
    assert any(twin.detail.startswith(f"differs from {name} only by ") for name in pair if name != twin.where)


def test_accents_in_another_form_in_another_split_are_the_same_class(tmp_path):
    write_good(tmp_path / "train", ("caf\u00e9", "tea"))
    write_good(tmp_path / "val", ("cafe\u0301", "tea"), seed=1)
    assert scan(tmp_path).findings == ()
    write_good(tmp_path / "test", ("Tea",), seed=2)
    assert [finding.where for finding in found(scan(tmp_path), "unknown class")] == ["test/Tea"]
