"""``data=huggingface``: images and labels through Hugging Face's package ``datasets``. Needs no torch.

The data are a folder written by ``Dataset.save_to_disk``, a folder of Parquet files, or a name on the Hub. They must
be Arrow or Parquet tables: a dataset that needs a script or any other reader is refused.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from repronet.data.folders import WHOLE, LabelledFile, Layout, refuse_untrained, shown
from repronet.data.table import SPLIT_OF, USUAL, numbered_labels
from repronet.errors import UserError, first_line, nearest

SAVED = ("dataset_dict.json", "state.json")  # files written by save_to_disk for several splits, and for one
READERS = ("Parquet", "Arrow")  # the package has others, and some of them unpickle
LEAST = 4  # major version; earlier releases run a dataset's own script


@dataclass(frozen=True)
class HubData:
    """The location of the data, and their columns."""

    root: Path | None = None  # a folder; or None
    hub: str | None = None  # a name on the Hub, ``user/name``; or None
    subset: str | None = None  # one of its configurations
    revision: str | None = None  # one of its branches, tags or commits
    # image, label: the columns; None: found by feature type and usual names
    image: str | None = None
    label: str | None = None

    @property
    def said(self) -> str:
        """The command-line argument that names the data, for messages."""
        return f"data.hub={self.hub}" if self.hub else f"data.root={shown(self.root)}" if self.root else "data"


class Cell:
    """An image in a row of a table."""

    def __init__(self, table: Any, column: str, row: int, name: str):
        self.table, self.column, self.row, self.name = table, column, row, name

    def read_bytes(self) -> bytes:
        cell = self.table[self.row][self.column]
        return cell["bytes"] if cell["bytes"] is not None else Path(cell["path"]).read_bytes()

    def __str__(self) -> str:
        return self.name


def require_hub_data(where: HubData) -> None:
    """Raises: UserError, if the location is not valid or the package ``datasets`` is missing; nothing is read."""
    if (where.root is None) == (where.hub is None):
        raise UserError("data=huggingface: give data.root=FOLDER (of save_to_disk) or data.hub=NAME, one of the two")
    if where.root is not None and not where.root.is_dir():
        raise UserError(f"{where.said}: no such folder (of save_to_disk, or of Parquet files)")
    if find_spec("datasets") is None:
        raise UserError("data=huggingface: the package datasets is missing; pip install datasets")


def read_hub(where: HubData) -> Layout:
    """Read the classes and images of a dataset, by split.

    Raises:
        UserError: if there is no such dataset, it is not a table of images and labels, or it has no training split.
    """
    require_hub_data(where)
    tables = _by_split(_tables(where), where)
    first = next(iter(tables.values()))
    image, label = _column(first, where, "image"), _column(first, where, "label")
    rows = [(split, row) for split, table in tables.items() for row in range(len(table))]
    values = [value for table in tables.values() for value in table[label]]
    classes = getattr(_inner(first.features[label]), "names", None)
    labels, classes = numbered_labels(values, None if classes is None else tuple(classes), where.said)
    files: dict[str, list[LabelledFile]] = {split: [] for split in tables}
    images = {split: _undecoded(table, image, where) for split, table in tables.items()}
    for (split, row), number in zip(rows, labels, strict=True):
        files[split].append(LabelledFile(Cell(images[split], image, row, f"{split}/{row}"), number))
    refuse_untrained(files, classes, where.said)
    notes = [f"huggingface: images in {image}, labels in {label}"]
    return Layout(where.root or Path(), classes, files, notes=notes)


def fingerprint(layout: Layout) -> str:
    """A hash of the content of all tables in a layout."""
    tables = {split: files[0].path.table for split, files in layout.files.items() if files}
    return "-".join(f"{split}-{table._fingerprint}" for split, table in sorted(tables.items()))


def _tables(where: HubData) -> dict[str, Any]:
    """Load the tables of a dataset, by the name of their split."""
    import datasets  # type: ignore[import-not-found]

    if int(datasets.__version__.partition(".")[0]) < LEAST:
        raise UserError(f"data=huggingface: datasets {datasets.__version__} may run a dataset's code; update it")
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    try:
        if where.root is not None and any((where.root / name).is_file() for name in SAVED):
            found = datasets.load_from_disk(str(where.root))
        else:
            named = where.hub or str(where.root)
            builder = datasets.load_dataset_builder(named, where.subset, revision=where.revision)
            if not any(kind.__name__ in READERS for kind in type(builder).__mro__):
                reader = type(builder).__name__
                raise UserError(f"{where.said}: is read by {reader}; it must be Parquet or Arrow tables")
            builder.download_and_prepare()
            found = builder.as_dataset()
    except UserError:
        raise
    except Exception as error:  # the package and its dependencies raise many kinds
        raise UserError(f"{where.said}: cannot be loaded ({type(error).__name__}: {first_line(error)})") from error
    return {str(split): table for split, table in found.items()} if isinstance(found, dict) else {WHOLE: found}


def _by_split(tables: dict[str, Any], where: HubData) -> dict[str, Any]:
    """The tables by train, val and test; a single other table is one whole set. Others are left out and logged."""
    named = {SPLIT_OF[name.casefold()]: table for name, table in tables.items() if name.casefold() in SPLIT_OF}
    if "train" in named:
        left = [name for name in tables if name.casefold() not in SPLIT_OF]
        if left:
            logging.getLogger("repronet.train").info("left out: %s, which is no split", ", ".join(left))
        return named
    if len(tables) == 1:
        return {WHOLE: next(iter(tables.values()))}
    raise UserError(f"{where.said}: none of its splits is train ({', '.join(tables)})")


def _column(table: Any, where: HubData, role: str) -> str:
    """The column of the images or labels: the configured one, or found by feature type or usual name."""
    said, names = getattr(where, role), list(table.features)
    if said is not None:
        if said not in names:
            raise UserError(f"data.{role}_column={said}: {where.said} has {', '.join(names)}{nearest(said, names)}")
        return said
    kind = {"image": "Image", "label": "ClassLabel"}[role]
    alike = [name for name in names if type(_inner(table.features[name])).__name__ == kind]
    usual = [name for name in USUAL[role] if name in (alike or names)]
    if len(alike) == 1 or usual:
        return (usual or alike)[0]
    raise UserError(f"{where.said}: {role} column unclear; set data.{role}_column= to one of {', '.join(names)}")


def _inner(feature: Any) -> Any:
    """The element type of a list feature; any other feature unchanged."""
    return getattr(feature, "feature", feature)


def _undecoded(table: Any, column: str, where: HubData) -> Any:
    """The table with images as undecoded file bytes, which are later decoded like the files of a folder."""
    import datasets  # type: ignore[import-not-found]

    if not isinstance(table.features[column], datasets.Image):
        raise UserError(f"{where.said}: data.image_column={column} holds no images, but {table.features[column]}")
    return table.select_columns([column]).cast_column(column, datasets.Image(decode=False)).with_format(None)
