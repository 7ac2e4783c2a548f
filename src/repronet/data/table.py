"""``data=table``: images and their labels in a CSV or Parquet table with one row per image.

The header names the columns, whose roles are found by the usual names or given. An image has one label, or several: in
one cell with separators, or as zeros and ones in one column per class. Needs no torch.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from repronet.data.folders import (
    SPLIT_NAMES,
    WHOLE,
    LabelledFile,
    Layout,
    named_like_image,
    refuse_untrained,
    shown,
    too_many,
)
from repronet.data.lists import located, text_in
from repronet.errors import UserError, nearest

# Usual names of columns, the likeliest first.
USUAL = {
    "image": ["image", "file", "filename", "file_name", "path", "image_path", "file_path", "picture", "img"],
    "label": ["label", "labels", "class", "category", "target", "diagnosis", "tags"],
    "split": ["split", "subset", "partition"],
}
LIKE_GROUPS = ["patient", "patient_id", "person", "subject", "subject_id", "group", "site"]
SPLIT_OF = {name: split for split, names in SPLIT_NAMES.items() for name in names}
OTHERS = frozenset({".xlsx", ".xls", ".ods", ".json", ".jsonl", ".feather", ".arrow", ".db", ".sqlite"})  # tables
SHOWN = 3  # examples in an error message
SAFE_ARROW = 15  # major version; earlier releases may unpickle data of a file (CVE-2023-47248)
Row = dict[str, str]


@dataclass(frozen=True)
class Columns:
    """The roles of a table's columns; the first three, if None, are found by their :data:`USUAL` names."""

    image: str | None = None  # the image file, relative to the folder of images or as an absolute path
    label: str | None = None  # the label
    split: str | None = None  # train, val or test
    group: str | None = None  # the group, such as a person; images of one group stay on one side of every cut
    separator: str | None = None  # separates several labels in one cell; an empty cell has no label
    labels: tuple[str, ...] = ()  # instead of a label column: columns of zeros and ones, one per class

    @classmethod
    def named_by(cls, keys: Mapping[str, Any]) -> Columns:
        """The columns that the keys of ``data=table`` name."""
        single = {role: keys[f"{role}_column"] for role in ("image", "label", "split", "group")}
        return cls(**single, separator=keys["label_separator"], labels=tuple(keys["label_columns"] or ()))


def paths_of(keys: Mapping[str, Any]) -> tuple[Path | None, Path | None]:
    """The table and the folder of its images from the keys of ``data=table``. The folder defaults to that of
    the table; what is not given is None.
    """
    file, root = (None if keys[key] is None else Path(keys[key]).expanduser() for key in ("file", "root"))
    return file, root or (file and file.parent)


def read_table(file: Path | None, root: Path | None, columns: Columns, max_skipped: float | int | None) -> Layout:
    """Read the classes and files that a table names, by split.

    Args:
        root: the folder of the images; None: the folder of the table.
        max_skipped: how many images may be missing, a share or a number; None: none.

    Raises:
        UserError: if the file is not a table, a column is not in it, a row is invalid, or more images are missing
            than allowed.
    """
    if file is None:
        raise UserError("data=table: data.file must name the table of images and labels, .csv or .parquet")
    if root is not None and not root.is_dir():
        raise UserError(f"data.root={shown(root)}: no such folder; give that of the images in data.file")
    rows, root = _rows(file), (root or file.parent).absolute()
    columns, notes = _settled(columns, rows, file)
    assert columns.image is not None
    names = _filled(rows, columns.image, "data.image_column", file)
    _refuse_twins(names, file)
    labels, classes = _labels(rows, columns, file)
    groups = _filled(rows, columns.group, "data.group_column", file) if columns.group else [None] * len(rows)
    splits = _splits(rows, columns.split, file) if columns.split else [WHOLE] * len(rows)
    files: dict[str, list[LabelledFile]] = {split: [] for split in dict.fromkeys(splits)}
    missing = []
    # In the order of their names, so that splits and cached images do not depend on how a table is sorted.
    for name, label, group, split in sorted(zip(names, labels, groups, splits, strict=True), key=itemgetter(0)):
        path = located(root, name)
        if os.path.isfile(path):  # noqa: PTH113  # Path.is_file() fails for names that are too long
            files[split].append(LabelledFile(path, label, group))
        else:
            missing.append(path)
    if missing:
        notes.append(f"left out: {_missing(missing, len(rows), max_skipped, file)}")
    refuse_untrained(files, classes, f"data.file={shown(file)}")
    return Layout(root, classes, files, notes=notes)


