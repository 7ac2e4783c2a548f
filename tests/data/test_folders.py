"""Layouts of folders: splits, classes, files, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from odd_images import write_good
from repronet.data.folders import WHOLE, files_below, read_layout, require_whole_groups
from repronet.data.scan import scan
from repronet.errors import UserError

pytestmark = pytest.mark.field


def labelled(layout, split: str) -> list[tuple[str, int]]:
    return [(str(file.path.relative_to(layout.root)), file.label) for file in layout.files[split]]


def test_classes_alone(tmp_path):
    write_good(tmp_path, count=1)
    layout = read_layout(tmp_path)
    assert layout.classes == ("cat", "dog")
    assert labelled(layout, WHOLE) == [("cat/0_0.png", 0), ("dog/0_0.png", 1)]


def test_splits_by_any_of_their_names(tmp_path):
    for name in ("training", "valid", "testing"):
        write_good(tmp_path / name)
    assert {split: len(files) for split, files in read_layout(tmp_path).files.items()} == {
        "train": 6,
        "val": 6,
        "test": 6,
    }


def test_images_may_lie_deeper_and_hidden_ones_are_passed_over(tmp_path):
    write_good(tmp_path, count=1)
    write_good(tmp_path / "cat", ("day",), count=1)
    write_good(tmp_path / "cat", (".trash",), count=1)
    for name in (".DS_Store", "Thumbs.db", "._0_0.png"):
        (tmp_path / "cat" / name).write_bytes(b"x")
    (tmp_path / ".git").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    layout = read_layout(tmp_path)
    assert layout.classes == ("cat", "dog")
    assert labelled(layout, WHOLE)[:2] == [("cat/0_0.png", 0), ("cat/day/0_0.png", 0)]
    assert layout.others == []


def test_other_files_are_kept_apart(tmp_path):
    write_good(tmp_path)
    (tmp_path / "dog" / "labels.csv").write_text("x")
    assert [file.name for file in read_layout(tmp_path).others] == ["labels.csv"]


def test_the_classes_of_training_number_the_others(tmp_path):
    write_good(tmp_path / "train", ("ant", "bee", "cat"))
    write_good(tmp_path / "test", ("cat",), count=1)
    assert labelled(read_layout(tmp_path), "test") == [("test/cat/0_0.png", 2)]


def test_a_link_back_is_not_followed_and_another_is(tmp_path):
    write_good(tmp_path / "photos", count=1)
    write_good(tmp_path / "elsewhere", ("more",), count=1)
    (tmp_path / "photos" / "cat" / "loop").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "cat" / "more").symlink_to(tmp_path / "elsewhere" / "more")
    found = [str(file.relative_to(tmp_path / "photos")) for file in files_below(tmp_path / "photos" / "cat")]
    assert found == ["cat/0_0.png", "cat/more/0_0.png"]


def broken_no_root(root: Path) -> None:
    pass


def broken_root_is_a_file(root: Path) -> None:
    root.write_text("x")


def broken_no_class(root: Path) -> None:
    root.mkdir()
    write_good(root / "hidden")
    (root / "hidden").rename(root / ".hidden")


def broken_empty_class(root: Path) -> None:
    write_good(root)
    (root / "owl").mkdir()


def broken_class_of_other_files(root: Path) -> None:
    write_good(root)
    (root / "owl").mkdir()
    (root / "owl" / "notes.txt").write_text("x")


def broken_val_without_train(root: Path) -> None:
    write_good(root / "val")


def broken_two_names_for_a_split(root: Path) -> None:
    for name in ("train", "val", "valid"):
        write_good(root / name)


def broken_class_that_training_has_not(root: Path) -> None:
    write_good(root / "train")
    write_good(root / "val", ("cat", "owl"))


def broken_train_without_classes(root: Path) -> None:
    (root / "train").mkdir(parents=True)


def broken_class_name(root: Path) -> None:
    write_good(root)
    os.mkdir(os.fsencode(root) + b"/caf\xe9")  # noqa: PTH102 - a name that is no UTF-8


BROKEN = {
    broken_no_root: "no such folder",
    broken_root_is_a_file: "is a file; give the folder",
    broken_no_class: "it needs one for each class",
    broken_empty_class: "no image in .*owl; fill or remove that class",
    broken_class_of_other_files: "no image in .*owl",
    broken_val_without_train: "has val/ but no train/",
    broken_two_names_for_a_split: "val/ and valid/ are both val; keep one",
    broken_class_that_training_has_not: r"val/owl is not a class in training \(classes: cat, dog\)",
    broken_train_without_classes: "no folders in .*train",
    broken_class_name: r"the class .*caf\\xe9 has a name that cannot be printed",
}


@pytest.mark.parametrize("build", BROKEN, ids=lambda build: build.__name__)
def test_broken_layouts_are_one_line(tmp_path, build):
    build(tmp_path / "photos")
    with pytest.raises(UserError, match=BROKEN[build]) as caught:
        read_layout(tmp_path / "photos")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_listed(tmp_path):
    write_good(tmp_path)
    (tmp_path / "cat").chmod(0)
    with pytest.raises(UserError, match=r"cannot be listed \(Permission denied\)"):
        read_layout(tmp_path)
    (tmp_path / "cat").chmod(0o755)


def test_accents_composed_or_not_are_the_same_class(tmp_path):
    write_good(tmp_path / "train", ("caf\u00e9", "tea"), count=1)
    write_good(tmp_path / "val", ("cafe\u0301", "tea"), count=1)
    layout = read_layout(tmp_path)
    assert layout.classes == ("caf\u00e9", "tea")
    assert [label for _, label in labelled(layout, "val")] == [0, 1]


def test_of_two_forms_in_training_each_is_its_own_class_and_a_third_is_refused(tmp_path):
    forms = ("\u1e69a", "s\u0323\u0307a", "s\u0307\u0323a")  # one letter with two dots, three ways to write it
    write_good(tmp_path / "train", forms[:2], count=1)
    assert len(read_layout(tmp_path).classes) == 2
    write_good(tmp_path / "val", forms[2:], count=1)
    with pytest.raises(UserError, match="is not a class in training; it has"):
        read_layout(tmp_path)


def test_a_class_that_differs_in_its_case_is_named(tmp_path):
    write_good(tmp_path / "train", ("Cat", "dog"), count=1)
    write_good(tmp_path / "val", ("cat",), count=1)
    with pytest.raises(UserError, match=r"val/cat is not a class in training; it has Cat \(classes: Cat, dog\)"):
        read_layout(tmp_path)


def test_links_that_lead_everywhere_end(tmp_path):
    write_good(tmp_path, count=1)
    places = [tmp_path / "cat" / f"place{number}" for number in range(12)]
    for place in places:
        place.mkdir()
    for place in places:
        for other in (*places, tmp_path, tmp_path / "dog"):
            (place / f"to_{other.name}").symlink_to(other)
    (tmp_path / "cat" / "self.png").symlink_to("self.png")
    (tmp_path / "self").symlink_to("self")
    layout = read_layout(tmp_path)
    assert layout.classes == ("cat", "dog")
    found = [file for file, label in labelled(layout, WHOLE) if label == 0]
    assert len(found) == 3  # its own, the dog's through the first link, and the link to itself
    assert {finding.what for finding in scan(tmp_path).findings} >= {"unreadable", "link that leads back"}


def test_a_loose_image_is_a_group_by_itself(tmp_path):
    for path in ("train/cat/1.png", "train/dog/1.png", "val/cat/1.png", "train/cat/anna/1.png", "train/dog/anna/2.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "val/dog").mkdir()
    (tmp_path / "val/dog/3.png").touch()
    layout = read_layout(tmp_path, "folder")
    require_whole_groups(layout, "data.groups=folder")
    groups = [file.group for files in layout.files.values() for file in files]
    assert len(set(groups)) == 5
    assert groups.count("anna") == 2
