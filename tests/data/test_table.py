"""Images and labels in a table: what is found in it, what is refused, and which images a cut keeps together."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from repronet.data.cuts import Cut
from repronet.data.folders import Layout
from repronet.data.image_folder import Reading, image_folder, image_table
from repronet.data.table import Columns, numbered_labels, read_table
from repronet.errors import UserError

CUT = Cut(val=0.2, test=0.2, seed=0)


def draw(file: Path, number: int) -> None:
    """An image of its own colours, 12×16."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)


def table(folder: Path, header: str, *rows: str, count: int = 0, name: str = "labels.csv") -> Path:
    """A table beside ``count`` images called 0.png, 1.png …"""
    for number in range(count):
        draw(folder / f"{number}.png", number)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return folder / name


def read(file: Path, **columns) -> Layout:
    return read_table(file, None, Columns(**columns), None)


@pytest.fixture
def reading(tmp_path):
    return Reading(short_side=8, memory=1.0, cache=tmp_path / "cache")


def test_columns_are_found_by_their_usual_names_and_said_in_one_line(tmp_path):
    file = table(tmp_path, "id;Filename;Class;split", "7;0.png;dog;train", "8;1.png;cat;Training", "9;2.png;cat;Valid")
    for number in range(3):
        draw(tmp_path / f"{number}.png", number)
    layout = read(file)
    assert layout.notes == ["labels.csv: images in Filename, labels in Class, splits in split"]
    assert layout.classes == ("cat", "dog")
    assert {s: [(f.path.name, f.label) for f in files] for s, files in layout.files.items()} == {
        "train": [("0.png", 1), ("1.png", 0)],
        "val": [("2.png", 0)],
    }


def test_named_columns_win_and_a_column_of_persons_is_pointed_at(tmp_path):
    file = table(tmp_path, "image,label,age group,patient", "0.png,a,old,7", "1.png,b,young,8", count=2)
    layout = read(file, label="age group")
    assert layout.classes == ("old", "young")
    assert "data.group_column=patient would keep each patient on one side" in layout.notes[1]
    assert [f.group for f in read(file, group="patient").files["all"]] == ["7", "8"]


def test_numbers_are_ordered_as_numbers(tmp_path):
    rows = [f"{number}.png,{label}" for number, label in enumerate((10, 9, 2))]
    assert read(table(tmp_path, "image,label", *rows, count=3)).classes == ("2", "9", "10")


def test_a_missing_label_is_no_class():
    with pytest.raises(UserError, match=r"data\.hub=x: image 1, counted from 0, has no label"):
        numbered_labels(["a", None, "b"], None, "data.hub=x")


def test_tables_of_any_editor_are_read(tmp_path):
    content = 'file\tlabel\r\n"0.png"\tcat, old\r\n1.png\tdog\r\n\r\n'
    for number in range(2):
        draw(tmp_path / f"{number}.png", number)
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "labels.tsv").write_bytes(content.encode(encoding))
        layout = read(tmp_path / "labels.tsv")
        assert layout.classes == ("cat, old", "dog")
        assert len(layout.files["all"]) == 2


