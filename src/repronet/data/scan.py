"""Check a folder of images before training: every file is read, and every problem is reported.

A run reads with the same code (:mod:`repronet.data.reading`, :mod:`repronet.data.folders`) and stops at the first
error; the scan continues to the end.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from repronet.data.folders import (
    WHOLE,
    Layout,
    class_folders,
    class_named,
    classes_in,
    files_below,
    hidden,
    leads_back,
    looks,
    named_like_image,
    refuse_too_few,
    shown,
    split_folders,
)
from repronet.data.reading import ImageError, decode, progress

TINY = 8  # pixels: smaller images show nothing
SEVERAL = " + "  # separates the labels of an image
UNBALANCED = 20  # times as many images in the largest class as in the smallest


@dataclass(frozen=True)
class Finding:
    """A problem, or a fact worth knowing, that the scan found."""

    # "error": a run would stop at it or learn something wrong from it; "warning": probably a mistake; "note": only
    # worth knowing
    severity: str
    what: str  # the kind of finding, in a few words
    where: str  # the file or folder, below the root
    detail: str  # what it is, and what a run does with it
    sure: float | None = None  # the confidence, from 0 to 1; None if it was observed, not estimated


@dataclass(frozen=True)
class Examined:
    """The result of reading an image file, or of failing to."""

    path: Path
    split: str
    label: str  # with several labels, all of them
    labels: tuple[str, ...]
    digest: str = ""
    format: str = ""
    notes: tuple[str, ...] = ()
    size: tuple[int, int] = (0, 0)  # height and width
    error: ImageError | None = None


@dataclass(frozen=True)
class Report:
    """The content of a folder, and the findings, the worst first."""

    root: Path
    classes: tuple[str, ...]
    images: dict[str, dict[str, int]]  # by split and class, the number of readable images
    findings: tuple[Finding, ...]
    unreadable: tuple[Path, ...]  # the images that cannot be read
    several: dict[str, int] | None = None  # by split, the number of images, if each may have several labels

    def count(self, severity: str) -> int:
        """The number of findings of that severity."""
        return sum(finding.severity == severity for finding in self.findings)


def scan(root: Path) -> Report:
    """Scan the folder of images at ``root``.

    Raises:
        UserError: if there is no such folder or no class in it, so that there is nothing to scan.
    """
    folders = split_folders(root)
    training = folders.get("train", root)
    classes = tuple(folder.name for folder in class_folders(training))
    refuse_too_few(classes, root, training, least=1)
    findings, files = [], []
    if len(classes) == 1:
        findings.append(Finding("error", "a single class", classes[0], "a classifier needs two; a run stops"))
    for split, folder in folders.items():
        for place in class_folders(folder):
            here = list(files_below(place))
            files += [Examined(file, split, place.name, (place.name,)) for file in here if named_like_image(file)]
            findings += _strangers([file for file in here if not named_like_image(file)], root)
        findings += _beside(folder, root)
    if WHOLE not in folders:
        beside = (entry for entry in sorted(root.iterdir()) if entry not in folders.values() and not hidden(entry))
        findings += [Finding("warning", "outside the splits", _below(entry, root), "left out") for entry in beside]
    examined = _examined(files, root)
    images = {split: {place.name: 0 for place in class_folders(folder)} for split, folder in folders.items()}
    for file in examined:
        images[file.split][file.label] += file.error is None
    findings += _classes(images, classes, folders, root)
    return _report(root, classes, images, findings, examined)


def scan_table(layout: Layout) -> Report:
    """Scan the images that a table names; an image with several labels counts for each."""
    names, files = layout.classes, []
    for split, those in layout.files.items():
        for file in those:
            labels = tuple(names[number] for number in sorted(classes_in([file])))
            files.append(Examined(file.path, split, SEVERAL.join(labels) or "(none)", labels))
    examined = _examined(files, layout.root)
    read = [file for file in examined if file.error is None]
    counted = {
        split: Counter(name for file in read if file.split == split for name in file.labels) for split in layout.files
    }
    images = {split: {name: counts[name] for name in names if counts[name]} for split, counts in counted.items()}
    training = "train" if "train" in images else WHOLE
    findings = list(_sizes(images[training], lambda name: name, training))
    report = _report(layout.root, names, images, findings, examined)
    several = any(isinstance(file.label, tuple) for those in layout.files.values() for file in those)
    return replace(report, several=Counter(file.split for file in read)) if several else report


def _examined(files: list[Examined], root: Path) -> list[Examined]:
    with ThreadPoolExecutor() as pool:
        return list(progress(pool.map(lambda file: _examine(file, root), files), "reading", len(files)))


def _report(
    root: Path,
    classes: tuple[str, ...],
    images: dict[str, dict[str, int]],
    findings: list[Finding],
    examined: list[Examined],
) -> Report:
    """Make the report, with added findings on single files and on duplicates."""
    findings = [*findings, *_images(examined, root), *_duplicates(examined, root)]
    order = ("error", "warning", "note")
    findings.sort(key=lambda finding: (order.index(finding.severity), finding.what, finding.where))
    unreadable = tuple(file.path for file in examined if file.error is not None)
    return Report(root, classes, images, tuple(findings), unreadable)


def _examine(file: Examined, root: Path) -> Examined:
    name = _below(file.path, root)
    try:
        content = file.path.read_bytes()
        reading = decode(content, name)
    except ImageError as error:
        return replace(file, error=error)
    except OSError as error:
        return replace(file, error=ImageError(name, "unreadable", error.strerror or str(error)))
    digest = hashlib.sha256(content).hexdigest()
    height, width, _ = reading.pixels.shape
    return replace(file, digest=digest, format=reading.format, notes=reading.notes, size=(height, width))


def _below(path: Path, root: Path) -> str:
    return shown(path.relative_to(root) if path.is_relative_to(root) else path)  # a table may name any file


# The suffixes that match each format.
_FORMATS = {
    **dict.fromkeys(("JPEG", "MPO"), (".jpg", ".jpeg", ".jpe", ".jfif")),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".pbm", ".pgm", ".ppm", ".pnm"),
    "JPEG2000": (".jp2", ".j2k"),
    "AVIF": (".avif",),
}


def _images(examined: list[Examined], root: Path) -> Iterator[Finding]:
    """Problems of single files, and one note per conversion rule that was applied in reading."""
    read_as: dict[str, list[Examined]] = defaultdict(list)
    for file in examined:
        where = _below(file.path, root)
        if file.error is not None:
            yield Finding("error", file.error.kind, where, f"{file.error.detail}; a run stops at it")
            continue
        if file.path.suffix.lower() not in _FORMATS.get(file.format, (file.path.suffix.lower(),)):
            yield Finding("warning", "wrong suffix", where, f"its content is {file.format}, and is read as that")
        if min(file.size) < TINY:
            height, width = file.size
            yield Finding("warning", "tiny image", where, f"{height}×{width} pixels, which a run enlarges")
        if "\\x" in where:
            yield Finding("note", "odd name", where, "the name is not UTF-8; it is read all the same")
        for note in file.notes:
            read_as[note].append(file)
    for note, files in read_as.items():
        yield Finding("note", f"{len(files):,} images", _below(files[0].path, root), note)


def _strangers(files: Iterable[Path], root: Path) -> Iterator[Finding]:
    """Files in a class folder that are not named like images; a run leaves them out."""
    for file in files:
        try:
            content = decode(file.read_bytes(), shown(file)).format
            detail = f"its content is {content}, but it is not named like an image; left out"
        except (ImageError, OSError):
            detail = "not named like an image; left out"
        yield Finding("warning", "not an image", _below(file, root), detail)


def _beside(folder: Path, root: Path) -> Iterator[Finding]:
    """Files of a split outside its classes, hidden files and folders in it, and links that lead back."""
    for entry in sorted(folder.iterdir()):
        if entry.is_file() and not hidden(entry):
            yield Finding("warning", "outside the classes", _below(entry, root), "in no class; left out")
    concealed: list[Path] = []
    for place, names, files in os.walk(folder):
        concealed += [Path(place, name) for name in [*names, *files] if hidden(Path(name))]
        names[:] = sorted(name for name in names if not hidden(Path(name)))
        for link in (Path(place, name) for name in names if leads_back(Path(place, name))):
            yield Finding("warning", "link that leads back", _below(link, root), "not followed")
    if concealed:
        detail = f"{len(concealed):,} hidden files and folders are passed over"
        yield Finding("note", "hidden", _below(concealed[0], root), detail)


def _duplicates(examined: list[Examined], root: Path) -> Iterator[Finding]:
    """Files with the same bytes: a leak between splits, a contradiction between classes, or a waste."""
    same: dict[str, list[Examined]] = defaultdict(list)
    for file in examined:
        if file.error is None:
            same[file.digest].append(file)
    for first, *others in same.values():
        for other in others:
            severity, what = "warning", "twice"
            if other.split != first.split:
                severity, what = "error", "in two splits"
            elif other.label != first.label:
                severity, what = "error", "in two classes"
            yield Finding(severity, what, _below(other.path, root), f"the same image as {_below(first.path, root)}")


def _classes(
    images: dict[str, dict[str, int]], classes: tuple[str, ...], folders: dict[str, Path], root: Path
) -> Iterator[Finding]:
    """Empty, missing, unknown, similarly named and imbalanced classes."""
    training = "train" if "train" in folders else WHOLE
    for split, counts in images.items():
        where = folders[split]
        yield from _twins(counts, where, root)
        for name, count in counts.items():
            if class_named(name, classes) is None:
                detail = "not a class in training; a run stops here"
                yield Finding("error", "unknown class", _below(where / name, root), detail)
            elif count == 0:
                severity = "error" if split == training else "warning"
                yield Finding(severity, "empty class", _below(where / name, root), "no image that can be read")
        for name in sorted(set(classes) - {class_named(name, classes) for name in counts}):
            yield Finding("warning", "missing class", _below(where, root), f"has no folder {name}; training has one")
    where = folders[training]
    yield from _sizes(images[training], lambda name: _below(where / name, root), _below(where, root))


def _sizes(counts: Mapping[str, int], place: Callable[[str], str], training: str) -> Iterator[Finding]:
    """Training classes with a single image, or with far fewer images than another.

    Args:
        place: gives the place of a class by its name; ``training`` is the place of all classes.
    """
    filled = Counter({name: count for name, count in counts.items() if count})
    for name, count in filled.items():
        if count == 1:
            detail = "a single image, none left for validation"
            yield Finding("warning", "tiny class", place(name), detail)
    if filled and (most := filled.most_common())[0][1] > UNBALANCED * most[-1][1]:
        (large, many), (small, few) = most[0], most[-1]
        yield Finding("warning", "unbalanced", training, f"{few:,} of {small} against {many:,} of {large}")


def _twins(names: Iterable[str], where: Path, root: Path) -> Iterator[Finding]:
    """Classes of one split whose names look the same to a person."""
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(looks(name), name)
        if other != name:
            same = class_named(name, [other]) is not None
            how = "the encoding of accents" if same else "case or spaces"
            detail = f"differs from {other} only by {how}; same class?"
            yield Finding("warning", "twin class", _below(where / name, root), detail)
