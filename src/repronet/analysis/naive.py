"""Every operator once more in plain operations, for torch.autograd to differentiate. Slow, short, easy to believe."""

from __future__ import annotations

import torch
from torch import Tensor

Pair = tuple[int, int]


def windows(x: Tensor, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, value: float = 0.0) -> Tensor:
    """Every window, one slice after another: (N, C, H, W) → (N, C, Ho, Wo, kh·kw)."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = kernel, stride, padding, dilation
    padded = torch.constant_pad_nd(x, (pw, pw, ph, ph), value)
    ho = (padded.shape[2] - dh * (kh - 1) - 1) // sh + 1
    wo = (padded.shape[3] - dw * (kw - 1) - 1) // sw + 1
    rows = []
    for r in range(ho):
        for c in range(wo):
            top, left = r * sh, c * sw
            window = padded[:, :, top : top + dh * (kh - 1) + 1 : dh, left : left + dw * (kw - 1) + 1 : dw]
            rows.append(window.flatten(2))  # (N, C, kh·kw)
    return torch.stack(rows, dim=2).unflatten(2, (ho, wo))


def conv2d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Tensor:
    """Σ over channels and window elements, filter by filter."""
    views = windows(x, (w.shape[2], w.shape[3]), stride, padding, dilation)  # (N, C, Ho, Wo, kh·kw)
    per_group, filters = w.shape[1], w.shape[0] // groups
    maps = []
    for o in range(w.shape[0]):
        first = o // filters * per_group
        seen = views[:, first : first + per_group]  # (N, C/G, Ho, Wo, kh·kw)
        total = (seen * w[o].flatten(1)[:, None, None]).sum((1, 4))  # (N, Ho, Wo)
        maps.append(total if b is None else total + b[o])
    return torch.stack(maps, dim=1)


def max_pool2d(x: Tensor, kernel: Pair, stride: Pair, padding: Pair = (0, 0), dilation: Pair = (1, 1)) -> Tensor:
    return windows(x, kernel, stride, padding, dilation, -torch.inf).max(dim=-1).values


def avg_pool2d(x: Tensor, kernel: Pair, stride: Pair, padding: Pair = (0, 0), count_include_pad: bool = True) -> Tensor:
    total = windows(x, kernel, stride, padding, (1, 1)).sum(-1)
    counted = torch.ones_like(x) if not count_include_pad else torch.ones_like(total)
    count = (
        windows(counted, kernel, stride, padding, (1, 1)).sum(-1) if not count_include_pad else kernel[0] * kernel[1]
    )
    return total / count


def linear(x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    total = (x.unsqueeze(-2) * w).sum(-1)
    return total if b is None else total + b


def batch_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float = 1e-5) -> Tensor:
    """With the batch's own statistics."""
    around = (0, *range(2, x.dim()))
    mean = x.mean(around, keepdim=True)
    variance = ((x - mean) ** 2).mean(around, keepdim=True)
    shape = (1, -1, *(1,) * (x.dim() - 2))
    return (x - mean) / (variance + eps) ** 0.5 * weight.reshape(shape) + bias.reshape(shape)