def test_parquet_is_read_as_the_same_table(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    csv = table(tmp_path, "image,label", "0.png,1", "1.png,0", count=2)
    parquet.write_table(pyarrow.table({"image": ["0.png", "1.png"], "label": [1, 0]}), tmp_path / "labels.parquet")
    one, other = read(tmp_path / "labels.parquet"), read(csv)
    assert (one.classes, one.files) == (other.classes, other.files)


def test_several_labels_stand_in_one_cell_or_in_columns_of_their_own(tmp_path):
    cells = table(tmp_path, "image,tags", "0.png,red; round", "1.png,", "2.png,round", count=3)
    columns = table(tmp_path, "image,red,round", "0.png,1,1", "1.png,0,0", "2.png,0,1.0", name="columns.csv")
    one, other = read(cells, separator=";"), read(columns, labels=("red", "round"))
    assert one.classes == other.classes == ("red", "round")
    assert one.files == other.files
    assert [file.label for file in one.files["all"]] == [(1, 1), (0, 0), (0, 1)]


REFUSED = {
    "image,label\n0.png,a\n": r"has a alone in .*labels.csv; there must be two classes",
    "image,label\n": r"has no row; it needs a header",
    "": r"has no row; it needs a header",
    "0.png,a\n1.png,b\n": r"begins with 0.png,a; the first line must name the columns",
    "image,label\n0.png,a,x\n": r"row 2 has 3 cells, the header 2",
    "image,label,label\n0.png,a,x\n": r"two columns are called label; rename one",
    "x,label\n0.png,a\n": r"no image column found; set data.image_column= to one of x, label",
    "image,x\n0.png,a\n": r"no label column found; set data.label_column= \(or label_columns=\[a,b\]\) to one",
    "image,label\n0.png,a\n1.png,\n": r"label: empty in 1 rows of .*labels.csv, 3 for instance",
    "image,label\n0.png,a\n,b\n": r"data.image_column=image: empty in 1 rows",
    "image,label\n0.png,a\n0.png,b\n": r"0.png has 2 rows; use one row per image",
    "image,label,split\n0.png,a,test\n1.png,b,val\n": r"data.split_column=split: no row of .*labels.csv is of train",
    "image,label,split\n0.png,a,train\n1.png,b,test\n": r"no image of b in training",
}


@pytest.mark.parametrize("content", REFUSED, ids=lambda content: content.replace("\n", "|")[:40])
def test_what_cannot_be_meant_is_one_line(tmp_path, content):
    for number in range(2):
        draw(tmp_path / f"{number}.png", number)
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(UserError, match=REFUSED[content]) as caught:
        read(tmp_path / "labels.csv")
    assert "\n" not in str(caught.value)


def test_columns_that_are_not_there_or_hold_something_else_are_one_line(tmp_path):
    file = table(tmp_path, "image,label,set,odd", "0.png,a,7,2", "1.png,b,8,1", count=2)
    for columns, message in [
        ({"label": "lable"}, r"data.label_column=lable: not in .*; the columns are image, .*; nearest: label"),
        ({"labels": ("odd", "gone")}, r"data.label_columns=gone: not in"),
        ({"labels": ("odd", "set")}, r"data.label_columns: odd in .* has 2; not 0 or 1"),
        ({"split": "set"}, r"data.split_column=set: has 7; must be train, val or test"),
    ]:
        with pytest.raises(UserError, match=message):
            read(file, **columns)
    with pytest.raises(UserError, match=r"data.file=.*none.csv: no such file"):
        read(tmp_path / "none.csv")


def test_images_that_are_not_there_are_counted_before_any_is_read(tmp_path, reading, monkeypatch, caplog):
    monkeypatch.setattr("repronet.data.images.read_image", lambda *_: pytest.fail("decoded"))
    rows = [f"{number}.png,{'ab'[number % 2]}" for number in range(20)]
    file = table(tmp_path / "photos", "image,label", *rows, count=16)
    with pytest.raises(UserError, match=r"4 of 20 images are not there, .*16.png, .*18.png for instance; data.root="):
        image_table(file, Columns(), None, reading, CUT)
    with pytest.raises(UserError, match=r"data.max_skipped=0.1: 4 of 20 images are not there"):
        image_table(file, Columns(), None, Reading(8, 1.0, reading.cache, 0.1), CUT)
    monkeypatch.undo()
    with caplog.at_level(logging.INFO, "repronet"):
        data = image_table(file, Columns(), None, Reading(8, 1.0, reading.cache, 4), CUT)
    assert len(data.train) + len(data.val) + len(data.test) == 16
    assert "left out: 4 of 20 images are not there" in caplog.text


def test_images_may_lie_anywhere_and_are_the_ones_that_the_table_names(tmp_path, reading):
    rows = [f"{tmp_path / 'far' / f'{number}.png'},{'ab'[number % 2]}" for number in range(10)]
    for number in range(10):
        draw(tmp_path / "far" / f"{number}.png", number)
    data = image_table(table(tmp_path / "near", "image,label", *rows), Columns(), None, reading, CUT)
    there = image_folder_of(tmp_path / "far", tmp_path / "classes")
    folder = image_folder(there, reading, CUT)
    assert contents(data.train, data.val, data.test) == contents(folder.train, folder.val, folder.test)


def contents(*splits) -> set[tuple[bytes, int]]:
    """Every image with its label."""
    return {
        (split.image(row).contiguous().numpy().tobytes(), int(split.labels[row]))
        for split in splits
        for row in range(len(split))
    }


def test_how_a_table_is_sorted_changes_nothing(tmp_path, reading):
    rows = [f"{number}.png,{'ab'[number % 2]}" for number in range(10)]
    one = image_table(table(tmp_path, "image,label", *rows, count=10), Columns(), None, reading, CUT)
    other = image_table(table(tmp_path, "image,label", *rows[::-1], name="other.csv"), Columns(), None, reading, CUT)
    for split in ("train", "val", "test"):
        assert contents(getattr(one, split)) == contents(getattr(other, split))


def image_folder_of(flat: Path, root: Path) -> Path:
    """The same images in a folder a class, in the order of the table."""
    for number in range(10):
        place = root / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.png").write_bytes((flat / f"{number}.png").read_bytes())
    return root


def grouped(folder: Path) -> tuple[Path, list[str]]:
    """60 images of 12 persons, of very different number, in three classes."""
    rng = np.random.default_rng(3)
    persons = [f"p{person}" for person in rng.choice(12, 60, p=np.arange(1, 13) / 78)]
    rows = [f"{number:02}.png,{'abc'[number % 3]},{person}" for number, person in enumerate(persons)]
    for number in range(60):
        draw(folder / f"{number:02}.png", number)
    return table(folder, "image,label,person", *rows), persons


def people_in(split, persons) -> set[str]:
    return {persons[row] for row in split.index.tolist()}


def test_no_person_is_on_two_sides(tmp_path, reading):
    file, persons = grouped(tmp_path / "photos")
    data = image_table(file, Columns(group="person"), None, reading, CUT)
    sides = [people_in(split, persons) for split in (data.train, data.val, data.test)]
    assert set.union(*sides) == set(persons)
    assert len(set.union(*sides)) == sum(map(len, sides))  # nobody twice
    assert all(6 <= len(split) <= 18 for split in (data.val, data.test))  # a fifth of 60 is 12
    loose = image_table(file, Columns(), None, reading, CUT)
    assert people_in(loose.train, persons) & people_in(loose.test, persons)


@pytest.mark.parametrize("seed", range(6))
def test_a_person_of_most_images_stays_in_training(tmp_path, reading, seed):
    rows = [f"{number:02}.png,{'ab'[number % 2]},{max(number, 20)}" for number in range(30)]
    for number in range(30):
        draw(tmp_path / f"{number:02}.png", number)
    file = table(tmp_path, "image,label,person", *rows)
    data = image_table(file, Columns(group="person"), None, reading, Cut(0.1, 0.1, seed))
    assert (len(data.train), len(data.val), len(data.test)) == (
        pytest.approx(24, abs=2),
        *[pytest.approx(3, abs=1)] * 2,
    )


def test_of_two_groups_one_is_taken_however_large(tmp_path, reading):
    rows = [
        f"{number:02}.png,{'ab'[number % 2]},{number < 20},{'test' if number > 27 else 'train'}" for number in range(30)
    ]
    for number in range(30):
        draw(tmp_path / f"{number:02}.png", number)
    rows[28], rows[29] = "28.png,a,other,test", "29.png,b,other,test"
    file = table(tmp_path, "image,label,person,split", *rows)
    data = image_table(file, Columns(group="person"), None, reading, Cut(0.1, 0.1))
    assert (len(data.train), len(data.val)) == (20, 8)


@pytest.mark.parametrize("group", [None, "person"])
def test_folds_are_those_of_scikit_learn_and_test_every_image_once(tmp_path, reading, group):
    file, persons = grouped(tmp_path / "photos")
    labels = np.arange(60) % 3
    kinds = {None: StratifiedKFold, "person": StratifiedGroupKFold}
    groups = np.unique(persons, return_inverse=True)[1] if group else None
    parts = kinds[group](5, shuffle=True, random_state=7).split(labels, labels, groups)
    seen = []
    for fold, (_, rows) in enumerate(parts):
        cut = Cut(val=0.2, test=0.2, seed=7, folds=5, fold=fold)
        data = image_table(file, Columns(group=group), None, reading, cut)
        assert data.test.index.tolist() == rows.tolist()
        assert len(data.train) + len(data.val) + len(data.test) == 60
        if group:
            assert not people_in(data.test, persons) & (people_in(data.train, persons) | people_in(data.val, persons))
        seen += data.test.index.tolist()
    assert sorted(seen) == list(range(60))


def test_a_fold_validates_where_there_is_a_test_split(tmp_path, reading):
    rows = [f"{number}.png,{'ab'[number % 2]},{'test' if number < 4 else 'train'}" for number in range(24)]
    file = table(tmp_path, "image,label,split", *rows, count=24)
    data = image_table(file, Columns(), None, reading, Cut(0.2, 0.2, 0, folds=4, fold=1))
    assert (len(data.train), len(data.val), len(data.test)) == (15, 5, 4)
    all_three = table(tmp_path, "image,label,split", *rows, "24.png,a,val", name="three.csv")
    draw(tmp_path / "24.png", 24)
    with pytest.raises(UserError, match=r"data.folds=4: the data have validation and test of their own"):
        image_table(all_three, Columns(), None, reading, Cut(0.2, 0.2, 0, folds=4, fold=1))


def test_what_cannot_be_cut_is_one_line(tmp_path, reading):
    rows = [f"{number}.png,{'ab'[number % 2]},{'x' if number else 'y'},one" for number in range(6)]
    file = table(tmp_path, "image,label,split_of,person", *rows, count=6)
    with pytest.raises(UserError, match=r"each class is one group \(a: one\), so no class can be split"):
        image_table(file, Columns(group="person"), None, reading, CUT)
    with pytest.raises(UserError, match=r"cannot be cut into 5 parts: no class has 5 images"):
        image_table(file, Columns(), None, reading, Cut(0.2, 0.2, 0, folds=5, fold=0))
    with pytest.raises(UserError, match=r"into 3 parts: groups stay whole, and there are 2$"):
        image_table(file, Columns(group="split_of"), None, reading, Cut(0.2, 0.2, 0, folds=3, fold=2))
    divided = table(tmp_path, "image,label,split,person", "0.png,a,train,p", "1.png,b,train,q", "2.png,a,test,q")
    with pytest.raises(UserError, match=r"data.group_column=person: q is in train and test; keep it in one split"):
        image_table(divided, Columns(group="person"), None, reading, CUT)


@pytest.mark.parametrize("groups", ["folder", "prefix"])
def test_groups_of_a_folder_of_images(tmp_path, reading, groups, caplog):
    for number in range(40):
        person, name = f"p{number % 8}", f"{number}.png"
        place = f"{person}/{name}" if groups == "folder" else f"{person}_{name}"
        draw(tmp_path / "photos" / "ab"[number // 20] / place, number)
    with caplog.at_level(logging.INFO):
        data = image_folder(tmp_path / "photos", reading, CUT, groups)
    assert f"data.groups={groups}: 8 groups; the largest, p0, has 5 of 40 images" in caplog.text
    sides = [set(split.groups.tolist()) for split in (data.train, data.val, data.test)]
    assert set.union(*sides) == set(range(8))
    assert len(set.union(*sides)) == sum(map(len, sides))  # nobody twice


def test_numbers_of_the_same_value_have_always_the_same_order(tmp_path):
    names = ["01", "1", "001", "0001", "00001", "000001"]
    file = table(tmp_path, "image,label", *(f"{n}.png,{name}" for n, name in enumerate(names)), count=6)
    assert read(file).classes == tuple(sorted(names))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["0.png,a", '1.png,"b\x1b[31m"'], r"data.label_column=label: 'b\x1b[31m' in "),
        (["0.png,a", f"{'x' * 300}.png,b"], "1 of 2 images are not there"),
        (["0.png,a", "1.png,b", "./0.png,b"], "0.png has 2 rows"),
    ],
)
def test_names_that_nobody_can_have_meant_are_one_line(tmp_path, rows, message):
    with pytest.raises(UserError) as caught:
        read(table(tmp_path, "image,label", *rows, count=2))
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


def test_parquet_is_not_opened_by_a_release_that_may_run_its_code(tmp_path, monkeypatch):
    pyarrow = pytest.importorskip("pyarrow")
    monkeypatch.setattr(pyarrow, "__version__", "14.0.0")
    (tmp_path / "labels.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"pyarrow 14\.0\.0 may run code of a file; update it"):
        read(tmp_path / "labels.parquet")
