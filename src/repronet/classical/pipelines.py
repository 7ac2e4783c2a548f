"""The four pipelines, modules like any network: from images to class scores.

Fitted values are buffers and the SVM is a linear layer, so that a checkpoint holds tensors only. The descriptors come
from kornia and scikit-image, the estimators from scikit-learn.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repronet.classical.encoding import fisher_vector, log_densities, nearness, pyramid
from repronet.classical.fitting import Pipeline
from repronet.data.eval_transform import LUMA
from repronet.errors import UserError

SAMPLE = 100_000  # maximum number of descriptors that a vocabulary is fitted to


class PixelsSvm(Pipeline):
    """A linear SVM on the pixels."""

    def __init__(self, num_classes: int, in_channels: int, layers: ModuleType, costs: list[float], size: int):
        super().__init__(in_channels * size * size, num_classes, layers, costs, size)

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1) / self.svm.in_features**0.5  # length about 1, so that the same C suit any size


class HogSvm(Pipeline):
    """Histograms of oriented gradients with a linear SVM (N. Dalal, B. Triggs, CVPR 2005).

    Computed by scikit-image in blocks of 2×2 cells; each pixel has the gradient of the channel where it is steepest.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        layers: ModuleType,
        costs: list[float],
        size: int,
        cell: int,
        orientations: int,
    ):
        self.blocks = max(size // cell - 1, 0) ** 2
        if not self.blocks:
            raise UserError(f"model.cell={cell}: a block has 2×2 cells; give at most {size // 2} for model.size={size}")
        super().__init__(self.blocks * 4 * orientations, num_classes, layers, costs, size)
        self.settings = {"orientations": orientations, "pixels_per_cell": (cell, cell), "cells_per_block": (2, 2)}
        self.hog = library("skimage.feature").hog

    def features(self, images: Tensor) -> Tensor:
        arrays = images.detach().movedim(1, -1).cpu().numpy()  # (N, H, W, C)
        found = np.stack([self.hog(image, **self.settings, channel_axis=-1) for image in arrays])
        return torch.from_numpy(found).to(images) / self.blocks**0.5


class SiftPipeline(Pipeline):
    """Dense SIFT of the grey image by kornia, on a square grid of positions, and an encoding of it.

    Args:
        encoded: number of encoded features per image.
    """

    def __init__(
        self, encoded: int, num_classes: int, layers: ModuleType, costs: list[float], size: int, stride: int, bin: int
    ):
        super().__init__(encoded, num_classes, layers, costs, size)
        if size < 4 * bin:
            wanted = f"give at most {size // 4} for model.size={size}"
            raise UserError(f"model.bin={bin}: a descriptor has 4×4 cells of this size; {wanted}")
        self.stride, self.bin = stride, bin
        make = library("kornia.feature").DenseSIFTDescriptor
        sift = make(spatial_bin_size=bin, rootsift=False, stride=stride, padding=0).requires_grad_(False)
        self.sift = (sift,)  # in a tuple, so that its constant kernels are not weights of the network

    @torch.no_grad()
    def descriptors(self, images: Tensor) -> Tensor:
        """Dense SIFT descriptors: (N, C, H, W) → (N, h, w, 128)."""
        grey = images if images.shape[1] == 1 else (images * images.new_tensor(LUMA)[:, None, None]).sum(1, True)
        return self.sift[0](grey).movedim(1, -1)

    def patch(self, row: int, column: int) -> tuple[slice, slice]:
        """The pixels that the descriptor at a grid position covers; the slices may extend beyond the image."""
        top, left = (place * self.stride - self.bin // 2 for place in (row, column))
        return slice(top, top + 4 * self.bin), slice(left, left + 4 * self.bin)

    def affinity(self, images: Tensor) -> Tensor:
        """The similarity of each descriptor to each word, (N, h, w, K); the largest one assigns the word."""
        raise NotImplementedError

    def importance(self) -> Tensor:
        """The norm of the SVM's weights for each word in each cell, (cells, K)."""
        raise NotImplementedError

    def sample(self, images: Tensor, seed: int) -> np.ndarray:
        """A random sample of the images' descriptors, (at most :data:`SAMPLE`, 128)."""
        draw = torch.Generator().manual_seed(seed)
        found = []
        for part in images.split(250):
            these = self.descriptors(part).flatten(0, 2).cpu()
            found.append(these[torch.randperm(len(these), generator=draw)[: SAMPLE * len(part) // len(images)]])
        return torch.cat(found).numpy()


class BovwSpmSvm(SiftPipeline):
    """Visual words of dense SIFT, counted in a spatial pyramid (Lazebnik, Schmid, Ponce 2006).

    Words are the means of k-means. The paper uses the histogram intersection kernel; here it is the additive χ² kernel,
    whose explicit feature map allows a linear SVM (A. Vedaldi, A. Zisserman, "Efficient Additive Kernels via Explicit
    Feature Maps", PAMI 2012); it maps each count to three numbers.
    """

    fits = "visual words"
    words: Tensor

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        layers: ModuleType,
        costs: list[float],
        size: int,
        stride: int,
        bin: int,
        words: int,
        levels: int,
    ):
        cells = sum(4**level for level in range(levels))
        super().__init__(3 * words * cells, num_classes, layers, costs, size, stride, bin)
        self.levels = levels
        self.register_buffer("words", torch.zeros(words, 128))

    def learn(self, images: Tensor, seed: int) -> None:
        from sklearn.cluster import MiniBatchKMeans

        sample = self.sample(images, seed)
        _require_enough(len(sample), len(self.words), "words")
        means = MiniBatchKMeans(len(self.words), random_state=seed, batch_size=4096).fit(sample)
        self.words.copy_(torch.from_numpy(means.cluster_centers_))

    def affinity(self, images: Tensor) -> Tensor:
        return nearness(self.descriptors(images), self.words)

    def importance(self) -> Tensor:
        weight = self.svm.weight.detach()  # (classes, 3 · cells · K)
        return weight.reshape(len(weight), 3, -1, len(self.words)).square().sum((0, 1)).sqrt()

    def features(self, images: Tensor) -> Tensor:
        from scipy.sparse import csr_array
        from sklearn.kernel_approximation import AdditiveChi2Sampler

        counts = pyramid(self.affinity(images).argmax(-1), len(self.words), self.levels)
        mapped = AdditiveChi2Sampler(sample_steps=2).fit_transform(csr_array(counts.cpu().numpy()))
        return torch.from_numpy(mapped.toarray()).to(counts)


class FisherSvm(SiftPipeline):
    """Fisher vectors of dense SIFT (Perronnin, Sánchez, Mensink 2010).

    PCA reduces the dimension of the descriptors, and a mixture of diagonal Gaussians is fitted to them.
    """

    fits = "principal components and Gaussians"
    mean: Tensor
    components: Tensor
    weights: Tensor
    means: Tensor
    variances: Tensor

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        layers: ModuleType,
        costs: list[float],
        size: int,
        stride: int,
        bin: int,
        gaussians: int,
        components: int,
    ):
        if components > 128:
            raise UserError(f"model.components={components}: a descriptor has 128 numbers; give at most as many")
        super().__init__(2 * gaussians * components, num_classes, layers, costs, size, stride, bin)
        self.register_buffer("mean", torch.zeros(128))
        self.register_buffer("components", torch.zeros(components, 128))
        self.register_buffer("weights", torch.full((gaussians,), 1 / gaussians))
        self.register_buffer("means", torch.zeros(gaussians, components))
        self.register_buffer("variances", torch.ones(gaussians, components))

    def learn(self, images: Tensor, seed: int) -> None:
        from sklearn.decomposition import PCA
        from sklearn.mixture import GaussianMixture

        sample = self.sample(images, seed)
        _require_enough(len(sample), len(self.weights), "gaussians")
        _require_enough(len(sample), len(self.components), "components")
        axes = PCA(len(self.components), random_state=seed).fit(sample)
        mixture = GaussianMixture(len(self.weights), covariance_type="diag", random_state=seed, max_iter=50, tol=1e-2)
        mixture.fit(axes.transform(sample))
        fitted = (axes.mean_, axes.components_, mixture.weights_, mixture.means_, mixture.covariances_)
        for buffer, values in zip(self.buffers(), fitted, strict=True):
            buffer.copy_(torch.from_numpy(values))

    def reduced(self, images: Tensor) -> Tensor:
        """Descriptors projected onto the principal components, (N, h, w, components)."""
        return (self.descriptors(images) - self.mean) @ self.components.t()

    def affinity(self, images: Tensor) -> Tensor:
        return log_densities(self.reduced(images), self.weights, self.means, self.variances)

    def importance(self) -> Tensor:
        weight = self.svm.weight.detach()  # (classes, 2 · K · components)
        return weight.reshape(len(weight), 2, len(self.weights), -1).square().sum((0, 1, 3)).sqrt()[None]

    def features(self, images: Tensor) -> Tensor:
        return fisher_vector(self.reduced(images).flatten(1, 2), self.weights, self.means, self.variances)


def _require_enough(found: int, wanted: int, key: str) -> None:
    if found < wanted:
        raise UserError(f"model.{key}={wanted}: the training images have {found} descriptors; give at most as many")


def library(name: str) -> Any:
    """Import a module of a package that only these pipelines need.

    Raises:
        UserError: when the package is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        package = {"skimage": "scikit-image"}.get(name.partition(".")[0], name.partition(".")[0])
        raise UserError(f"model: features need {package}: pip install 'repronet[classical]'") from error
