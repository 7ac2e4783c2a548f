"""The subject of a drawing: a trained network with the images of its data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional as F

from repronet.analysis.complexity import summarize
from repronet.analysis.receptive_field import Field
from repronet.config.build_data import dataset
from repronet.data.cuts import by_rarest
from repronet.data.eval_transform import EvalTransform, probabilities_of
from repronet.data.randomness import counter_generator
from repronet.data.splits import ImageDataset, LabelledImages
from repronet.errors import UserError
from repronet.training.classifier import Classifier
from repronet.visualization.layer_outputs import chosen_layer, layer_names, probe, spread


@dataclass(frozen=True)
class Sample:
    """Some images."""

    pixels: Tensor  # uint8 (N, C, S, S), the part that the network sees
    inputs: Tensor  # (N, C, S, S), the network's inputs
    labels: Tensor  # (N,)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Subject:
    """A trained network and its data."""

    folder: Path | None  # the run folder; None for weights of the zoo
    config: DictConfig  # the run's
    classifier: Classifier
    wishes: DictConfig  # the keys of visualize
    console: Console
    history: Sequence[Mapping[str, float]]  # one row per epoch; empty before the first has ended

    @property
    def transform(self) -> EvalTransform:
        return self.classifier.transform

    @property
    def classes(self) -> tuple[str, ...]:
        return self.transform.classes

    @property
    def name(self) -> str:
        return f"{self.config.model.name} on {self.config.data.name}"

    @property
    def split(self) -> str:
        """The split that images are taken from: train, val or test."""
        return self.wishes.split

    @cached_property
    def network(self) -> nn.Module:
        """The network without in-place layers and without gradients of weights."""
        return probe(self.classifier.network)

    @cached_property
    def data(self) -> ImageDataset:
        """The dataset with one label per image: the rarest if an image has several."""
        return by_rarest(dataset(self.config, self.transform.size))

    def require_one_label(self, drawing: str) -> None:
        """Raises: UserError, if an image may have several labels."""
        if self.transform.multilabel:
            raise UserError(f"what={drawing}: needs one label per image, and these have several")

    def require_gradient(self, drawing: str) -> None:
        """Raises: UserError, if the network's features have no gradient, such as counts of visual words."""
        pixels = torch.zeros(1, self.transform.channels, self.transform.size, self.transform.size, requires_grad=True)
        with torch.enable_grad():
            if not self.network(pixels).requires_grad:
                raise UserError(f"what={drawing}: the features of {self.config.model.name} have no gradient by pixels")

    @cached_property
    def layers(self) -> list[str]:
        """The layers with maps of the image, in the order of computation."""
        return layer_names(
            self.network, torch.zeros(1, self.transform.channels, self.transform.size, self.transform.size)
        )

    def some_layers(self, most: int) -> list[str]:
        """The layer that is asked for, or at most ``most`` layers spread from the first to the last."""
        wanted = self.wishes.layer
        return spread(self.layers, most) if wanted is None else [chosen_layer(self.layers, wanted)]

    @cached_property
    def fields(self) -> dict[str, Field | None]:
        """The receptive field of a unit of each layer."""
        size = (self.transform.channels, self.transform.size, self.transform.size)
        return {row.name: row.field for row in summarize(self.classifier.network, size).rows}

    def images(self) -> LabelledImages:
        """The images of the chosen split. Raises: UserError, if the data has no such split."""
        split = {"train": self.data.train, "val": self.data.val, "test": self.data.test}[self.split]
        if split is None:
            raise UserError(f"split={self.split}: the data of this run have none; use val")
        return split

    def sample(self, default: int) -> Sample:
        """A random sample, drawn with the seed, of as many images as are asked for, or ``default``."""
        return self.taken(self._drawn()[: self.wishes.images or default])

    def one_a_class(self, most: int) -> Sample:
        """One image of each of the first classes."""
        labels, chosen = self.images().labels, {}
        for index in self._drawn().tolist():
            chosen.setdefault(int(labels[index]), index)
        rows = [chosen[label] for label in sorted(chosen)[: self.wishes.images or most]]
        return self.taken(torch.tensor(rows))

    def _drawn(self) -> Tensor:
        images = self.images()
        return torch.randperm(len(images), generator=counter_generator("pictures", self.wishes.seed))

    def taken(self, rows: Tensor) -> Sample:
        """The images at ``rows`` of the split."""
        images, size = self.images(), self.transform.size
        pixels, inputs = [], []
        for index in rows.tolist():
            image = images.image(index)
            seen = self.transform.seen(image)[None].float()  # (1, C, s, s)
            if seen.shape[-1] != size:
                seen = F.interpolate(seen, (size, size), mode="bilinear", align_corners=False)
            pixels.append(seen.round().to(torch.uint8))
            inputs.append(self.transform.views(image, "center"))
        return Sample(torch.cat(pixels), torch.cat(inputs), images.labels[rows])

    @torch.no_grad()
    def answers(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The most likely class of each input and its probability: two tensors (N,)."""
        logits = torch.cat([self.network(part).float() for part in inputs.split(100)])
        best = probabilities_of(logits, self.transform.multilabel).max(dim=1)
        return best.indices, best.values

    @contextmanager
    def progress(self, total: int, what: str) -> Iterator[Callable[[int], None]]:
        """Show a progress bar; yields a function that advances it."""
        with Progress(console=self.console, transient=True, disable=not self.console.is_terminal) as bar:
            task = bar.add_task(what, total=total)
            yield lambda done: bar.update(task, advance=done)
