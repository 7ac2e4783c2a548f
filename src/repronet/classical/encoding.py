"""Encoding the local descriptors of an image as one vector: word counts in a spatial pyramid, and Fisher vectors."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def nearness(descriptors: Tensor, words: Tensor) -> Tensor:
    """2·xᵀw − ‖w‖² = ‖x‖² − ‖x − w‖², largest for the word w nearest to x: (…, D) and (K, D) → (…, K)."""
    return 2 * descriptors @ words.t() - words.square().sum(1)


def pyramid(words: Tensor, vocabulary: int, levels: int) -> Tensor:
    """Weighted word counts in each cell: int64 (N, h, w) → (N, K · (1 + 4 + 16 + …)), level by level, row by row.

    Level l divides the image into 2^l × 2^l cells. Its counts, as fractions of h·w, are weighted as in S. Lazebnik,
    C. Schmid, J. Ponce, "Beyond Bags of Features", CVPR 2006, equation 3: 2^−L at level 0, and 2^−(L − l + 1) above.

    Args:
        vocabulary: K.
        levels: L + 1, the number of levels.
    """
    images, height, width = words.shape
    found = []
    for level in range(levels):
        cells = 2**level
        row = torch.arange(height, device=words.device) * cells // height  # (h,)
        column = torch.arange(width, device=words.device) * cells // width  # (w,)
        cell = row[:, None] * cells + column  # (h, w)
        index = (cell * vocabulary + words).flatten(1)  # (N, h·w)
        counts = torch.zeros(images, cells * cells * vocabulary, device=words.device)
        counts.scatter_add_(1, index, torch.ones_like(index, dtype=counts.dtype))
        found.append(counts / (height * width) / 2.0 ** (levels - max(level, 1)))
    return torch.cat(found, dim=1)


def posteriors(descriptors: Tensor, weights: Tensor, means: Tensor, variances: Tensor) -> Tensor:
    """γ, the posterior probability of each Gaussian of the mixture for each descriptor: (…, D) → (…, K)."""
    return F.softmax(log_densities(descriptors, weights, means, variances), dim=-1)


def log_densities(descriptors: Tensor, weights: Tensor, means: Tensor, variances: Tensor) -> Tensor:
    """log(w·N(x; μ, σ²)) of each Gaussian, without the constant −D/2·log(2π): (…, D) → (…, K).

    Args:
        weights: w, (K,).
        means, variances: (K, D), of diagonal Gaussians.
    """
    precisions = 1 / variances
    squares = descriptors.square() @ precisions.t() - 2 * descriptors @ (means * precisions).t()  # (…, K)
    constant = weights.log() - (variances.log() + means.square() * precisions).sum(1) / 2
    return constant - squares / 2


def fisher_vector(descriptors: Tensor, weights: Tensor, means: Tensor, variances: Tensor) -> Tensor:
    """Fisher vectors: scaled log-likelihood gradients by the mixture's parameters, (N, P, D) → (N, 2·K·D).

    The gradients by means, then by standard deviations, after a signed square root and scaling to unit length::

        G_μk = 1/(P·√w_k)    Σ_p γ_p(k) (x_p − μ_k)/σ_k
        G_σk = 1/(P·√(2w_k)) Σ_p γ_p(k) ((x_p − μ_k)²/σ_k² − 1)

    F. Perronnin, J. Sánchez, T. Mensink, "Improving the Fisher Kernel for Large-Scale Image Classification", ECCV 2010,
    sections 2.1, 3.1 and 3.2.
    """
    places, gamma = descriptors.shape[1], posteriors(descriptors, weights, means, variances)
    count = gamma.sum(1).unsqueeze(-1)  # (N, K, 1)
    first = gamma.transpose(1, 2) @ descriptors  # (N, K, D)
    second = gamma.transpose(1, 2) @ descriptors.square()
    by_mean = (first - means * count) / variances.sqrt()
    by_deviation = (second - 2 * means * first + means.square() * count) / variances - count
    scale = 1 / (places * weights.sqrt()).unsqueeze(-1)  # (K, 1)
    both = torch.stack((by_mean * scale, by_deviation * scale / math.sqrt(2)), dim=1).flatten(1)
    return F.normalize(both.sign() * both.abs().sqrt(), dim=1)
