"""Splits of images of different sizes, not one tensor: decoded once and kept in memory, or left on disk."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from repronet.data.decoded import decoded, key_of
from repronet.data.preprocessing import PixelStatistics, value_counts
from repronet.data.randomness import counter_generator
from repronet.data.reading import ImageError, progress, read_image, shown
from repronet.data.splits import SPLIT_SEED
from repronet.errors import UserError

log = logging.getLogger(__name__)

SAMPLE = 20_000  # images that the statistics of a larger split are computed from
LISTED = 20  # files that an error message names
_WAITING = 64  # images that are decoded ahead of the one in use


class Images(Protocol):
    """Indexed images, each uint8 (3, H, W) with the channels last in memory."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Tensor: ...


@dataclass(frozen=True)
class ImageFiles:
    """Images that stay on disk and are decoded at every access."""

    paths: tuple[Any, ...]  # their files, or other objects with ``read_bytes``
    short_side: int | None  # pixels that the shorter side is resized to; None: not resized
    fit: str = "crop"  # "crop", or how images become squares, see :func:`repronet.data.reading.squared`

    @property
    def way(self) -> str:
        """A text for the way of decoding, to tell apart the results from the same files."""
        return f"{self.short_side}" if self.fit == "crop" else f"{self.short_side}-{self.fit}"

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return read_image(self.paths[index], self.short_side, self.fit)


@dataclass(frozen=True)
class ImageStore:
    """Decoded images, one after another in one tensor, which may be a file mapped into memory."""

    pixels: Tensor  # uint8, those of all images
    sizes: Tensor  # int64 (N, 2), height and width of each image

    def __post_init__(self) -> None:
        ends = self.sizes.prod(1).cumsum(0) * 3
        if int(ends[-1]) != len(self.pixels):
            raise ValueError(f"{len(self.pixels)} pixels for images that have {int(ends[-1])}")
        object.__setattr__(self, "_places", list(zip([0, *ends.tolist()], self.sizes.tolist(), strict=False)))

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> Tensor:
        start, (height, width) = self._places[index]  # type: ignore[attr-defined]
        flat = self.pixels[start : start + height * width * 3]
        return flat.view(height, width, 3).permute(2, 0, 1)  # (H, W, 3) → (3, H, W)


@dataclass(frozen=True)
class ImageSplit:
    """A split of images."""

    images: Images  # the source of the images, which other splits may share
    labels: Tensor  # int64 (N,), or (N, classes) of zeros and ones
    index: Tensor  # int64 (N,), the indices in ``images`` of those in this split
    key: str  # identifies the content of ``images``; results computed from them are stored in ``cache`` under it
    cache: Path
    names: Sequence[str] = ()  # of all ``images``; empty if they have only numbers
    groups: Tensor | None = None  # int64 (N,), no cut separates images of the same group; or None

    @classmethod
    def of(cls, images: Images, labels: Tensor, key: str, cache: Path, names: Sequence[str] = ()) -> ImageSplit:
        """A split of all ``images``."""
        return cls(images, labels, torch.arange(len(images)), key, cache, names)

    @property
    def channels(self) -> int:
        return 3

    def __len__(self) -> int:
        return len(self.index)

    def image(self, index: int) -> Tensor:
        return self.images[int(self.index[index])]

    def name(self, index: int) -> str:
        return self.names[int(self.index[index])] if self.names else str(index)

    def rows(self, index: Tensor) -> ImageSplit:
        """The images and labels at ``index``."""
        groups = None if self.groups is None else self.groups[index]
        return replace(self, labels=self.labels[index], index=self.index[index], groups=groups)

    def relabelled(self, labels: Tensor) -> ImageSplit:
        """The same images under other labels."""
        return replace(self, labels=labels)

    def statistics(self) -> PixelStatistics:
        """Statistics over all pixels of all images, or of a fixed random sample of 20,000 if there are more."""
        rows = torch.arange(len(self))
        if len(rows) > SAMPLE:
            rows = rows[torch.randperm(len(rows), generator=counter_generator("statistics", SPLIT_SEED))[:SAMPLE]]
            log.info("pixel statistics are those of %s of the %s images", f"{SAMPLE:,}", f"{len(self):,}")
        chosen = self.index[rows]

        def count() -> dict[str, Tensor]:
            counts = map(value_counts, ahead(self.images, chosen.tolist(), "pixel statistics"))
            return {"counts": torch.stack(list(counts)).sum(0)}

        key = hashlib.sha256(self.key.encode() + chosen.numpy().tobytes()).hexdigest()[:16]
        return PixelStatistics.from_counts(decoded(self.cache, "statistics", key, count)["counts"])