def _missing(paths: Sequence[Path], total: int, max_skipped: float | int | None, file: Path) -> str:
    """A message on missing images, raised as an error if there are too many."""
    examples = ", ".join(map(shown, paths[:SHOWN]))
    said = f"{len(paths):,} of {total:,} images are not there, {examples} for instance"
    if max_skipped is None:
        hint = "data.root= is their folder" + (", data.on_error=skip leaves some out" if len(paths) < total else "")
        raise UserError(f"data.file={shown(file)}: {said}; {hint}")
    if too_many(len(paths), total, max_skipped):
        raise UserError(f"data.max_skipped={max_skipped}: {said}")
    return said


def _rows(file: Path) -> list[Row]:
    """Read the rows of a table, each as a mapping from column names to cells."""
    if not file.is_file():
        raise UserError(f"data.file={shown(file)}: no such file; give the table of images and labels")
    if file.suffix.lower() in OTHERS:
        raise UserError(f"data.file={shown(file)}: must be .csv or .parquet; save the table as one of these")
    rows = _of_parquet(file) if file.suffix.lower() in (".parquet", ".pq") else _of_csv(file)
    if not rows:
        raise UserError(f"data.file={shown(file)}: has no row; it needs a header and one row per image")
    return rows


def _of_csv(file: Path) -> list[Row]:
    text = text_in(file)
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(line)]
    except csv.Error as error:
        raise UserError(f"data.file={shown(file)}: cannot be read as CSV ({error})") from error
    header = [name.strip() for name in lines[0]] if lines else []
    if any(named_like_image(Path(name)) for name in header):
        raise UserError(f"data.file={shown(file)}: begins with {first.strip()}; the first line must name the columns")
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise UserError(f"data.file={shown(file)}: two columns are called {twice[0] or 'nothing'}; rename one")
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(header):
            raise UserError(f"data.file={shown(file)}: row {number} has {len(line)} cells, the header {len(header)}")
    return [dict(zip(header, (cell.strip() for cell in line), strict=True)) for line in lines[1:]]


def _of_parquet(file: Path) -> list[Row]:
    try:
        import pyarrow  # type: ignore[import-not-found]
        from pyarrow import ArrowException, parquet  # type: ignore[import-not-found]
    except ImportError as error:
        raise UserError(f"data.file={shown(file)}: the package pyarrow is missing; pip install pyarrow") from error
    if int(pyarrow.__version__.partition(".")[0]) < SAFE_ARROW:
        raise UserError(f"data.file={shown(file)}: pyarrow {pyarrow.__version__} may run code of a file; update it")
    try:
        columns: dict[str, list[Any]] = parquet.read_table(file).to_pydict()
    except (ArrowException, OSError) as error:
        raise UserError(f"data.file={shown(file)}: cannot be read as Parquet") from error
    cells = [["" if cell is None else str(cell) for cell in column] for column in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*cells, strict=True)]


def _settled(columns: Columns, rows: Sequence[Row], file: Path) -> tuple[Columns, list[str]]:
    """The columns by name, with those not given found by their usual names; and notes on the choice."""
    header = list(rows[0])
    named = {"image_column": columns.image, "label_column": columns.label, "split_column": columns.split}
    named |= {"group_column": columns.group, **{f"label_columns {name}": name for name in columns.labels}}
    for key, name in named.items():
        if name is not None and name not in header:
            there = f"the columns are {', '.join(header)}{nearest(name, header)}"
            raise UserError(f"data.{key.split()[0]}={name}: not in {shown(file)}; {there}")
    by_name = {name.casefold().replace(" ", "_"): name for name in header}
    found = {role: next((by_name[u] for u in usual if u in by_name), None) for role, usual in USUAL.items()}
    if found["split"] and not all(row[found["split"]].casefold() in SPLIT_OF for row in rows):
        found["split"] = None  # the name is usual, but the column means something else
    image, split = columns.image or found["image"], columns.split or found["split"]
    label = None if columns.labels else columns.label or found["label"]
    for role, name in (("image", image), ("label", label or columns.labels)):
        if not name:
            keys = "data.label_column= (or label_columns=[a,b])" if role == "label" else "data.image_column="
            raise UserError(
                f"data.file={shown(file)}: no {role} column found; set {keys} to one of {', '.join(header)}"
            )
    group = next((by_name[name] for name in LIKE_GROUPS if name in by_name), None)
    said = {"images": image, "labels": label or f"{len(columns.labels)} columns", "splits": split}
    notes = [f"{file.name}: {', '.join(f'{what} in {name}' for what, name in said.items() if name)}"]
    if group and columns.group is None:
        notes.append(f"{file.name}: data.group_column={group} would keep each {group} on one side of every split")
    return Columns(image, label, split, columns.group, columns.separator, columns.labels), notes


