"""Every operator again in plain operations, which torch.autograd differentiates. Slow, short and easy to check."""

from __future__ import annotations

from collections.abc import Callable

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
    """Sum over channels and window elements, filter by filter."""
    views = windows(x, (w.shape[2], w.shape[3]), stride, padding, dilation)  # (N, C, Ho, Wo, kh·kw)
    per_group, filters = w.shape[1], w.shape[0] // groups
    maps = []
    for o in range(w.shape[0]):
        first = o // filters * per_group
        seen = views[:, first : first + per_group]  # (N, C/G, Ho, Wo, kh·kw)
        total = (seen * w[o].flatten(1)[:, None, None]).sum((1, 4))  # (N, Ho, Wo)
        maps.append(total if b is None else total + b[o])
    return torch.stack(maps, dim=1)


def conv_transpose2d(
    x: Tensor,
    w: Tensor,
    b: Tensor,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    output_padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Tensor:
    """Add each input times its filters at the filters' place: (N, C, H, W), (C, O/G, kh, kw) → (N, O, Ho, Wo)."""
    (sh, sw), (ph, pw), (dh, dw), (kh, kw) = stride, padding, dilation, w.shape[2:]
    height = (x.shape[2] - 1) * sh + dh * (kh - 1) + 1 + output_padding[0]
    width = (x.shape[3] - 1) * sw + dw * (kw - 1) + 1 + output_padding[1]
    total = x.new_zeros((x.shape[0], w.shape[1] * groups, height, width))
    filters = w.unflatten(0, (groups, -1))  # (G, C/G, O/G, kh, kw)
    for r in range(x.shape[2]):
        for c in range(x.shape[3]):
            unit = x[:, :, r, c].unflatten(1, (groups, -1))[..., None, None, None]  # (N, G, C/G, 1, 1, 1)
            spread = (unit * filters).sum(2).flatten(1, 2)  # (N, O, kh, kw)
            top, left = r * sh, c * sw
            total[:, :, top : top + dh * (kh - 1) + 1 : dh, left : left + dw * (kw - 1) + 1 : dw] += spread
    return total[:, :, ph : height - ph, pw : width - pw] + b[:, None, None]


def max_pool2d(x: Tensor, kernel_size: Pair, stride: Pair, padding: Pair = (0, 0), dilation: Pair = (1, 1)) -> Tensor:
    return windows(x, kernel_size, stride, padding, dilation, -torch.inf).max(dim=-1).values


def avg_pool2d(
    x: Tensor, kernel_size: Pair, stride: Pair, padding: Pair = (0, 0), count_include_pad: bool = True
) -> Tensor:
    total = windows(x, kernel_size, stride, padding, (1, 1)).sum(-1)
    if count_include_pad:
        return total / (kernel_size[0] * kernel_size[1])
    return total / windows(torch.ones_like(x), kernel_size, stride, padding, (1, 1)).sum(-1)


def linear(x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    total = (x.unsqueeze(-2) * w).sum(-1)
    return total if b is None else total + b


def batch_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Batch normalisation with the batch's own statistics."""
    along = (-1, *(1,) * (x.dim() - 2))
    return standardized(x, (0, *range(2, x.dim()))) * weight.reshape(along) + bias.reshape(along)


def locally_connected2d(x: Tensor, w: Tensor, b: Tensor, stride: Pair, padding: Pair) -> Tensor:
    views = windows(x, (w.shape[2], w.shape[3]), stride, padding, (1, 1))  # (N, C, Ho, Wo, kh·kw)
    seen = views.unsqueeze(1)  # (N, 1, C, Ho, Wo, kh·kw)
    return (seen * w.flatten(2, 3).permute(0, 1, 3, 4, 2)).sum((2, 5)) + b


def adaptive_pool2d(x: Tensor, output_size: Pair, pool: Callable[..., Tensor]) -> Tensor:
    """Window i spans floor(i·H/Ho) to ceil((i+1)·H/Ho)."""
    (h, w), (ho, wo) = x.shape[2:], output_size
    rows = []
    for r in range(ho):
        strip = x[:, :, r * h // ho : -(-(r + 1) * h // ho)]
        row = [pool(strip[..., c * w // wo : -(-(c + 1) * w // wo)], dim=(2, 3)) for c in range(wo)]
        rows.append(torch.stack(row, -1))
    return torch.stack(rows, -2)


def lp_pool2d(x: Tensor, norm_type: float, kernel_size: Pair, stride: Pair) -> Tensor:
    """Lp pooling of positive x, for which the sign of a sum of powers does not matter."""
    return (windows(x, kernel_size, stride, (0, 0), (1, 1)) ** norm_type).sum(-1) ** (1 / norm_type)


def feature_pool(x: Tensor, pool_size: int) -> Tensor:
    return torch.stack([(part**2).sum(1) ** 0.5 for part in x.split(pool_size, 1)], 1)


def standardized(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    centred = x - x.mean(dims, keepdim=True)
    return centred / ((centred**2).mean(dims, keepdim=True) + 1e-5) ** 0.5


def group_norm(x: Tensor, groups: int, weight: Tensor, bias: Tensor) -> Tensor:
    size = x.shape[1] // groups
    parts = [standardized(part, tuple(range(1, x.dim()))) for part in x.split(size, 1)]
    along = (-1, *(1,) * (x.dim() - 2))
    return torch.cat(parts, 1) * weight.reshape(along) + bias.reshape(along)


def local_response_norm(x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    channels = []
    for i in range(x.shape[1]):
        first = i - size // 2
        around = x[:, max(0, first) : first + size]
        channels.append(x[:, i] / (k + alpha * (around**2).sum(1)) ** beta)
    return torch.stack(channels, 1)


def local_response_norm_within_maps(x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    rows = []
    for r in range(x.shape[2]):
        top, row = r - size // 2, []
        for c in range(x.shape[3]):
            left = c - size // 2
            around = x[:, :, max(0, top) : top + size, max(0, left) : left + size]
            row.append(x[:, :, r, c] / (k + alpha * (around**2).sum((2, 3)) / size**2) ** beta)
        rows.append(torch.stack(row, 2))
    return torch.stack(rows, 2)


def _local_mean(x: Tensor) -> Tensor:
    """The mean over all channels and a 3×3 Gaussian of deviation 1, inside the image: (N, C, H, W) → (N, 1, H, W)."""
    positions = torch.tensor([-1.0, 0.0, 1.0], dtype=x.dtype)
    window = torch.exp(-(positions[:, None] ** 2 + positions**2) / 2).flatten()
    one = torch.ones_like(x[:1, :1])
    views, inside = (windows(t, (3, 3), (1, 1), (1, 1), (1, 1)) for t in (x.mean(1, keepdim=True), one))
    return (views * window).sum(-1) / (inside * window).sum(-1)


def subtractive_norm(x: Tensor) -> Tensor:
    return x - _local_mean(x)


def divisive_norm(x: Tensor) -> Tensor:
    deviation = _local_mean(x**2) ** 0.5
    average = deviation.mean((2, 3), keepdim=True)
    return x / torch.where(deviation > average, deviation, average)


def split(x: Tensor, below: Callable[[Tensor], Tensor]) -> Tensor:
    """x where it is positive, `below(x)` elsewhere."""
    return torch.where(x > 0, x, below(x))


def soft_cross_entropy(x: Tensor, shares: Tensor) -> Tensor:
    return -(shares * (x - x.exp().sum(1, keepdim=True).log())).sum(1).mean()


def cross_entropy(x: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    right = x[range(len(target)), target] - x.exp().sum(1).log()
    return -(right * weight[target]).sum() / weight[target].sum()


def multiclass_hinge(x: Tensor, target: Tensor, p: int) -> Tensor:
    total = x.new_zeros(())
    for n, label in enumerate(target.tolist()):
        for j in range(x.shape[1]):
            if j != label:
                total = total + (1 - x[n, label] + x[n, j]).clamp(min=0) ** p
    return total / x.numel()


def binary_cross_entropy(x: Tensor, t: Tensor, pos_weight: Tensor) -> Tensor:
    probability = 1 / (1 + (-x).exp())
    return -(pos_weight * t * probability.log() + (1 - t) * (1 - probability).log()).mean()


def rbf_loss(x: Tensor, labels: Tensor, rubbish: float) -> Tensor:
    others = (x.exp().sum(1) + torch.tensor(-rubbish, dtype=x.dtype).exp()).log()
    return (others - x[range(len(labels)), labels]).mean()
