"""Scoring generated images with a classifier that was trained on real images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from repronet.data.randomness import counter_generator
from repronet.errors import UserError
from repronet.gan.module import GAN
from repronet.training.classifier import Classifier
from repronet.visualization.embedding import features_and_scores

MOST = 2000  # real images, and as many generated ones
AT_ONCE = 100  # images per forward pass


def frechet_distance(real: Tensor, made: Tensor) -> float:
    """‖μ − μ'‖² + tr(Σ + Σ' − 2(ΣΣ')^½) of two sets of features (N, D) and (N', D), from torchmetrics.

    M. Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", NeurIPS 2017,
    equation 6. With Inception-v3's features it is the FID; values from other networks compare only with their own.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance  # an import of about a second

    given = nn.Identity()
    given.num_features = real.shape[1]  # type: ignore[assignment]
    metric = FrechetInceptionDistance(feature=given)
    metric.update(real.double().cpu(), real=True)
    metric.update(made.double().cpu(), real=False)
    return float(metric.compute())


@dataclass(frozen=True)
class Score:
    """A judge's score of generated images.

    Attributes:
        frechet: Fréchet distance to real images, in the features before the judge's last layer; lower is better.
        recognized: fraction that the judge assigns to the requested class; None for a GAN that is not conditional.
        by_class: the same for each class.
    """

    frechet: float
    recognized: float | None
    by_class: dict[str, float]


class Judge:
    """Scores a GAN with a classifier, against real images.

    Args:
        classifier: a classifier trained on real images, at least of these classes.
        real: uint8 (N, C, H, W), images that the GAN was not trained on.
        classes: the names of the classes, in the order of the labels.

    Raises:
        UserError: when the classifier does not know one of the classes, or there are fewer than two real images.
    """

    def __init__(self, classifier: Classifier, real: Tensor, classes: tuple[str, ...], seed: int):
        unknown = [name for name in classes if name not in classifier.classes]
        if unknown:
            raise UserError(
                f"judge: does not know class {unknown[0]}; it was trained on {len(classifier.classes)} others"
            )
        if len(real) < 2:
            raise UserError(f"judge: compares with 2 or more validation images, there is {len(real)}; raise data.val")
        self.classifier, self.classes, self.seed = classifier, classes, seed
        self.numbers = torch.tensor([classifier.classes.index(name) for name in classes])
        self.count = min(len(real), MOST)
        self.real = self._looked_at(real[: self.count])[0]

    def score(self, gan: GAN) -> Score:
        """Score as many generated images as there are real ones, from the same codes every time."""
        labels = torch.arange(self.count) % len(self.classes)
        made = gan.images(labels, counter_generator("judge", self.seed)).cpu()
        seen, answers = self._looked_at(made)
        distance = frechet_distance(self.real, seen)
        if not gan.conditional:
            return Score(distance, None, {})
        right = (answers == self.numbers[labels]).double()
        asked = enumerate(self.classes[: self.count])  # with fewer images than classes, the last classes have none
        by_class = {name: float(right[labels == number].mean()) for number, name in asked}
        return Score(distance, float(right.mean()), by_class)

    @torch.no_grad()
    def _looked_at(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The judge's features (N, D) and predicted classes (N,) for images, uint8 (N, C, H, W)."""
        network, transform, found = self.classifier.network, self.classifier.transform, []
        for part in images.split(AT_ONCE):
            found.append(features_and_scores(network, torch.stack([transform(image) for image in part])))
        seen, scores = (torch.cat(parts) for parts in zip(*found, strict=True))
        return seen, scores.argmax(dim=1)
