"""The layout of a folder of pictures: which file is in which split and class, found without opening any.

Either ``root/train/<class>/…`` with ``root/val/…`` and ``root/test/…`` where they exist, or ``root/<class>/…`` alone.
Pictures may lie deeper than one folder below their class. The classes are those of training, in alphabetical order;
they govern validation and test. Hidden files and folders are passed over.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

from repronet.data.reading import SUFFIXES, shown
from repronet.errors import UserError

SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
WHOLE = "all"  # the one split of a folder that holds its classes directly


@dataclass(frozen=True)
class LabelledFile:
    """A picture's file and the number of its class."""

    path: Path
    label: int


@dataclass(frozen=True)
class Layout:
    """What a folder holds."""

    root: Path
    classes: tuple[str, ...]
    files: dict[str, list[LabelledFile]]  # by split: train and maybe val and test, or all
    others: list[Path] = field(default_factory=list)  # not hidden, in a class, and not named like a picture


def read_layout(root: Path) -> Layout:
    """The splits, classes and files below ``root``.

    Raises:
        UserError: when there is no such folder, no class, no picture, a class without a picture in training, two
            folders for one split, or a class in another split that training has not.
    """
    folders = split_folders(root)
    source = folders.get("train", root)
    classes = tuple(folder.name for folder in class_folders(source))
    if not classes:
        raise UserError(no_classes(root, source))
    labels = {name: label for label, name in enumerate(classes)}
    files: dict[str, list[LabelledFile]] = {split: [] for split in folders}
    others = []
    for split, folder in folders.items():
        for place in class_folders(folder):
            name = class_named(place.name, classes)
            if name is None:
                twin = next((f"; it has {other}" for other in classes if looks(other) == looks(place.name)), "")
                raise UserError(
                    f"data.root={shown(root)}: {folder.name}/{place.name} is a class that training has not{twin} "
                    f"(classes: {', '.join(classes[:8])}{' …' if len(classes) > 8 else ''})"
                )
            for file in files_below(place):
                if named_like_picture(file):
                    files[split].append(LabelledFile(file, labels[name]))
                else:
                    others.append(file)
    training = files.get("train", files.get(WHOLE, []))
    used = {file.label for file in training}
    empty = [name for label, name in enumerate(classes) if label not in used]
    if empty:
        raise UserError(f"data.root={shown(root)}: no picture in {shown(source / empty[0])}; fill or remove that class")
    return Layout(root, classes, files, others)


def class_named(name: str, classes: Sequence[str]) -> str | None:
    """The one of ``classes`` that is ``name``, be its accents composed or not, as systems write them; or None."""
    if name in classes:
        return name
    same = [known for known in classes if normalize("NFC", known) == normalize("NFC", name)]
    return same[0] if len(same) == 1 else None


def looks(name: str) -> str:
    """The same for names that a person takes for one: Cat and cat, accents composed or not, spaces around."""
    return " ".join(normalize("NFKC", name).casefold().split())


def no_classes(root: Path, folder: Path) -> str:
    """What is said of a ``folder`` without folders in it."""
    return f"data.root={shown(root)}: no folders in {shown(folder)}; it needs one a class, <class>/<picture>"


def split_folders(root: Path) -> dict[str, Path]:
    """Where each split lies; ``all`` is the root itself when it has no folder for training.

    Raises:
        UserError: when ``root`` is no folder, a split has two folders, or there is val or test without train.
    """
    if not root.is_dir():
        kind = "is a file; give the folder" if root.exists() else "no such folder"
        raise UserError(f"data.root={shown(root)}: {kind}")
    found = {}
    for split, names in SPLIT_NAMES.items():
        here = [root / name for name in names if (root / name).is_dir()]
        if len(here) > 1:
            raise UserError(f"data.root={shown(root)}: {here[0].name}/ and {here[1].name}/ are both {split}; keep one")
        if here:
            found[split] = here[0]
    if found and "train" not in found:
        stray = next(iter(found.values())).name
        raise UserError(f"data.root={shown(root)}: has {stray}/ but no train/; add it, or have class folders alone")
    return found or {WHOLE: root}


def class_folders(folder: Path) -> list[Path]:
    """The folders of classes in ``folder``, in alphabetical order, hidden ones left out.

    Raises:
        UserError: when the folder cannot be listed, or a class's name is not UTF-8 and so could be written nowhere.
    """
    try:
        found = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not hidden(entry))
    except OSError as error:
        raise UserError(f"data.root={shown(folder)}: cannot be listed ({error.strerror})") from error
    for entry in found:
        if not entry.name.isprintable():
            raise UserError(f"data.root={shown(folder)}: the class {shown(entry)} has a name that cannot be printed")
    return found


def hidden(path: Path) -> bool:
    """Whether a file or folder is one that systems and tools leave: .DS_Store, .git, __MACOSX, Thumbs.db."""
    return path.name.startswith(".") or path.name in ("__MACOSX", "Thumbs.db", "desktop.ini")


def leads_back(path: Path) -> bool:
    """Whether a folder is a link to one that it lies in: following it would never end."""
    return path.is_symlink() and path.parent.resolve().is_relative_to(path.resolve())


def files_below(folder: Path) -> Iterator[Path]:
    """Every file below ``folder`` that is not hidden, in a fixed order; a link that leads back is not followed.

    Raises:
        UserError: when a folder cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise UserError(f"{shown(Path(error.filename))}: cannot be listed ({error.strerror})") from error

    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=refuse):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not (hidden(Path(name)) or leads_back(Path(place, name))))
        yield from (Path(place, name) for name in sorted(names) if not hidden(Path(name)))


def named_like_picture(path: Path) -> bool:
    """Whether the file's suffix is one that pictures have."""
    return path.suffix.lower() in SUFFIXES
