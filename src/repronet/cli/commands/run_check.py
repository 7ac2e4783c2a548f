"""``repronet data check run=…``: labels of a run's images that are probably wrong, and near duplicates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig
from rich.console import Console
from torch import Tensor
from torch.nn import functional as F

from repronet.analysis.wrong_labels import errs_too_often, wrong_labels
from repronet.cli.failures import writing
from repronet.config.build import look_for_data, recorded_config
from repronet.config.build_data import dataset
from repronet.data.near_duplicates import near_duplicates
from repronet.data.scan import Finding, Report
from repronet.data.splits import LabelledImages
from repronet.errors import UserError
from repronet.figures.images import image_grid
from repronet.runs import BEST, PICTURES
from repronet.session.console import tracked
from repronet.training.answers import Answers
from repronet.training.classifier import Classifier, of_run

AT_ONCE, SIDE = 64, 96  # images that are classified together; the least side of one on the sheet
ON_SHEET = 12  # labels, and as many images of near duplicates


@dataclass(frozen=True)
class Place:
    """Where an image is: its split by name, and its row there."""

    split: str
    images: LabelledImages
    row: int

    @property
    def name(self) -> str:
        """Its file, or the split and its number."""
        name = self.images.name(self.row)
        return f"{self.split} {name}" if name.isdigit() else name

    @property
    def label(self) -> int:
        return int(self.images.labels[self.row])

    @property
    def image(self) -> Tensor:
        return self.images.image(self.row)


@dataclass(frozen=True)
class Suspect:
    """A finding, and the images that show it with their titles."""

    finding: Finding
    shown: tuple[tuple[Place, str], ...]

    @property
    def sure(self) -> float:
        return self.finding.sure or 0.0


def check_run(config: DictConfig, console: Console) -> tuple[Report, Path | None]:
    """Check all images of a run with its network; returns the report, and the sheet if there was anything to draw."""
    folder = Path(config.run).expanduser()
    classifier = of_run(folder)
    if classifier.transform.multilabel:
        raise UserError(f"run={folder}: needs images with one label each; these have several")
    recorded = recorded_config(folder / BEST)
    look_for_data(recorded, config.data.root, "data.root")
    images = dataset(recorded, classifier.transform.size)
    splits = {"train": images.train, "val": images.val} | ({"test": images.test} if images.test else {})
    labels = [one for split in splits for one in _wrong_labels(classifier, split, splits[split], console)]
    labels.sort(key=lambda suspect: -suspect.sure)
    twins = sorted(_twins(splits, images.classes, console), key=lambda suspect: suspect.finding.what, reverse=True)
    with writing("sheet", config.sheet or folder / PICTURES / "check.png") as path:
        drawn = _draw(classifier, [*twins[: ON_SHEET // 2], *labels[:ON_SHEET]], path)
    counts = {
        split: {name: int((part.labels == label).sum()) for label, name in enumerate(images.classes)}
        for split, part in splits.items()
    }
    findings = tuple(one.finding for one in (*labels, *twins))
    return Report(folder, images.classes, counts, findings, ()), path if drawn else None


def _wrong_labels(classifier: Classifier, split: str, images: LabelledImages, console: Console) -> Iterator[Suspect]:
    """Probably wrong labels in one split; the network is surer of images that it was trained on."""
    parts = torch.arange(len(images)).split(AT_ONCE)
    likely = torch.cat(
        [
            classifier.probabilities([images.image(row) for row in rows.tolist()])
            for rows in tracked(parts, f"answering {split}", console)
        ]
    )
    answers, seen = Answers(images.labels, likely), ", though trained on it" if split == "train" else ""
    if doubt := errs_too_often(likely, images.labels):
        yield Suspect(Finding("note", "labels not judged", split, doubt), ())
        return
    for row in wrong_labels(likely, images.labels):
        place, label, given = Place(split, images, row), int(answers.labels[row]), int(answers.given[row])
        own, other = float(likely[row, label]), float(likely[row, given])
        names = classifier.classes[label], classifier.classes[given]
        detail = f"labelled {names[0]} ({own:.1%}), looks like {names[1]} ({other:.1%}){seen}"
        [title] = answers.titles(torch.tensor([row]), classifier.classes)
        yield Suspect(Finding("warning", "likely wrong label", place.name, detail, 1 - own), ((place, title),))


def _twins(splits: dict[str, LabelledImages], classes: Sequence[str], console: Console) -> Iterator[Suspect]:
    """Pairs of near duplicates."""
    places = [Place(split, part, row) for split, part in splits.items() for row in range(len(part))]
    shown = (place.image for place in tracked(places, "comparing", console))
    for twins in near_duplicates(shown):
        first, second = places[twins.first], places[twins.second]
        where = " in two splits" if first.split != second.split else ""
        where = where if first.label == second.label else " in two classes"
        detail = f"{twins.alike:.1%} alike: {first.name} ({classes[first.label]})"
        finding = Finding("warning", f"near duplicate{where}", second.name, detail, twins.alike)
        yield Suspect(finding, ((first, f"{first.split}, {twins.alike:.0%} alike"), (second, second.split)))


def _draw(classifier: Classifier, suspects: Sequence[Suspect], path: Path) -> bool:
    """Near duplicates side by side, then the likeliest wrong labels; returns whether there were any."""
    shown = [pair for suspect in suspects for pair in suspect.shown]
    if not shown:
        return False
    tiles = [classifier.transform.seen(place.image).float()[None] for place, _ in shown]
    larger = [F.interpolate(tile, scale_factor=-(-SIDE // tile.shape[-1]), mode="nearest") for tile in tiles]
    heading = "near duplicates in pairs, then likely wrong labels (labelled → looks like)"
    image_grid(torch.cat(larger), [title for _, title in shown], heading, columns=4).savefig(path)
    return True
