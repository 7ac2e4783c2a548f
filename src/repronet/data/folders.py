"""The layout of a folder of images: the split and class of each file, found without opening any.

Either ``root/train/<class>/…`` with optional ``root/val/…`` and ``root/test/…``, or ``root/<class>/…`` alone. Images
may be in subfolders of their class folder. The classes are those of training, in alphabetical order, also for
validation and test. Hidden files and folders are ignored.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from unicodedata import normalize

from repronet.errors import UserError, nearest

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"}
    | {".pbm", ".pgm", ".ppm", ".pnm", ".jp2", ".j2k", ".avif"}
)

ARCHIVES = frozenset({".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar"})

SPLIT_NAMES = {  # names of folders, and values in a table's column
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
SPLITS = tuple(SPLIT_NAMES)
SHOWN = 8  # names in an error message
WHOLE = "all"  # the one split of a folder that holds its classes directly


class ImageFile(Protocol):
    """An image file, by itself or inside another file; ``str`` gives the name to show to a person."""

    def read_bytes(self) -> bytes: ...


@dataclass(frozen=True)
class LabelledFile:
    """An image file, its class number (or a zero or one per class if it may have several), and its group."""

    path: Any  # an ImageFile; for folders and tables a Path
    label: int | tuple[int, ...]
    group: str | None = None


@dataclass(frozen=True)
class Layout:
    """The content of a folder."""

    root: Path
    classes: tuple[str, ...]
    files: dict[str, list[LabelledFile]]  # by split: train and possibly val and test, or all
    others: list[Path] = field(default_factory=list)  # files in a class that are not hidden and not named like images
    notes: list[str] = field(default_factory=list)  # messages on how it was read


# The group of an image, from its path below its class folder; "": the image is a group by itself.
GROUPS: dict[str, Callable[[Path], str]] = {
    "folder": lambda path: path.parent.as_posix() if len(path.parts) > 1 else "",
    "prefix": lambda path: re.split(r"[_-]", path.stem, maxsplit=1)[0],
}


def read_layout(root: Path, groups: str | None = None) -> Layout:
    """Find the splits, classes and files below ``root``.

    Args:
        groups: a key of :data:`GROUPS`; None: no groups.

    Raises:
        UserError: if there is no such folder, fewer than two classes, a class without an image in training, two
            folders for one split, or a class in another split that training lacks.
    """
    folders = split_folders(root)
    source = folders.get("train", root)
    classes = tuple(folder.name for folder in class_folders(source))
    refuse_too_few(classes, root, source)
    labels = {name: label for label, name in enumerate(classes)}
    files: dict[str, list[LabelledFile]] = {split: [] for split in folders}
    others = []
    for split, folder in folders.items():
        for place in class_folders(folder):
            name = class_named(place.name, classes)
            if name is None:
                twin = next((f"; it has {other}" for other in classes if looks(other) == looks(place.name)), "")
                raise UserError(
                    f"data.root={shown(root)}: {folder.name}/{place.name} is not a class in training{twin} "
                    f"(classes: {', '.join(classes[:SHOWN])}{' …' if len(classes) > SHOWN else ''})"
                )
            for file in files_below(place):
                if named_like_image(file):
                    group = GROUPS[groups](file.relative_to(place)) or str(file) if groups else None
                    files[split].append(LabelledFile(file, labels[name], group))
                else:
                    others.append(file)
    training = files.get("train", files.get(WHOLE, []))
    used = {file.label for file in training}
    empty = [name for label, name in enumerate(classes) if label not in used]
    if empty:
        raise UserError(f"data.root={shown(root)}: no image in {shown(source / empty[0])}; fill or remove that class")
    return Layout(root, classes, files, others)


def shown(path: Path) -> str:
    """The path as printable text: bytes that are not UTF-8 appear as \\xNN."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def classes_in(files: Iterable[LabelledFile]) -> set[int]:
    """The numbers of all classes that occur in ``files``."""
    found: set[int] = set()
    for label in {file.label for file in files}:
        found |= {label} if isinstance(label, int) else {number for number, bit in enumerate(label) if bit}
    return found


def refuse_untrained(files: Mapping[str, Sequence[LabelledFile]], classes: Sequence[str], said: str) -> None:
    """Raises: UserError, if a class has no existing training image; ``said`` names the data."""
    training = classes_in(files.get("train", files.get(WHOLE, [])))
    absent = [name for number, name in enumerate(classes) if number not in training]
    if absent and any(files.values()):
        raise UserError(f"{said}: no image of {absent[0]} in training; add some, or leave that class out")


