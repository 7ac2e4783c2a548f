"""How images lie in the space of the features that a network's last layer classifies."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from repronet.models.stages import class_layers

BATCH = 250
COMPONENTS = 50  # principal components for t-SNE, as its authors took (van der Maaten and Hinton 2008, section 4.1)


@torch.no_grad()
def features(network: nn.Module, images: Tensor, advance: Callable[[int], None] = lambda images: None) -> Tensor:
    """The inputs of the layer that gives the class scores: (N, features); maps are averaged over their places."""
    return features_and_scores(network, images, advance)[0]


def features_and_scores(
    network: nn.Module, images: Tensor, advance: Callable[[int], None] = lambda images: None
) -> tuple[Tensor, Tensor]:
    """:func:`features`, and the class scores (N, classes).

    Args:
        network: in evaluation mode; one of ours.
        images: network inputs (N, C, H, W).
        advance: called with the number of images just seen.
    """
    head = dict(network.named_modules())[head_name(network)]
    collected, scores = list[Tensor](), list[Tensor]()

    def collect(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        collected.append(given[0].mean(dim=(2, 3)) if given[0].ndim == 4 else given[0].flatten(1).clone())

    with head.register_forward_pre_hook(collect):
        for part in images.split(BATCH):
            scores.append(network(part))
            advance(len(part))
    return torch.cat(collected), torch.cat(scores)


def head_name(network: nn.Module) -> str:
    """The layer that gives the scores: the last one sized by the number of classes, else the last child."""
    heads = class_layers(network)
    named = [name for name, _ in network.named_modules() if name in heads and not name.lower().startswith("aux")]
    return named[-1] if named else [name for name, _ in network.named_children()][-1]


def tsne(points: Tensor, seed: int = 0) -> Tensor:
    """Lay out points (N, D) in the plane so that neighbours stay neighbours: (N, 2).

    L. van der Maaten, G. Hinton, "Visualizing Data using t-SNE", JMLR 9, 2008; computed by scikit-learn, on the first
    fifty principal components.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    rows = points.double().numpy()
    components = min(COMPONENTS, *rows.shape)
    reduced = PCA(components, svd_solver="full").fit_transform(rows) if rows.shape[1] > components else rows
    perplexity = min(30.0, (len(rows) - 1) / 3)
    return torch.from_numpy(TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced))


def neighbours_error(points: Tensor, labels: Tensor, neighbours: int = 5) -> float:
    """The error of k-nearest-neighbours classification, where each point is classified by the others."""
    distances = torch.cdist(points.double(), points.double())
    distances.fill_diagonal_(float("inf"))
    nearest = distances.topk(min(neighbours, len(points) - 1), largest=False).indices  # (N, neighbours)
    votes = torch.nn.functional.one_hot(labels[nearest]).sum(dim=1)  # → (N, classes)
    return float((votes.argmax(dim=1) != labels).double().mean())
