"""Plots of the right and wrong predictions of a run's best weights, for TensorBoard."""

from __future__ import annotations

import copy
import io
from collections.abc import Sequence
from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from matplotlib.figure import Figure
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig  # type: ignore[attr-defined]
from torch import Tensor
from torch.nn import functional as F
from torch.utils.tensorboard.writer import SummaryWriter
from torchvision.transforms.v2.functional import to_pil_image

from repronet.data.module import ImageDataModule
from repronet.figures import charts
from repronet.figures.images import image_grid, montage, stretched
from repronet.training.answers import Answers
from repronet.training.callbacks.tensorboard import INCHES, add_files, draw
from repronet.training.module import ImageClassifier
from repronet.visualization.embedding import features

LOOKED_AT = 2000  # validation images, at most
SHOWN = 9
CURVES = 20  # classes with a precision-recall curve, at most
EMBEDDED, SPRITE, DIMENSIONS = 1000, 32, 64  # projector: images, thumbnail side, features per image, at most


@dataclass(frozen=True)
class SeenAnswers(Answers):
    """Predictions with their images."""

    images: Tensor  #: (N, C, H, W), as the network receives them

    @classmethod
    @torch.no_grad()
    def of(cls, task: ImageClassifier, data: ImageDataModule) -> SeenAnswers:
        """The predictions for the first images of the validation split."""
        images, labels, likely, count = [], [], [], 0
        for some, its_labels in data.val_dataloader():
            likely.append(F.softmax(task(some.to(task.device)).float(), dim=1).cpu())
            images.append(some.cpu())
            labels.append(its_labels.cpu())
            count += len(some)
            if count >= LOOKED_AT:
                break
        return cls(torch.cat(labels), torch.cat(likely), torch.cat(images))


def draw_evaluation(
    trainer: pl.Trainer, task: ImageClassifier, data: ImageDataModule, answers: Answers, split: str
) -> None:
    """Draw the confusion matrix of ``answers`` for a split; and for validation images the precision-recall curves, the
    wrong and the least confident predictions, and, in the projector, their features.
    """
    step = trainer.global_step + 1  # after the run's last step: a run that is killed now and resumed draws it again
    task.eval()
    figure = charts.confusion(answers.confusion, data.classes, split, INCHES)
    draw(trainer, lambda writer: writer.add_figure("view_answers/confusion", figure, step))
    draw(trainer, lambda writer: _draw_answers(writer, SeenAnswers.of(task, data), task, data, step))


def _draw_answers(
    writer: SummaryWriter, answers: SeenAnswers, task: ImageClassifier, data: ImageDataModule, step: int
) -> None:
    for label in sorted(set(answers.labels.tolist()))[:CURVES]:
        is_class = answers.labels == label
        writer.add_pr_curve(f"view_precision_recall/{data.classes[label]}", is_class, answers.likely[:, label], step)
    for name, rows in (("wrong", answers.wrong), ("least_certain", answers.least_certain)):
        if len(rows):
            writer.add_figure(f"view_answers/{name}", _shown(answers, rows[:SHOWN], data.classes, name), step)
    count = min(len(answers.images), EMBEDDED)
    with torch.no_grad():  # of a copy, which is not compiled and therefore calls hooks
        found = features(copy.deepcopy(task.network), answers.images[:count].to(task.device)).cpu()
    names = [data.classes[label] for label in answers.labels[:count].tolist()]
    add_files(writer, projector_files(found, answers.images[:count], names))


def _shown(answers: SeenAnswers, rows: Tensor, classes: Sequence[str], name: str) -> Figure:
    titles = answers.titles(rows, classes, letters=6)
    images = torch.stack([stretched(image) for image in answers.images[rows]])
    headings = {
        "wrong": "most confident mistakes: true → predicted",
        "least_certain": "least confident answers: true → predicted",
    }
    return image_grid(images, titles, headings[name], inch=INCHES / 3)


def projector_files(points: Tensor, images: Tensor, names: Sequence[str]) -> dict[str, bytes]:
    """The files for TensorBoard's projector from features (N, D), images and class names, by path in the run folder.

    More than 64 features are reduced to 64 principal components, given more than 64 images.
    """
    if points.shape[1] > DIMENSIONS < len(points):
        centred = points - points.mean(dim=0)
        points = centred @ torch.linalg.svd(centred, full_matrices=False).Vh[:DIMENSIONS].T  # (N, D) → (N, 64)
    small = F.interpolate(torch.stack([stretched(image) for image in images]), (SPRITE, SPRITE), mode="area")
    columns = -(-round(len(small) ** 0.5 * 1e6) // 10**6)
    grid = montage(small, columns, border=0)  # (C, rows·32, columns·32)
    square = F.pad(grid, (0, 0, 0, grid.shape[2] - grid.shape[1])) if grid.shape[1] < grid.shape[2] else grid
    config = ProjectorConfig()
    embedding = config.embeddings.add()
    embedding.tensor_name = f"features of {len(points)} validation images"
    embedding.tensor_path, embedding.metadata_path = "projector/features.tsv", "projector/classes.tsv"
    embedding.sprite.image_path = "projector/sprites.png"
    embedding.sprite.single_image_dim.extend([SPRITE, SPRITE])
    rows = "".join("\t".join(f"{number:.5g}" for number in row) + "\n" for row in points.tolist())
    sprites = io.BytesIO()
    to_pil_image((square * 255).round().to(torch.uint8)).save(sprites, "PNG")
    return {
        embedding.tensor_path: rows.encode(),
        embedding.metadata_path: "".join(f"{name.replace(chr(9), ' ')}\n" for name in names).encode("utf-8", "replace"),
        embedding.sprite.image_path: sprites.getvalue(),
        "projector_config.pbtxt": str(config).encode(),
    }
