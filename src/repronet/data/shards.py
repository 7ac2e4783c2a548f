"""``data=webdataset``: images and labels in tar files in WebDataset's layout. Needs no torch and no package.

A sample is the members of a tar file that share a name up to its first dot: ``0017.jpg`` with its class in ``0017.cls``
(a number or a word) or ``0017.txt``, or in ``0017.json`` under the name of a label. The members' headers are read once
and stored as an index, with which any image is one read at a known offset. So, unlike with a stream through the shards,
every epoch is shuffled as a whole, and a resumed run continues with the image at which it stopped.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import product
from pathlib import Path
from typing import Any

from repronet.data.folders import SUFFIXES, WHOLE, LabelledFile, Layout, refuse_untrained, shown
from repronet.data.lists import names_in
from repronet.data.table import SPLIT_OF, USUAL, numbered_labels
from repronet.errors import UserError
from repronet.runs.atomic import write_whole

log = logging.getLogger("repronet.train")

KEY = "data.root"
NAMES = "classes.txt"  # beside the shards: the names of class 0, class 1, …, one per line
LABELS = (".cls", ".txt", ".json")  # members that may contain the label, the likeliest first
LONGEST = 1_000_000  # bytes that such a member may have


@dataclass(frozen=True, order=True)
class Member:
    """A file within a tar file: ``size`` bytes, starting at ``offset``."""

    shard: Path
    name: str
    offset: int
    size: int

    def read_bytes(self) -> bytes:
        with self.shard.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)

    def __str__(self) -> str:
        return f"{self.shard.name}/{self.name}"


def read_shards(root: Path | None, label: str | None, cache: Path | None) -> Layout:
    """Read the classes and images of the shards that ``root`` names, by split.

    Args:
        root: a tar file, a folder of them, or a pattern: ``shards/train-{000..009}.tar``, ``shards/*.tar``. Shards
            whose names begin with train, val or test belong to that split.
        label: the name of the label in the samples' ``.json``; None: one of the usual names.
        cache: the folder for the index; None: the index is not stored.

    Raises:
        UserError: if there are no such shards, one is damaged or compressed, or there is no image or one has no label.
    """
    shards = find_shards(root)
    found = _indexed(shards, label, cache)
    file = shards[0].parent / NAMES
    names = tuple(names_in(file)) if file.is_file() else None
    labels, classes = numbered_labels([value for _, value in found], names, KEY)
    split_of = _splits(shards)
    files: dict[str, list[LabelledFile]] = {split: [] for split in dict.fromkeys(split_of.values())}
    for (member, _), number in zip(found, labels, strict=True):
        files[split_of[member.shard]].append(LabelledFile(member, number))
    refuse_untrained(files, classes, f"{KEY}={shown(shards[0].parent)}")
    return Layout(
        shards[0].parent, classes, files, notes=[f"webdataset: {len(found):,} images in {len(shards):,} shards"]
    )


def find_shards(root: Path | None) -> list[Path]:
    """Find the tar files that ``root`` names: in the order of their names, or of the braces in a pattern.

    Raises:
        UserError: if there are none, or one that a pattern lists is missing.
    """
    if root is None:
        raise UserError(f"data=webdataset: {KEY} must name the shards, 'shards/train-{{000..009}}.tar' for instance")
    if re.match(r"\w{3,}:", str(root)):  # a command such as pipe:, or an address
        raise UserError(f"{KEY}={shown(root)}: shards are files on this machine; download them first")
    if root.is_dir():
        shards = sorted(file for file in root.iterdir() if file.suffix == ".tar" and not file.name.startswith("."))
    else:
        shards = [file for path in _expanded(str(root)) for file in _matching(Path(path))]
    missing = next((file for file in shards if not file.is_file()), None)
    if missing is not None or not shards:
        raise UserError(f"{KEY}={shown(root)}: no {'shard ' + shown(missing) if missing else '.tar file there'}")
    return [file.absolute() for file in shards]


def _expanded(pattern: str) -> Iterator[str]:
    """Expand a pattern's braces: ``{00..02}`` and ``{train,val}``."""
    pieces = re.split(r"\{([^{}]*)\}", pattern)  # text, content of braces, text, …
    choices = [_choices(piece) if place % 2 else [piece] for place, piece in enumerate(pieces)]
    return map("".join, product(*choices))


def _choices(inside: str) -> list[str]:
    ends = re.fullmatch(r"(\d+)\.\.(\d+)", inside)
    if ends is None:
        return inside.split(",")
    return [str(number).zfill(len(ends[1])) for number in range(int(ends[1]), int(ends[2]) + 1)]


def _matching(path: Path) -> list[Path]:
    if not set("*?[") & set(path.name) or not path.parent.is_dir():
        return [path]
    return sorted(file for file in path.parent.iterdir() if fnmatch(file.name, path.name))


def _splits(shards: Sequence[Path]) -> dict[Path, str]:
    """The split of each shard, from the first word of its name; ``WHOLE`` if all are alike and none is train."""
    found = {shard: SPLIT_OF.get(re.split(r"[-_.]", shard.name)[0].casefold(), WHOLE) for shard in shards}
    kinds = set(found.values())
    if len(kinds) == 1 and kinds != {"train"}:
        return dict.fromkeys(shards, WHOLE)
    if "train" not in kinds or WHOLE in kinds:
        odd = next(shard.name for shard, split in found.items() if split != "train")
        raise UserError(f"{KEY}: cannot assign {odd} to a split; shard names must start with train, val or test")
    return found


def _indexed(shards: Sequence[Path], label: str | None, cache: Path | None) -> list[tuple[Member, Any]]:
    """Every image with its label, from the index that an earlier call stored, or from the shards themselves."""
    states = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in shards]
    key = hashlib.sha256(json.dumps([1, states, label]).encode()).hexdigest()[:16]
    file = None if cache is None else cache / f"shards-{key}.json"
    if file is not None and file.is_file():
        rows = json.loads(file.read_bytes())
        return [(Member(shards[number], *place), value) for number, *place, value in rows]
    if len(shards) > 1:
        log.info("webdataset: reading the index of %s shards, once", f"{len(shards):,}")
    found = [pair for shard in shards for pair in _samples(shard, label)]
    if not found:
        raise UserError(f"{KEY}={shown(shards[0])}: no image there")
    if file is not None:
        numbers = {shard: number for number, shard in enumerate(shards)}
        rows = [[numbers[m.shard], m.name, m.offset, m.size, value] for m, value in found]
        _keep(file, json.dumps(rows).encode())
    return found


def _keep(file: Path, content: bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, content, survives_power_cut=False)
    except OSError as error:
        log.info("%s cannot be written (%s); the shards will be read at every run", file, error.strerror)


def _samples(shard: Path, label: str | None) -> Iterator[tuple[Member, Any]]:
    """Yield the images of one shard with their labels."""
    sample: dict[str, Member] = {}  # the members of one sample, by suffix
    last = None
    for member in _members(shard):
        folder, _, base = member.name.rpartition("/")
        stem, _, ending = base.partition(".")
        if (folder, stem) != last:
            yield from _labelled(sample, label)
            sample, last = {}, (folder, stem)
        sample[f".{ending}".casefold()] = member
    yield from _labelled(sample, label)


def _members(shard: Path) -> Iterator[Member]:
    try:
        with tarfile.open(shard, "r:") as tar:  # uncompressed only: compressed files cannot be read from the middle
            for info in tar:
                if info.isreg() and not os.path.basename(info.name).startswith("."):  # noqa: PTH119  # of a tar's names
                    yield Member(shard, info.name, info.offset_data, info.size)
    except (tarfile.TarError, OSError, ValueError) as error:
        with shard.open("rb") as file:
            hint = "unpack it with gunzip first" if file.read(2) == b"\x1f\x8b" else "is it whole?"
        raise UserError(f"{KEY}={shown(shard)}: cannot be read as a tar file ({error}); {hint}") from error


def _labelled(sample: dict[str, Member], label: str | None) -> Iterator[tuple[Member, Any]]:
    images = [member for ending, member in sample.items() if Path(f"x{ending}").suffix in SUFFIXES]
    if not images:
        return
    if len(images) > 1:
        raise UserError(f"{KEY}={images[0]}: its sample has {images[1].name} too; a sample has one image")
    of = next((sample[ending] for ending in LABELS if ending in sample), None)
    if of is None or of.size > LONGEST:
        raise UserError(f"{KEY}={images[0]}: has no label beside it (.cls, .txt or .json)")
    yield images[0], _label(of, label)


def _label(member: Member, label: str | None) -> Any:
    """Read the label in a member: a word, a number, or a list of them."""
    try:
        text = member.read_bytes().decode("utf-8")
        said = json.loads(text) if member.name.casefold().endswith(".json") else text.strip()
    except ValueError as error:  # neither UTF-8 nor JSON
        raise UserError(f"{KEY}={member}: is no UTF-8 text, or no JSON") from error
    if isinstance(said, dict):
        names = USUAL["label"] if label is None else [label]
        name = next((name for name in names if name in said), None)
        if name is None:
            raise UserError(f"{KEY}={member}: no label found; set data.label_column= to one of {', '.join(said)}")
        said = said[name]
    if isinstance(said, dict | float | None) or said == "":
        raise UserError(f"{KEY}={member}: its label is {said!r}; it must be a word, a whole number, or a list of them")
    return said
