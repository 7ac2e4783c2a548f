"""``repronet predict``: what a trained network takes pictures for."""

from __future__ import annotations

import csv
import glob
import io
import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track
from torch import Tensor

from repronet import runs
from repronet.cli.failures import writing
from repronet.data.eval_transform import EvalTransform
from repronet.data.folders import files_below, named_like_picture
from repronet.data.lists import names_in
from repronet.data.reading import PictureError, read_picture, shown
from repronet.errors import UserError
from repronet.figures.images import image_grid
from repronet.runs.atomic import write_whole
from repronet.training.classifier import Classifier, of_run

log = logging.getLogger("repronet.predict")

ON_SHEET, SHEET_SIDE = 25, 96


def run(config: DictConfig, console: Console) -> list[dict[str, Any]]:
    """Name every picture, write a table of them, and say which could not be read.

    Raises:
        UserError: when there is no run, no picture, or the table cannot be written.
    """
    which = {"best": runs.BEST, "last": runs.LAST}[config.checkpoint]
    classifier = of_run(Path(config.run).expanduser(), which, config.layers)
    paths = pictures_in(config.images)
    rows = []
    starts = range(0, len(paths), config.batch_size)
    for start in track(starts, "naming", console=console, transient=True):
        rows += _named(classifier, paths[start : start + config.batch_size], config)
    good = [row for row in rows if row["error"] is None]
    for row in rows:
        if row["error"] is not None:
            log.warning(f"left out: {row['error']}")
    text = json.dumps(rows, indent=2, ensure_ascii=False) + "\n" if config.out.endswith(".json") else _as_csv(rows)
    with writing("out", config.out) as path:
        write_whole(path, text.encode("utf-8", "backslashreplace"))
    if config.sheet is not None and good:
        _draw_sheet(config.sheet, good)
    _report(config, rows, good, console)
    return rows


def pictures_in(images: str) -> list[Path]:
    """The files that ``images=`` means, sorted.

    Raises:
        UserError: when there are none.
    """
    path = Path(images).expanduser()
    if path.is_dir():
        found = sorted(file for file in files_below(path) if named_like_picture(file))
    elif path.suffix.lower() == ".txt" and path.is_file():
        found = [path.parent / name for name in names_in(path)]
    elif path.exists():
        found = [path]
    else:
        # Path.glob knows no absolute patterns.
        matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207
        found = [Path(name) for name in matches if Path(name).is_file()]
    if not found:
        raise UserError(f"images={images}: no picture there; give a folder, a file, a pattern or a .txt with names")
    return found


def _named(classifier: Classifier, paths: Sequence[Path], config: DictConfig) -> Iterator[dict[str, Any]]:
    with ThreadPoolExecutor() as pool:
        read = list(pool.map(partial(_read, classifier.transform), paths))
    pictures = [picture for picture in read if isinstance(picture, Tensor)]
    answers = iter(classifier.probabilities(pictures, config.protocol) if pictures else [])
    names = classifier.transform.classes
    for path, picture in zip(paths, read, strict=True):
        if isinstance(picture, str):
            yield {"image": shown(path), "error": picture, "classes": [], "probabilities": []}
            continue
        best = next(answers).topk(min(config.top, len(names)))
        yield {
            "image": shown(path),
            "error": None,
            "classes": [names[index] for index in best.indices.tolist()],
            "probabilities": best.values.tolist(),
        }


def _read(transform: EvalTransform, path: Path) -> Tensor | str:
    """The picture, or why there is none."""
    try:
        return transform.opened(path)
    except PictureError as error:
        return str(error)
    except OSError as error:
        return f"{shown(path)}: {error.strerror or error}"


def _as_csv(rows: list[dict[str, Any]]) -> str:
    most = max(len(row["classes"]) for row in rows)
    headings = [f"{what}{rank}" for rank in range(1, most + 1) for what in ("class", "probability")]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["image", *headings, "error"])
    for row in rows:
        pairs = zip(row["classes"], (f"{p:.6f}" for p in row["probabilities"]), strict=True)
        cells = [cell for pair in pairs for cell in pair]
        table.writerow([row["image"], *cells, *[""] * (2 * most - len(cells)), row["error"] or ""])
    return text.getvalue()


def _draw_sheet(sheet: str, rows: list[dict[str, Any]]) -> None:
    """The pictures that the network is least certain of, with what it takes them for."""
    import torch

    least = sorted(rows, key=lambda row: row["probabilities"][0])[:ON_SHEET]
    tiles, titles = [], []
    for row in least:
        picture = read_picture(Path(row["image"]), SHEET_SIDE)
        top, left = ((n - SHEET_SIDE) // 2 for n in picture.shape[-2:])
        tiles.append(picture[:, top : top + SHEET_SIDE, left : left + SHEET_SIDE])
        titles.append(f"{row['classes'][0][:14]} {row['probabilities'][0]:.0%}")
    with writing("sheet", sheet) as path:
        image_grid(torch.stack(tiles).float(), titles, "least certain").savefig(path)


def _report(config: DictConfig, rows: list[dict[str, Any]], good: list[dict[str, Any]], console: Console) -> None:
    counts = Counter(row["classes"][0] for row in good)
    for name, count in counts.most_common(10):
        console.print(f"{count:>7,}  {name}", markup=False)
    if len(counts) > 10:
        console.print(f"         and {len(counts) - 10} classes more")
    left = f", {len(rows) - len(good)} left out" if len(good) < len(rows) else ""
    console.print(f"\n{len(good):,} pictures named{left}: {config.out}", markup=False, soft_wrap=True)