def fits(count: int, short_side: int | None, gigabytes: float) -> bool:
    """Whether ``count`` images of that shorter side take at most ``gigabytes``, if they are 4:3 as most images are."""
    return short_side is not None and count * short_side * (short_side * 4 / 3) * 3 <= gigabytes * 1e9


def split_of(
    files: ImageFiles, labels: Tensor, root: Path, name: str, cache: Path, keep: bool, key: str | None = None
) -> ImageSplit:
    """A split of the images in ``files``: if ``keep``, decoded now or in an earlier run; otherwise left on disk.

    Args:
        key: changes with the files' content; None: made from their names, sizes and modification times.

    Raises:
        ImageError, UserError: for images that cannot be read correctly, as :func:`ahead`.
    """

    def decode() -> dict[str, Tensor]:
        log.info("%s: decoding %s images of %s, once", name, f"{len(files):,}", root)
        flat = [image.permute(1, 2, 0) for image in ahead(files, range(len(files)), "decoding")]
        sizes = torch.tensor([image.shape[:2] for image in flat])
        return {"pixels": torch.cat([image.reshape(-1) for image in flat]), "sizes": sizes}

    key = f"{key or key_of(files.paths, root)}-{files.way}"
    whole = root == Path(root.anchor)  # for a table, whose files may be anywhere
    names = [
        shown(path if whole else path.relative_to(root)) if isinstance(path, Path) else str(path)
        for path in files.paths
    ]
    if not keep:
        return ImageSplit.of(files, labels, key, cache, names)
    tensors = decoded(cache, name, key, decode)
    return ImageSplit.of(ImageStore(tensors["pixels"], tensors["sizes"]), labels, key, cache, names)


def ahead(images: Images, wanted: Sequence[int], what: str) -> Iterator[Tensor]:
    """Yield the images at ``wanted``, decoded ahead of time by threads, with a progress bar on a terminal.

    Raises:
        ImageError: at the end, if one cannot be read correctly.
        UserError: at the end, if several cannot, with their names.
    """
    errors = []
    for image in _tried(images, wanted, what):
        if isinstance(image, ImageError):
            errors.append(image)
        else:
            yield image
    if errors:
        raise refusal(errors)


def refusal(errors: Sequence[ImageError]) -> UserError:
    """The error to raise for unreadable images: what is wrong with a single one, or the names of several."""
    if len(errors) > 1:
        return UserError(f"{len(errors):,} images cannot be read; data.on_error=skip leaves them out: {named(errors)}")
    # A new object, since the traceback of the old one would refer to the caller's frame and the frame to it: loader
    # processes would end when the garbage collector finds that cycle, at an arbitrary moment.
    remedy = "; data.on_error=skip leaves it out"
    return ImageError(errors[0].path, errors[0].kind, errors[0].detail.removesuffix(remedy) + remedy)


def unreadable(files: ImageFiles, root: Path, name: str, cache: Path, key: str | None = None) -> dict[int, ImageError]:
    """The errors of the unreadable ``files``, by row; found once and stored in ``cache``."""

    def look() -> dict[str, Tensor]:
        log.info("%s: reading %s images of %s, once", name, f"{len(files):,}", root)
        tried = _tried(files, range(len(files)), "reading")
        return {"rows": torch.tensor([row for row, one in enumerate(tried) if isinstance(one, ImageError)]).long()}

    rows = decoded(cache, f"{name}-unreadable", f"{key or key_of(files.paths, root)}-{files.way}", look)[
        "rows"
    ].tolist()
    found = zip(rows, _tried(files, rows, "reading"), strict=True)
    return {row: one for row, one in found if isinstance(one, ImageError)}


def named(errors: Sequence[ImageError]) -> str:
    """The unreadable files and the reasons, in one line."""
    more = f"; and {len(errors) - LISTED:,} more, which repronet data check lists" if len(errors) > LISTED else ""
    return "; ".join(f"{error.path} ({error.kind})" for error in errors[:LISTED]) + more


def _tried(images: Images, wanted: Sequence[int], what: str) -> Iterator[Tensor | ImageError]:
    def attempt(index: int) -> Tensor | ImageError:
        try:
            return images[index]
        except ImageError as error:
            return error

    with ThreadPoolExecutor() as pool:
        for start in progress(range(0, len(wanted), _WAITING), what):
            yield from pool.map(attempt, wanted[start : start + _WAITING])
