"""The predictions of a run for its page: figures by class, and a confusion matrix with links to the images."""

from __future__ import annotations

import base64
import csv
from collections import Counter, defaultdict
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from repronet import runs
from repronet.analysis.class_figures import MEASURES
from repronet.errors import UserError

MATRIX = 20  # classes up to which the matrix is a table; for more, the most frequent mistakes are
PAIRS = 25


@dataclass(frozen=True)
class Thumbnail:
    """A small image as a data URL, with the probability of its answer and its file."""

    source: str
    probability: str
    image: str


@dataclass(frozen=True)
class Pair:
    """The images of one class that were classified as another or the same."""

    label: str
    answer: str
    count: int
    share: float  # of the images of the class
    anchor: str  # the place on the page of its thumbnails; "" without any
    thumbnails: tuple[Thumbnail, ...]


@dataclass(frozen=True)
class Answered:
    """The answers of a run, from its tables."""

    classes: list[dict[str, str]]  # the rows of ``per_class.csv``
    # one row per class, one cell per answer; None with many classes, several labels per image, or no answers
    matrix: list[list[Pair]] | None
    confused: list[Pair]  # the most frequent mistakes

    @property
    def shown(self) -> list[Pair]:
        """The pairs with thumbnails that a link leads to."""
        linked = [pair for row in self.matrix for pair in row] if self.matrix else self.confused
        return [pair for pair in linked if pair.anchor]


def read_answers(folder: Path, number: int, most: int) -> Answered | None:
    """Read ``per_class.csv``, ``answers.csv`` and ``thumbnails.png`` of a run; None without the first.

    Args:
        number: the run's number on the page, for its anchors.
        most: the largest number of thumbnails.
    """
    if not (folder / runs.PER_CLASS).is_file():
        return None
    try:
        return _read(folder, number, most)
    except Exception as error:  # whatever the readers raise for a damaged table or image
        raise UserError(f"{folder}: cannot be read as a run ({type(error).__name__}: {error})") from error


def _read(folder: Path, number: int, most: int) -> Answered:
    classes = _rows(folder / runs.PER_CLASS)
    answers = _rows(folder / runs.ANSWERS) if (folder / runs.ANSWERS).is_file() else []
    counts = Counter((row["class"], row["answer"]) for row in answers)
    drawn = (folder / runs.THUMBNAILS).is_file()
    small = _thumbnails(folder / runs.THUMBNAILS, answers, most) if drawn else {}
    support = {row["class"]: int(row["support"]) for row in classes}
    names = list(support)
    # With several labels per image, another word besides the classes stands for a missing label.
    known = dict.fromkeys([*names, *(name for both in counts for name in both)])
    place = {name: index for index, name in enumerate(known)}

    def pair(label: str, answer: str) -> Pair:
        count, its = counts[label, answer], tuple(small.get((label, answer), ()))
        anchor = f"run{number}-{place[label]}-{place[answer]}" if its else ""
        of_class = support.get(label, support.get(answer, 0))
        return Pair(label, answer, count, count / max(of_class, 1), anchor, its)

    square = answers and len(place) == len(names) <= MATRIX
    matrix = [[pair(label, answer) for answer in names] for label in names] if square else None
    wrong = [both for both, _ in counts.most_common() if both[0] != both[1]]
    for row in classes:
        row.update({name: f"{100 * float(row[name]):.1f}" if row[name] else "-" for name in MEASURES})
    return Answered(classes, matrix, [pair(*both) for both in wrong[:PAIRS]])


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _thumbnails(path: Path, answers: list[dict[str, str]], most: int) -> dict[tuple[str, str], list[Thumbnail]]:
    """The first ``most`` thumbnails of the file, which has them in one column, by class and answer."""
    found: dict[tuple[str, str], list[Thumbnail]] = defaultdict(list)
    with_tile = {int(row["thumbnail"]): row for row in answers if row["thumbnail"]}
    with Image.open(path, formats=("PNG",)) as sprite:  # Pillow opens some other formats with programs
        side = sprite.width
        for number, row in sorted(with_tile.items())[:most]:
            written = BytesIO()
            sprite.crop((0, number * side, side, (number + 1) * side)).save(written, "JPEG", quality=85)
            source = f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode()}"
            sure = f"{float(row['probability']):.0%}"
            found[row["class"], row["answer"]].append(Thumbnail(source, sure, row["picture"]))
    return found
