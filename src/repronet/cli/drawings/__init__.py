"""The drawings of ``repronet visualize``, each a function of a run's network and data."""

from collections.abc import Callable

from matplotlib.figure import Figure

from repronet.cli.drawings import of_classes, of_layers, of_training
from repronet.cli.drawings.subject import Subject

DRAWINGS: dict[str, Callable[[Subject], Figure]] = {
    "filters": of_layers.filters,
    "activations": of_layers.activations,
    "deconvnet": of_layers.deconvnet,
    "receptive_field": of_layers.receptive_field,
    "guided": of_classes.guided,
    "gradcam": of_classes.gradcam,
    "occlusion": of_classes.occlusion,
    "activation_maximization": of_classes.activation_maximization,
    "tsne": of_classes.features_map,
    "words": of_classes.words,
    "confusion": of_classes.confusion,
    "loss_surface": of_training.loss_surface,
    "augmentations": of_training.augmentations,
    "curves": of_training.curves,
}

# Drawings that need the gradient of scores by pixels, which hand-crafted features do not have.
BY_GRADIENT = ("deconvnet", "receptive_field", "guided", "gradcam", "activation_maximization")
