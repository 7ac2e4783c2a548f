"""Generator and discriminator of DCGAN (Radford et al. 2016, section 3), also used here for AC-GAN and BAGAN.

A. Radford, L. Metz, S. Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks", ICLR 2016, arXiv:1511.06434. Spectral normalization instead of batch norm in the discriminator: T. Miyato et
al., "Spectral Normalization for Generative Adversarial Networks", ICLR 2018, arXiv:1802.05957.
"""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

import repronet.layers
from repronet.constraints import is_side
from repronet.errors import UserError


def stages_for(size: int) -> int:
    """The number of doublings from 4×4 to ``size``.

    Raises:
        UserError: when ``size`` is not a power of 2, or below 8.
    """
    if not is_side(size):
        raise UserError(f"size={size}: must be a power of 2 of at least 8, such as 32")
    return size.bit_length() - 3


class Generator(nn.Module):
    """Codes (N, L) → images (N, C, S, S) from −1 to 1.

    Projection (L → 2ᵏ⁻¹·width × 4×4), batch norm, ReLU; then k times: 4×4 transposed convolution, stride 2, with half
    the maps, batch norm, ReLU; the last one has C maps, no norm, and tanh. k = log₂(S/4).
    """

    def __init__(self, codes: int, channels: int, size: int, width: int, layers: ModuleType = repronet.layers):
        super().__init__()
        stages = stages_for(size)
        maps = [*(width << stage for stage in reversed(range(stages))), channels]
        parts: list[nn.Module] = [layers.ConvTranspose2d(codes, maps[0], 4, bias=False)]
        for stage in range(stages):
            parts += [layers.BatchNorm2d(maps[stage]), layers.ReLU()]
            normed = stage < stages - 1
            parts += [layers.ConvTranspose2d(*maps[stage : stage + 2], 4, stride=2, padding=1, bias=not normed)]
        self.stages = layers.Sequential(*parts, layers.Tanh())
        self.apply(dcgan_initial)

    def forward(self, codes: Tensor) -> Tensor:
        return self.stages(codes[:, :, None, None])  # (N, L, 1, 1) → (N, C, S, S)


class Discriminator(nn.Module):
    """Images (N, C, S, S) → ``outputs`` scores (N, outputs).

    k times: 4×4 convolution, stride 2, norm (first: no batch norm, section 3), leaky ReLU 0.2, dropout; then linear.
    """

    def __init__(
        self,
        outputs: int,
        channels: int,
        size: int,
        width: int,
        norm: str = "batch",
        dropout: float = 0.0,
        layers: ModuleType = repronet.layers,
    ):
        super().__init__()
        stages = stages_for(size)
        maps = [channels, *(width << stage for stage in range(stages))]
        parts: list[nn.Module] = []
        for stage in range(stages):
            normed = norm == "batch" and stage > 0
            parts += [layers.Conv2d(*maps[stage : stage + 2], 4, stride=2, padding=1, bias=not normed)]
            parts += [layers.BatchNorm2d(maps[stage + 1])] if normed else []
            parts += [layers.LeakyReLU(0.2), *([layers.Dropout(dropout)] if dropout else [])]
        self.body = layers.Sequential(*parts, layers.Flatten())  # → (N, features)
        self.features = maps[-1] * 4 * 4
        self.head = layers.Linear(self.features, outputs)
        self.apply(dcgan_initial)
        if norm == "spectral":
            for module in self.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    spectral_norm(module)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images))


@torch.no_grad()
def dcgan_initial(module: nn.Module) -> None:
    """Initialize weights from N(0, 0.02²) (section 4), batch norm's from N(1, 0.02²) as the authors' code; biases 0."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.BatchNorm2d):
        nn.init.normal_(module.weight, float(isinstance(module, nn.BatchNorm2d)), 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