def require_whole_groups(layout: Layout, key: str) -> None:
    """Check the groups, and add a note on their number and the largest one.

    Raises:
        UserError: if a group is in two splits, or each class is one group.
    """
    _refuse_groups_that_are_classes(layout, key)
    place: dict[str, str] = {}
    for split, files in layout.files.items():
        for group in {file.group for file in files if file.group is not None}:
            if group in place:
                raise UserError(f"{key}: {group} is in {place[group]} and {split}; keep it in one split")
            place[group] = split
    sizes = Counter(file.group for files in layout.files.values() for file in files if file.group is not None)
    if sizes:
        (largest, size), total = sizes.most_common(1)[0], sizes.total()
        of_one = f"; the largest, {largest}, has {size:,} of {total:,} images" if size > 1 else ", of one image each"
        layout.notes.append(f"{key}: {len(sizes):,} groups{of_one}")


def _refuse_groups_that_are_classes(layout: Layout, key: str) -> None:
    of_class: dict[Any, set[str]] = {}
    files = [file for file in layout.files.get("train", layout.files.get(WHOLE, [])) if file.group is not None]
    for file in files:
        of_class.setdefault(file.label, set()).add(str(file.group))
    if len(files) > len(of_class) and all(len(groups) == 1 for groups in of_class.values()):
        group, name = files[0].group, layout.classes[min(classes_in(files[:1]), default=0)]
        raise UserError(f"{key}: each class is one group ({name}: {group}), so no class can be split; leave it out")


def too_many(count: int, total: int, limit: float | int) -> bool:
    """Whether ``count`` of ``total`` is more than ``limit``, a number or a share."""
    return count > (limit if isinstance(limit, int) else limit * total)


def class_named(name: str, classes: Sequence[str]) -> str | None:
    """The one of ``classes`` that equals ``name``, whether a system composes its accents or not; or None."""
    if name in classes:
        return name
    same = [known for known in classes if normalize("NFC", known) == normalize("NFC", name)]
    return same[0] if len(same) == 1 else None


def chosen_classes(names: Iterable[Any], classes: Sequence[str], key: str = "data.classes") -> list[str]:
    """The members of ``classes`` given by ``names``, the value of the config key ``key``.

    Raises:
        UserError: for a name that is not a class.
    """
    found = {str(name): class_named(str(name), classes) for name in names}
    unknown = next((name for name, known in found.items() if known is None), None)
    if unknown is not None:
        some = f"{', '.join(classes[:SHOWN])}{' …' if len(classes) > SHOWN else ''}"
        raise UserError(f"{key}={list(found)}: no class {unknown}{nearest(unknown, classes)} (classes: {some})")
    return [name for name in found.values() if name is not None]


def looks(name: str) -> str:
    """A form equal for names that look alike to a person: Cat and cat, accents composed or not, extra spaces."""
    return " ".join(normalize("NFKC", name).casefold().split())


def refuse_too_few(classes: Sequence[str], root: Path, folder: Path, least: int = 2) -> None:
    """Raises: UserError, if ``folder`` has fewer than ``least`` class folders."""
    wanted = "it needs one for each class, <class>/<image>"
    if not classes:
        packed = next((file for file in sorted(folder.iterdir()) if file.suffix.lower() in ARCHIVES), None)
        hint = f"; unpack {packed.name}?" if packed else ""
        if any(file.suffix.lower() in SUFFIXES for file in folder.iterdir()):
            hint = f"; it holds images itself: is {folder.absolute().parent.name} the folder to give?"
        raise UserError(f"data.root={shown(root)}: no folders in {shown(folder)}; {wanted}{hint}")
    if len(classes) < least:
        raise UserError(f"data.root={shown(root)}: {classes[0]} is the only folder in {shown(folder)}; {wanted}")


def split_folders(root: Path) -> dict[str, Path]:
    """The folder of each split; without split folders, ``all`` is the root itself.

    Raises:
        UserError: if ``root`` is not a folder, a split has two folders, or there is val or test without train.
    """
    if not root.is_dir():
        packed = "an archive; unpack it and" if root.suffix.lower() in ARCHIVES else "a file;"
        kind = f"is {packed} give the folder" if root.exists() else "no such folder"
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
    """The class folders in ``folder``, in alphabetical order, without hidden ones.

    Raises:
        UserError: if the folder cannot be listed, or a class's name cannot be printed.
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
    """Whether a file or folder is one that systems and tools create: .DS_Store, .git, __MACOSX, Thumbs.db."""
    return path.name.startswith(".") or path.name in ("__MACOSX", "Thumbs.db", "desktop.ini")


def leads_back(path: Path) -> bool:
    """Whether a folder is a link to one of its parent folders: following it would never end."""
    return path.is_symlink() and path.parent.resolve().is_relative_to(path.resolve())


def files_below(folder: Path) -> Iterator[Path]:
    """Yield every file below ``folder`` that is not hidden, in a fixed order; links that lead back are not followed.

    Raises:
        UserError: if a folder cannot be listed.
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


def named_like_image(path: Path) -> bool:
    """Whether the file's suffix is that of an image format."""
    return path.suffix.lower() in SUFFIXES
