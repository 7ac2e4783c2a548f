"""Files written for the reader after a run: metrics per class, predictions and plots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from functools import cache
from io import BytesIO
from itertools import islice
from pathlib import Path

import pytorch_lightning as pl
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2.functional import to_pil_image

from repronet import runs
from repronet.analysis.class_figures import ClassFigures, class_figures, reliability
from repronet.config.build import Parts
from repronet.data.eval_transform import EvalTransform
from repronet.data.splits import LabelledImages
from repronet.errors import UserError
from repronet.figures import charts
from repronet.figures.images import INCH, image_grid, overlaid, stretched
from repronet.figures.words import words_sheet
from repronet.runs.atomic import write_whole
from repronet.training.answers import Answers, of_logits
from repronet.training.callbacks.figure_files import save_figure, tolerated
from repronet.training.callbacks.tensorboard import draw
from repronet.visualization.layer_outputs import probe
from repronet.visualization.saliency import gradcam
from repronet.visualization.words import DRAWN, SEARCHED, Words, has_words, words_of

MISTAKES = 12  # number of mistakes drawn with their class activation maps
ABSENT = "(not there)"  # stands for the prediction where a label was missed
WRONG, RIGHT, SHOWN, SIDE = 6, 3, 160, 64  # thumbnails: per wrong pair of classes, per class, in all; side in pixels


@torch.no_grad()
def answers_of(parts: Parts) -> Answers:
    """The predictions on the test split, from the test just made, or without a test split on the validation split."""
    task, data = parts.task, parts.data
    if data.test is not None:
        return of_logits(*task.test_outputs.compute())
    task.eval()
    outputs = [(task(images.to(task.device)), labels) for images, labels in data.val_dataloader()]
    logits, labels = zip(*outputs, strict=True)
    return of_logits(torch.cat(logits), torch.cat(labels))


def write_figures(folder: Path, answers: Answers, classes: Sequence[str]) -> list[ClassFigures]:
    """Write the metrics of each class to ``per_class.csv`` and return them; an empty list if that fails."""
    found: list[ClassFigures] = []

    def write() -> None:
        found.extend(class_figures(answers.likely, answers.labels, classes))
        head = ["class", *(item.name for item in fields(ClassFigures)[1:])]
        runs.write_table(folder / runs.PER_CLASS, head, [astuple(one) for one in found])

    tolerated(runs.PER_CLASS, write)
    return found


def draw_pictures(folder: Path, answers: Answers, parts: Parts, name: str) -> None:
    """Write ``pictures/`` into the run folder, and the predictions with thumbnails for the report."""
    data = parts.data
    images, split = (data.val, "validation") if data.test is None else (data.test, "test")

    def calibration() -> Figure:
        bins = reliability(answers.likely, answers.labels)
        heading = f"calibration error {bins.error:.1%} of {len(answers):,} {split} images"
        return charts.reliability(bins.images, bins.likely, bins.right, heading)

    history = folder / runs.HISTORY
    save_figure(folder, "curves", lambda: charts.curves({name: charts.read_history(history)}))
    save_figure(folder, "reliability", calibration)
    if answers.multilabel:
        described = Described(*answers.by_label(), images, (*data.classes, ABSENT), nowhere=len(data.classes))
    else:
        described = Described(answers, torch.arange(len(answers)), images, tuple(data.classes))
        save_figure(folder, "confusion", lambda: charts.confusion(answers.confusion, data.classes, f"{name}, {split}"))
    save_figure(folder, "mistakes", lambda: _mistakes(described, parts))
    tolerated(runs.ANSWERS, lambda: _write_answers(folder, described, parts.data.eval_transform))


def draw_words(trainer: pl.Trainer, folder: Path, parts: Parts, name: str) -> None:
    """Write ``pictures/words.png`` into the run folder and to TensorBoard, if the network has visual words."""
    network, data, step = parts.task.network, parts.data, trainer.global_step + 1
    if not has_words(network):
        return

    @cache
    def found() -> tuple[Words, Tensor]:
        images = [data.val.image(row) for row in range(0, len(data.val), -(-len(data.val) // SEARCHED))]
        inputs = torch.cat([data.eval_transform.views(image, "center") for image in images])
        seen = torch.stack([data.eval_transform.seen(image) for image in images])  # may be smaller than inputs
        pixels = F.interpolate(seen.float(), inputs.shape[-2:], mode="nearest").to(torch.uint8)
        return words_of(network, inputs.to(parts.task.device), pixels, DRAWN), pixels

    save_figure(folder, "words", lambda: words_sheet(*found(), name))
    draw(trainer, lambda writer: writer.add_figure("view_words/heaviest", words_sheet(*found(), name), step))


@dataclass(frozen=True)
class Described:
    """Predictions with one label each, and their images."""

    answers: Answers
    rows: Tensor  # (answers,), index in ``images`` of the image of each prediction
    images: LabelledImages
    classes: tuple[str, ...]
    # the class index that stands for an absent label; None if each image has one label
    nowhere: int | None = None

    def image(self, answer: int) -> Tensor:
        return self.images.image(int(self.rows[answer])).cpu()

    def spoken(self, answers: Tensor) -> Tensor:
        """The classes that predictions are about: the predicted ones, or the missed ones."""
        given, labels = self.answers.given[answers], self.answers.labels[answers]
        return given if self.nowhere is None else torch.where(given == self.nowhere, labels, given)


def _mistakes(described: Described, parts: Parts) -> Figure | None:
    """The most confident wrong predictions, each image beside its class activation map if there is one."""
    rows = described.answers.wrong[:MISTAKES]
    if not len(rows):
        return None
    transform = parts.data.eval_transform
    chosen = [described.image(row) for row in rows.tolist()]
    tiles: list[Tensor] = []
    for image in chosen:
        small = stretched(transform.seen(image))[None]  # (1, C, S, S), enlarged so that a smooth map can be seen
        tiles.append(
            F.interpolate(small, scale_factor=-(-SIDE // small.shape[-1]), mode="nearest")[0].expand(3, -1, -1)
        )
    titles = described.answers.titles(rows, described.classes, letters=18)
    heading = "most confident mistakes (true → predicted)"
    inputs = torch.cat([transform.views(image, "center") for image in chosen])
    try:
        heat = gradcam(probe(parts.task.network).cpu(), inputs, described.spoken(rows))
    except UserError:  # the network has no feature maps for Grad-CAM
        return image_grid(torch.stack(tiles), titles, heading, columns=min(len(tiles), 6))
    pairs = zip(tiles, heat, strict=True)
    tiles = [torch.cat([seen, overlaid(seen, its_heat)], dim=2) for seen, its_heat in pairs]  # (3, S, 2S)
    heading += ", with Grad-CAM of the prediction"
    return image_grid(torch.stack(tiles), titles, heading, columns=min(len(tiles), 3), inch=2 * INCH)


def _write_answers(folder: Path, described: Described, transform: EvalTransform) -> None:
    """Write one row per prediction, in the order of the split, with the number of its thumbnail if it has one."""
    answers, classes = described.answers, described.classes
    shown = list(islice(_chosen(answers), SHOWN))
    tile = {row: number for number, row in enumerate(shown)}
    columns = described.rows, answers.labels, answers.given, answers.sure
    rows = [
        (described.images.name(row), classes[label], classes[given], f"{sure:.6f}", tile.get(number))
        for number, (row, label, given, sure) in enumerate(zip(*(values.tolist() for values in columns), strict=True))
    ]
    if shown:
        seen = torch.stack([transform.seen(described.image(row)) for row in shown])  # uint8 (N, C, S, S)
        if seen.shape[-1] > SIDE:
            seen = F.interpolate(seen.float(), (SIDE, SIDE), mode="area").round().to(torch.uint8)
        content = BytesIO()
        to_pil_image(torch.cat([*seen], dim=1)).save(content, "PNG")  # stacked vertically, (C, N·S, S)
        write_whole(folder / runs.THUMBNAILS, content.getbuffer(), survives_power_cut=False)
    runs.write_table(folder / runs.ANSWERS, ("picture", "class", "answer", "probability", "thumbnail"), rows)


def _chosen(answers: Answers) -> Iterator[int]:
    """The rows that get a thumbnail: the surest mistakes per pair of classes, the least sure correct ones per class."""
    counts: Counter[tuple[int, int]] = Counter()
    right = [row for row in answers.least_certain.tolist() if answers.given[row] == answers.labels[row]]
    for row in (*answers.wrong.tolist(), *right):
        pair = (int(answers.labels[row]), int(answers.given[row]))
        counts[pair] += 1
        if counts[pair] <= (RIGHT if pair[0] == pair[1] else WRONG):
            yield row
