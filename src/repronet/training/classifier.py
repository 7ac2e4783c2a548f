"""A trained network with everything needed to classify images."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from repronet import models, runs, weights, zoo
from repronet.data.eval_transform import DENSE, VIEWS, EvalTransform, mean_probabilities
from repronet.data.preprocessing import PixelMap
from repronet.data.reading import ImageLike
from repronet.errors import UserError, first_line
from repronet.models.fixed_size import FixedSize
from repronet.training.checkpoints import CHECKSUM, config_in, network_weights, read_any
from repronet.visualization.embedding import features
from repronet.weights import published
from repronet.weights.pixels import pixels_of

AT_ONCE = 64  # views per forward pass, but always all views of an image


@dataclass(frozen=True, repr=False)
class Classifier:
    """A network that classifies images, with its preprocessing and class names."""

    network: nn.Module  #: in evaluation mode: images (N, C, S, S) → logits (N, classes)
    transform: EvalTransform  #: image → (C, S, S), the preprocessing that the network was tested with
    config: dict[str, Any]  #: the run's config, as plain values; empty for weights that do not come from a run

    def __repr__(self) -> str:
        name = getattr(self.network, "architecture", type(self.network).__name__)
        return f"Classifier({name}, {len(self.classes)} classes, {self.transform.size}×{self.transform.size})"

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the logits."""
        return self.transform.classes

    @torch.inference_mode()
    def probabilities(self, images: ImageLike | Iterable[ImageLike], protocol: str = "center") -> Tensor:
        """Class probabilities (N, classes) for one image or several, of any sizes.

        Args:
            images: paths, PIL images, uint8 arrays (H, W), (H, W, C) or (C, H, W), or uint8 tensors (C, H, W); images
                of one size may also be one array or tensor with a first axis N.
            protocol: "center": one view; "ten_crop", "multi_scale" or "crops_144": the mean over several views of each
                image; "dense" or "dense_multi_scale": over all positions of the whole image, at one size or five.
        """
        those = listed(images)
        if protocol in DENSE:
            found = [self._dense(self.transform.opened(one), protocol) for one in those]
            return torch.stack(found) if found else torch.zeros(0, len(self.classes))
        found, step = [], max(AT_ONCE // VIEWS[protocol], 1)
        for start in range(0, len(those), step):
            opened = map(self.transform.opened, those[start : start + step])
            views = [self.transform.views(image, protocol) for image in opened]
            logits = self.network(torch.cat(views))
            parts = logits.split([len(view) for view in views])
            found += [mean_probabilities(part, self.transform.multilabel) for part in parts]
        return torch.stack(found) if found else torch.zeros(0, len(self.classes))

    def _dense(self, image: Tensor, protocol: str) -> Tensor:
        """The mean of the dense probabilities over sizes and mirror images, (classes,)."""
        network = self.network
        if isinstance(network, FixedSize):
            raise UserError(f"protocol={protocol}: {type(network).__name__} takes images of one size; take ten_crop")
        # A network that ends in global average pooling is already dense, since its last layer is linear.
        logits_of = getattr(network, "densely", network)
        logits = [logits_of(views) for views in self.transform.whole(image, protocol)]
        return mean_probabilities(torch.cat(logits), self.transform.multilabel)

    def predict(self, images: ImageLike | Iterable[ImageLike], protocol: str = "center") -> list[str]:
        """The most probable class of each image, as a list also for a single image.

        Raises:
            UserError: where an image may have several labels; use :meth:`labels` then.
        """
        if self.transform.multilabel:
            raise UserError("predict: an image has several labels here; take labels(images)")
        return [self.classes[index] for index in self.probabilities(images, protocol).argmax(dim=1).tolist()]

    def labels(self, images: ImageLike | Iterable[ImageLike], threshold: float = 0.5) -> list[list[str]]:
        """For multi-label networks: the classes of each image whose probability is at least ``threshold``."""
        found = self.probabilities(images) >= threshold
        return [[name for name, has in zip(self.classes, row, strict=True) if has] for row in found.tolist()]

    @torch.inference_mode()
    def features(self, images: ImageLike | Iterable[ImageLike]) -> Tensor:
        """The features of each image, (N, D): the input of the network's last layer."""
        return features(self.network, torch.stack([self.transform(one) for one in listed(images)]))


def listed(images: ImageLike | Iterable[ImageLike]) -> list[ImageLike]:
    """One image or several, as a list; any other object becomes a list of one, which the transform refuses."""
    if isinstance(images, np.ndarray | Tensor):
        return list(images) if images.ndim == 4 else [images]
    alone = isinstance(images, str | Path | Image.Image) or not isinstance(images, Iterable)
    return [images] if alone else list(images)  # type: ignore[list-item]


def of_source(source: str | Path, layers: str = "custom") -> Classifier:
    """Load a trained network from a run folder, a file, or the name of published weights.

    Args:
        source: a run folder; a checkpoint; a ``.safetensors`` file from ``repronet export``; ``repronet/NAME`` from the
            zoo; or ``NETWORK/NAME`` from torchvision's weights.

    Raises:
        UserError: when nothing of that name is found, or it is damaged.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return of_run(path, layers=layers)
    if path.is_file():
        return of_checkpoint(path, layers) if path.suffix == ".ckpt" else of_file(path, layers)
    if zoo.is_named(str(source)):
        return replace(of_file(zoo.path_of(str(source)), layers), config=zoo.config_of(str(source)))
    return of_published(str(source), layers)


def of_run(folder: str | Path, which: str = runs.BEST, layers: str = "custom") -> Classifier:
    """Load the network from a checkpoint of a run.

    Raises:
        UserError: when there is no run, or the checkpoint does not exist yet, or it is damaged.
    """
    return of_checkpoint(runs.require_run(Path(folder).expanduser(), which, "run"), layers)


def of_checkpoint(path: Path, layers: str = "custom") -> Classifier:
    """Load the network from a checkpoint of ``repronet train``, or of a Trainer that used an ImageDataModule.

    Raises:
        UserError: when the file is damaged, or does not describe its network or the preprocessing of its images.
    """
    content = read_any(path)
    plain = content.get("ImageDataModule", {}).get("lens")
    if CHECKSUM not in content:
        return _of_plain_trainer(content, plain, path, layers)
    config = config_in(content, path)
    if not isinstance(plain, dict):
        raise UserError(f"{path}: does not record the preprocessing of its images")
    side = plain["short_side"] if config["data"].get("resize", "original") != "original" else None
    transform = EvalTransform.of({"read_side": side, **plain})  # read_side is missing in older checkpoints
    network = built(config, len(transform.classes), transform.channels, layers)
    weights.load(network, path)
    return Classifier(network.eval(), transform, config)


def _of_plain_trainer(content: dict[str, Any], plain: Any, path: Path, layers: str) -> Classifier:
    """Load the network from an ImageClassifier's checkpoint that Lightning wrote itself."""
    blueprint = content.get("hyper_parameters", {}).get("network")
    if not isinstance(plain, dict) or not isinstance(blueprint, dict):
        lacking = "how its images are prepared" if isinstance(blueprint, dict) else "which network it is of"
        take = f"ImageClassifier.load_from_checkpoint(path{'' if isinstance(blueprint, dict) else ', network=…'})"
        raise UserError(f"{path}: made by a plain Trainer, does not say {lacking}; take {take}")
    try:
        network = models.create(**{**blueprint, "layers": layers})
        network.load_state_dict(network_weights(content))
    except (TypeError, RuntimeError) as error:
        raise UserError(f"{path}: its weights belong to another network ({first_line(error)})") from error
    return Classifier(network.eval(), EvalTransform.of(plain), {})


def of_file(path: Path, layers: str = "custom") -> Classifier:
    """Load the network from a ``.safetensors`` file that ``repronet export`` wrote.

    Raises:
        UserError: when the file was not written by it, is damaged, or its network's plugin is not imported.
    """
    metadata = weights.metadata(path)
    try:
        blueprint = json.loads(metadata["blueprint"])
        if "plugin" in metadata and blueprint["name"] not in models.MODELS:
            plugin = metadata["plugin"]
            raise UserError(f"{path}: its network {blueprint['name']} is one of the plugin {plugin}; import that first")
        transform = EvalTransform.of_json(metadata["transform"])
        network = models.create(**{**blueprint, "layers": layers})
    except (KeyError, ValueError, TypeError) as error:
        hint = "repronet export run=DIR to=safetensors writes one that does"
        raise UserError(f"{path}: does not name its network and how images are prepared; {hint}") from error
    weights.load(network, path)
    return Classifier(network.eval(), transform, {})


def of_published(name: str, layers: str = "custom") -> Classifier:
    """Load a network with torchvision's weights by ``NETWORK/NAME``, such as ``torchvision/resnet50/IMAGENET1K_V2``.

    Raises:
        UserError: when torchvision has no weights of that name for the network, or they cannot be downloaded.
    """
    architecture, _, entry = name.rpartition("/")
    if not models.is_known(architecture):
        raise UserError(f"{name}: no such folder or file, nor NETWORK/WEIGHTS, as resnet18/IMAGENET1K_V1 is")
    network = models.create(architecture, layers=layers)
    weights.load(network, entry)
    found = published.entry(entry, architecture)
    statistics = pixels_of(entry, architecture)
    assert statistics is not None
    size = int(network.input_size)  # type: ignore[arg-type]
    pixel_map = PixelMap.standardize(statistics)
    short_side = round(size * 8 / 7)
    classes = tuple(found.meta["categories"])
    return Classifier(network.eval(), EvalTransform(classes, 3, size, short_side, False, pixel_map), {})


def built(config: Any, num_classes: int, channels: int, layers: str) -> nn.Module:
    """The network of ``model.name`` for these numbers of classes and channels, with newly initialized weights."""
    normalization = config["normalization"]["name"]
    network = models.create(
        config["model"]["name"],
        num_classes=num_classes,
        in_channels=channels,
        layers=layers,
        normalization=None if normalization == "paper" else normalization,
        options=models.own_keys(config["model"]),
    )
    if config.get("image_size") is not None:  # earlier versions did not have this key
        network.input_size = config["image_size"]
    return network
