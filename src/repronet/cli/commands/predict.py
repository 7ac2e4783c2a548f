"""``repronet predict``: classify images with a trained network."""

from __future__ import annotations

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
from torch import Tensor

from repronet.analysis.class_figures import shortened
from repronet.cli.failures import writing
from repronet.cli.trained import chosen
from repronet.data.eval_transform import EvalTransform
from repronet.data.folders import shown
from repronet.data.lists import images_in
from repronet.data.reading import ImageError, read_image
from repronet.errors import UserError
from repronet.figures.images import image_grid
from repronet.runs import write_table
from repronet.runs.atomic import write_whole
from repronet.session.console import tracked
from repronet.terminal import WIDTH
from repronet.training.classifier import Classifier

log = logging.getLogger("repronet.predict")

ON_SHEET, SHEET_SIDE = 25, 96
NONE = "(none)"  # stands for the labels of an image in which none was found


def run(config: DictConfig, console: Console) -> list[dict[str, Any]]:
    """Classify every image, write a table of them, and report those that cannot be read."""
    classifier = chosen(config, config.layers)
    paths = images_in(config.images)
    rows = []
    starts = range(0, len(paths), config.batch_size)
    for start in tracked(starts, "classifying", console):
        rows += _named(classifier, paths[start : start + config.batch_size], config)
    good = [row for row in rows if row["error"] is None]
    for row in rows:
        if row["error"] is not None:
            log.warning(f"left out: {row['error']}")
    if not good:
        raise UserError(f"images={config.images}: none of the files is an image; nothing is written")
    with writing("out", config.out) as path:
        if config.out.endswith(".json"):
            text = json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
            write_whole(path, text.encode("utf-8", "backslashreplace"))
        else:
            _write_csv(path, rows)
    if config.sheet is not None:
        _draw_sheet(config.sheet, good, classifier.transform.fit)
    _report(config, rows, good, classifier.transform.multilabel, console)
    return rows


def _named(classifier: Classifier, paths: Sequence[Path], config: DictConfig) -> Iterator[dict[str, Any]]:
    with ThreadPoolExecutor() as pool:
        read = list(pool.map(partial(_read, classifier.transform), paths))
    images = [image for image in read if isinstance(image, Tensor)]
    answers = iter(classifier.probabilities(images, config.protocol) if images else [])
    names = classifier.transform.classes
    for path, image in zip(paths, read, strict=True):
        if isinstance(image, str):
            yield {"image": shown(path), "error": image, "classes": [], "probabilities": []}
            continue
        answer = next(answers)
        count = int((answer >= config.threshold).sum()) if classifier.transform.multilabel else config.top
        best = answer.topk(min(count, len(names)))
        yield {
            "image": shown(path),
            "error": None,
            "classes": [names[index] for index in best.indices.tolist()],
            "probabilities": best.values.tolist(),
        }


def _read(transform: EvalTransform, path: Path) -> Tensor | str:
    """The image, or why it cannot be read."""
    try:
        return transform.opened(path)
    except ImageError as error:
        return str(error)
    except OSError as error:
        return f"{shown(path)}: {error.strerror or error}"


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    most = max(len(row["classes"]) for row in rows)
    headings = [f"{what}{rank}" for rank in range(1, most + 1) for what in ("class", "probability")]
    table = []
    for row in rows:
        pairs = zip(row["classes"], (f"{p:.6f}" for p in row["probabilities"]), strict=True)
        cells = [cell for pair in pairs for cell in pair]
        table.append([row["image"], *cells, *[""] * (2 * most - len(cells)), row["error"]])
    write_table(path, ["image", *headings, "error"], table)


def _draw_sheet(sheet: str, rows: list[dict[str, Any]], fit: str) -> None:
    """Draw the images with the least certain predictions."""
    import torch

    least = sorted(rows, key=lambda row: min(row["probabilities"][:1], default=0.0))[:ON_SHEET]
    tiles, titles = [], []
    for row in least:
        image = read_image(Path(row["image"]), SHEET_SIDE, fit)
        top, left = ((n - SHEET_SIDE) // 2 for n in image.shape[-2:])
        tiles.append(image[:, top : top + SHEET_SIDE, left : left + SHEET_SIDE])
        named = zip(row["classes"][:1], row["probabilities"], strict=False)
        answer = "".join(f"{name[:14]} {likely:.0%}" for name, likely in named) or NONE
        name = Path(row["image"]).name  # its end tells images apart
        titles.append(f"{name if len(name) <= 20 else f'…{name[-19:]}'}\n{answer}")
    with writing("sheet", sheet) as path:
        image_grid(torch.stack(tiles).float(), titles, "least certain").savefig(path)


def _report(
    config: DictConfig, rows: list[dict[str, Any]], good: list[dict[str, Any]], multilabel: bool, console: Console
) -> None:
    # With several labels per image, all that were found count; otherwise only the first class.
    several = [row["classes"] or [NONE] for row in good] if multilabel else [row["classes"][:1] for row in good]
    counts = Counter(name for names in several for name in names)
    for name, count in counts.most_common(10):
        console.print(f"{count:>7,}  {shortened(name, WIDTH - 9)}", markup=False)
    if len(counts) > 10:
        console.print(f"         and {len(counts) - 10} classes more")
    left = f", {len(rows) - len(good)} left out" if len(good) < len(rows) else ""
    if config.sheet is not None:
        console.print(f"the least certain: {config.sheet}", markup=False, soft_wrap=True)
    # Scripts read this line, so it keeps its word.
    console.print(f"\n{len(good):,} pictures named{left}: {config.out}", markup=False, soft_wrap=True)