def _filled(rows: Sequence[Row], column: str, key: str, file: Path) -> list[str]:
    """The cells of a column, none of which may be empty."""
    empty = [number for number, row in enumerate(rows, start=2) if not row[column]]
    if empty:
        examples = ", ".join(map(str, empty[:SHOWN]))
        raise UserError(f"{key}={column}: empty in {len(empty):,} rows of {shown(file)}, {examples} for instance")
    return [row[column] for row in rows]


def _labels(rows: Sequence[Row], columns: Columns, file: Path) -> tuple[list[int | tuple[int, ...]], tuple[str, ...]]:
    """The label of each row (or a zero or one per class, if it may have several), and the classes."""
    if columns.labels:
        return [tuple(_bit(row, name, file) for name in columns.labels) for row in rows], columns.labels
    assert columns.label is not None
    if columns.separator is not None:
        sets = [{part.strip() for part in row[columns.label].split(columns.separator)} - {""} for row in rows]
        classes = _ordered(set().union(*sets), columns.label, file)
        return [tuple(int(name in those) for name in classes) for those in sets], classes
    cells = _filled(rows, columns.label, "data.label_column", file)
    classes = _ordered(set(cells), columns.label, file)
    number = {name: label for label, name in enumerate(classes)}
    return [number[cell] for cell in cells], classes


def _bit(row: Mapping[str, str], column: str, file: Path) -> int:
    found = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}.get(row[column].casefold())
    if found is None:
        raise UserError(
            f"data.label_columns: {column} in {shown(file)} has {row[column] or 'an empty cell'}; not 0 or 1"
        )
    return found


def _ordered(names: set[str], column: str, file: Path) -> tuple[str, ...]:
    """Check the class names and sort them by :func:`in_order`."""
    if len(names) < 2:
        only = f"has {next(iter(names))} alone" if names else "is empty"
        raise UserError(f"data.label_column={column}: {only} in {shown(file)}; there must be two classes or more")
    strange = next((name for name in sorted(names) if not name.isprintable()), None)
    if strange is not None:
        raise UserError(f"data.label_column={column}: {strange!r} in {shown(file)} cannot be printed; is it UTF-8?")
    return in_order(names)


def in_order(names: set[str]) -> tuple[str, ...]:
    """Sort class names: by value if all are numbers, otherwise alphabetically."""
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))  # 1 and 01 always in the same order
    return tuple(sorted(names))


def numbered_labels(
    values: Sequence[Any], classes: tuple[str, ...] | None, said: str
) -> tuple[list[int | tuple[int, ...]], tuple[str, ...]]:
    """The label of each value (a word or number; for lists of them, a zero or one per class), and the classes.

    Args:
        classes: the class names, which numbers index from 0; None: the values are the names.
        said: the command-line argument that names the data, for messages.

    Raises:
        UserError: for a missing value or one that is not a class, or fewer than two classes.
    """
    missing = next((row for row, value in enumerate(values) if value is None), None)
    if missing is not None:
        raise UserError(f"{said}: image {missing}, counted from 0, has no label")
    several = any(isinstance(value, list) for value in values)
    sets = [[str(one) for one in (value if isinstance(value, list) else [value])] for value in values]
    found = {one for some in sets for one in some}
    numbers = {str(number): number for number in range(len(classes or ()))}
    if classes is None or not found <= numbers.keys():
        unknown = found - set(classes or found)
        if unknown:
            raise UserError(f"{said}: label {min(unknown)} is none of the {len(classes or ())} classes")
        classes = classes or in_order(found)
        numbers = {name: number for number, name in enumerate(classes)}
    if len(classes) < 2:
        raise UserError(f"{said}: has the class {classes[0] if classes else '(none)'} alone; there must be two or more")
    if several:
        rows = [{numbers[one] for one in some} for some in sets]
        return [tuple(int(number in row) for number in range(len(classes))) for row in rows], classes
    return [numbers[some[0]] for some in sets], classes


def _splits(rows: Sequence[Row], column: str, file: Path) -> list[str]:
    """The split of each row."""
    strange = next((row[column] for row in rows if row[column].casefold() not in SPLIT_OF), None)
    if strange is not None:
        raise UserError(f"data.split_column={column}: has {strange or 'an empty cell'}; must be train, val or test")
    found = [SPLIT_OF[row[column].casefold()] for row in rows]
    if "train" not in found:
        raise UserError(f"data.split_column={column}: no row of {shown(file)} is of train")
    return found


def _refuse_twins(names: Sequence[str], file: Path) -> None:
    """Raises: UserError, if an image has two rows, which may contradict each other or be in two splits."""
    name, count = Counter(map(os.path.normpath, names)).most_common(1)[0]  # a.png and ./a.png are the same file
    if count > 1:
        several = "several labels: data.label_separator= for one cell, data.label_columns= for columns"
        raise UserError(f"data.file={shown(file)}: {name} has {count} rows; use one row per image ({several})")
