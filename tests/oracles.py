"""Every operator once more, as loops over single numbers: slow, in float64, and easy to believe."""

import math

import numpy as np
import torch
from torch import Tensor

Pair = tuple[int, int]


def _numbers(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def _count(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool = False) -> int:
    """Count the windows by sliding one along."""
    count, start = 0, -padding
    while start + dilation * (kernel - 1) < size + padding:
        count, start = count + 1, start + stride
    overhangs = start - stride + dilation * (kernel - 1) < size + padding - 1 or count == 0
    return count + 1 if ceil_mode and overhangs and start < size else count


def conv2d(x, w, bias=None, stride: Pair = (1, 1), padding: Pair = (0, 0), dilation: Pair = (1, 1), groups: int = 1):
    """y[n,o,r,c] = Σ x[n, i, r·S−P+a·D, c·S−P+b·D]·w[o,i,a,b] + bias[o]."""
    x, w = _numbers(x), _numbers(w)
    (N, _, H, W), (K, per_group, kh, kw) = x.shape, w.shape  # K filters
    Ho = _count(H, kh, stride[0], padding[0], dilation[0])
    Wo = _count(W, kw, stride[1], padding[1], dilation[1])
    y = np.zeros((N, K, Ho, Wo))
    for n, o, r, c in np.ndindex(N, K, Ho, Wo):
        first = o // (K // groups) * per_group  # the first channel of this filter's group
        for i, a, b in np.ndindex(per_group, kh, kw):
            h, v = r * stride[0] - padding[0] + a * dilation[0], c * stride[1] - padding[1] + b * dilation[1]
            if 0 <= h < H and 0 <= v < W:
                y[n, o, r, c] += x[n, first + i, h, v] * w[o, i, a, b]
        if bias is not None:
            y[n, o, r, c] += float(bias[o])
    return torch.from_numpy(y)


def conv2d_gradients(
    g, x, w, stride: Pair = (1, 1), padding: Pair = (0, 0), dilation: Pair = (1, 1), groups: int = 1
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients for input, weight and bias: every product of the forward sum hands its share back."""
    g, x, w = _numbers(g), _numbers(x), _numbers(w)
    (N, K, Ho, Wo), (_, _, H, W), (_, per_group, kh, kw) = g.shape, x.shape, w.shape  # K filters
    gx, gw, gb = np.zeros_like(x), np.zeros_like(w), np.zeros(K)
    for n, o, r, c in np.ndindex(N, K, Ho, Wo):
        gb[o] += g[n, o, r, c]
        first = o // (K // groups) * per_group
        for i, a, b in np.ndindex(per_group, kh, kw):
            h, v = r * stride[0] - padding[0] + a * dilation[0], c * stride[1] - padding[1] + b * dilation[1]
            if 0 <= h < H and 0 <= v < W:
                gw[o, i, a, b] += g[n, o, r, c] * x[n, first + i, h, v]
                gx[n, first + i, h, v] += g[n, o, r, c] * w[o, i, a, b]
    return torch.from_numpy(gx), torch.from_numpy(gw), torch.from_numpy(gb)


def conv_transpose2d(x, w, bias=None, stride=(1, 1), padding=(0, 0), beyond=(0, 0), dilation=(1, 1), groups=1):
    """y[n, o, r·S−P+a·D, c·S−P+b·D] += x[n,i,r,c]·w[i,o,a,b], and bias[o]; `beyond` is the output padding."""
    x, w = _numbers(x), _numbers(w)
    (N, C, H, W), (_, per_group, kh, kw) = x.shape, w.shape
    Ho = (H - 1) * stride[0] - 2 * padding[0] + dilation[0] * (kh - 1) + 1 + beyond[0]
    Wo = (W - 1) * stride[1] - 2 * padding[1] + dilation[1] * (kw - 1) + 1 + beyond[1]
    y = np.zeros((N, per_group * groups, Ho, Wo))
    for n, i, r, c in np.ndindex(N, C, H, W):
        first = i // (C // groups) * per_group  # the first filter of this channel's group
        for o, a, b in np.ndindex(per_group, kh, kw):
            h, v = r * stride[0] - padding[0] + a * dilation[0], c * stride[1] - padding[1] + b * dilation[1]
            if 0 <= h < Ho and 0 <= v < Wo:
                y[n, first + o, h, v] += x[n, i, r, c] * w[i, o, a, b]
    return torch.from_numpy(y if bias is None else y + _numbers(bias)[:, None, None])


def conv_transpose2d_gradients(g, x, w, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    """Gradients for input, weight and bias: every product of the forward sum hands its share back."""
    g, x, w = _numbers(g), _numbers(x), _numbers(w)
    (N, C, H, W), (_, per_group, kh, kw) = x.shape, w.shape
    gx, gw = np.zeros_like(x), np.zeros_like(w)
    for n, i, r, c in np.ndindex(N, C, H, W):
        first = i // (C // groups) * per_group
        for o, a, b in np.ndindex(per_group, kh, kw):
            h, v = r * stride[0] - padding[0] + a * dilation[0], c * stride[1] - padding[1] + b * dilation[1]
            if 0 <= h < g.shape[2] and 0 <= v < g.shape[3]:
                gx[n, i, r, c] += g[n, first + o, h, v] * w[i, o, a, b]
                gw[i, o, a, b] += g[n, first + o, h, v] * x[n, i, r, c]
    return torch.from_numpy(gx), torch.from_numpy(gw), torch.from_numpy(g.sum((0, 2, 3)))


def _window(size: Pair, r: int, c: int, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair):
    """Positions inside the image that window (r, c) covers, in scan order."""
    for a, b in np.ndindex(*kernel):
        h, v = r * stride[0] - padding[0] + a * dilation[0], c * stride[1] - padding[1] + b * dilation[1]
        if 0 <= h < size[0] and 0 <= v < size[1]:
            yield h, v


def max_pool2d(
    x, kernel: Pair, stride: Pair, padding: Pair = (0, 0), dilation: Pair = (1, 1), ceil_mode: bool = False
) -> tuple[Tensor, Tensor]:
    """Largest element of each window and its position h·W + w; the first among equals, the last NaN before all."""
    x = _numbers(x)
    N, C, H, W = x.shape
    Ho = _count(H, kernel[0], stride[0], padding[0], dilation[0], ceil_mode)
    Wo = _count(W, kernel[1], stride[1], padding[1], dilation[1], ceil_mode)
    y, where = np.zeros((N, C, Ho, Wo)), np.zeros((N, C, Ho, Wo), dtype=np.int64)
    for n, ch, r, c in np.ndindex(N, C, Ho, Wo):
        best = None
        for h, v in _window((H, W), r, c, kernel, stride, padding, dilation):
            value = x[n, ch, h, v]
            if best is None or value > best or math.isnan(value):
                best, where[n, ch, r, c] = value, h * W + v
        y[n, ch, r, c] = best
    return torch.from_numpy(y), torch.from_numpy(where)


def max_pool2d_gradient(g, where, size: Pair) -> Tensor:
    """Each output's gradient goes to the position of its maximum."""
    g, where = _numbers(g), where.numpy()
    gx = np.zeros((*g.shape[:2], *size))
    for n, ch, r, c in np.ndindex(*g.shape):
        gx[n, ch, where[n, ch, r, c] // size[1], where[n, ch, r, c] % size[1]] += g[n, ch, r, c]
    return torch.from_numpy(gx)


def _mean_count(size: Pair, r: int, c: int, kernel: Pair, stride: Pair, padding: Pair, with_padding: bool) -> int:
    """How many elements of window (r, c) the mean counts: those inside the image, or inside image and padding."""
    count = 0
    for a, b in np.ndindex(*kernel):
        h, v = r * stride[0] - padding[0] + a, c * stride[1] - padding[1] + b
        margins = padding if with_padding else (0, 0)
        count += -margins[0] <= h < size[0] + margins[0] and -margins[1] <= v < size[1] + margins[1]
    return count


def avg_pool2d(
    x,
    kernel: Pair,
    stride: Pair,
    padding: Pair = (0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> Tensor:
    """Mean of each window."""
    x = _numbers(x)
    N, C, H, W = x.shape
    Ho = _count(H, kernel[0], stride[0], padding[0], 1, ceil_mode)
    Wo = _count(W, kernel[1], stride[1], padding[1], 1, ceil_mode)
    y = np.zeros((N, C, Ho, Wo))
    for n, ch, r, c in np.ndindex(N, C, Ho, Wo):
        for h, v in _window((H, W), r, c, kernel, stride, padding, (1, 1)):
            y[n, ch, r, c] += x[n, ch, h, v]
        y[n, ch, r, c] /= divisor or _mean_count((H, W), r, c, kernel, stride, padding, count_include_pad)
    return torch.from_numpy(y)


def avg_pool2d_gradient(g, size: Pair, kernel: Pair, stride: Pair, padding: Pair = (0, 0)) -> Tensor:
    """Each output's gradient is shared evenly over its window (padding counted)."""
    g = _numbers(g)
    gx = np.zeros((*g.shape[:2], *size))
    for n, ch, r, c in np.ndindex(*g.shape):
        for h, v in _window(size, r, c, kernel, stride, padding, (1, 1)):
            gx[n, ch, h, v] += g[n, ch, r, c] / _mean_count(size, r, c, kernel, stride, padding, True)
    return torch.from_numpy(gx)


def _span(i: int, size: int, count: int) -> range:
    """The elements that window i of `count` covers along an axis: ⌊i·size/count⌋ … ⌈(i+1)·size/count⌉ − 1."""
    return range(math.floor(i * size / count), math.ceil((i + 1) * size / count))


def adaptive_avg_pool2d(x, size: Pair) -> Tensor:
    """Mean of each window."""
    x = _numbers(x)
    y = np.zeros((*x.shape[:2], *size))
    for n, ch, r, c in np.ndindex(*y.shape):
        rows, columns = _span(r, x.shape[2], size[0]), _span(c, x.shape[3], size[1])
        y[n, ch, r, c] = sum(x[n, ch, h, v] for h in rows for v in columns) / (len(rows) * len(columns))
    return torch.from_numpy(y)


def adaptive_avg_pool2d_gradient(g, size: Pair) -> Tensor:
    """Each output's gradient is shared evenly over its window."""
    g = _numbers(g)
    gx = np.zeros((*g.shape[:2], *size))
    for n, ch, r, c in np.ndindex(*g.shape):
        rows, columns = _span(r, size[0], g.shape[2]), _span(c, size[1], g.shape[3])
        for h in rows:
            for v in columns:
                gx[n, ch, h, v] += g[n, ch, r, c] / (len(rows) * len(columns))
    return torch.from_numpy(gx)


def adaptive_max_pool2d(x, size: Pair) -> tuple[Tensor, Tensor]:
    """Largest element of each window, the first among equals, and its position h·W + w."""
    x = _numbers(x)
    y, where = np.zeros((*x.shape[:2], *size)), np.zeros((*x.shape[:2], *size), dtype=np.int64)
    for n, ch, r, c in np.ndindex(*y.shape):
        window = [(h, v) for h in _span(r, x.shape[2], size[0]) for v in _span(c, x.shape[3], size[1])]
        h, v = max(window, key=lambda position: x[n, ch, position[0], position[1]])
        y[n, ch, r, c], where[n, ch, r, c] = x[n, ch, h, v], h * x.shape[3] + v
    return torch.from_numpy(y), torch.from_numpy(where)


def lp_pool2d(x, p: float, kernel: Pair, stride: Pair) -> Tensor:
    """(Σ x^p)^(1/p) over each window."""
    x = _numbers(x)
    N, C, H, W = x.shape
    y = np.zeros((N, C, _count(H, kernel[0], stride[0], 0, 1), _count(W, kernel[1], stride[1], 0, 1)))
    for n, ch, r, c in np.ndindex(*y.shape):
        window = _window((H, W), r, c, kernel, stride, (0, 0), (1, 1))
        y[n, ch, r, c] = sum(float(x[n, ch, h, v]) ** p for h, v in window) ** (1 / p)
    return torch.from_numpy(y)


def lp_pool2d_gradient(g, x, p: float, kernel: Pair, stride: Pair) -> Tensor:
    """The lectures' (Σ|x|^p)^(1/p − 1)·|x_i|^(p − 1)·sign(x_i), which is torch's for even p."""
    g, x = _numbers(g), _numbers(x)
    gx = np.zeros_like(x)
    for n, ch, r, c in np.ndindex(*g.shape):
        window = list(_window(x.shape[2:], r, c, kernel, stride, (0, 0), (1, 1)))
        total = sum(abs(float(x[n, ch, h, v])) ** p for h, v in window)
        for h, v in window:
            value = float(x[n, ch, h, v])
            slope = total ** (1 / p - 1) * abs(value) ** (p - 1) * math.copysign(1, value) if total else 0.0
            gx[n, ch, h, v] += g[n, ch, r, c] * slope
    return torch.from_numpy(gx)


def feature_pool(x, size: int) -> Tensor:
    """√Σ x² over each `size` channels in a row."""
    x = _numbers(x)
    y = np.zeros((x.shape[0], x.shape[1] // size, *x.shape[2:]))
    for n, o, r, c in np.ndindex(*y.shape):
        y[n, o, r, c] = math.sqrt(sum(x[n, o * size + i, r, c] ** 2 for i in range(size)))
    return torch.from_numpy(y)


def linear(x, w, bias=None) -> Tensor:
    """y[n,o] = Σ x[n,i]·w[o,i] + bias[o]."""
    x, w = _numbers(x), _numbers(w)
    y = np.zeros((x.shape[0], w.shape[0]))
    for n, o, i in np.ndindex(*y.shape, x.shape[1]):
        y[n, o] += x[n, i] * w[o, i]
    return torch.from_numpy(y) + (0 if bias is None else bias.detach().double())


def relu(x) -> Tensor:
    """max(0, x), number by number."""
    return torch.tensor([value if value > 0 else 0.0 for value in _numbers(x).flat]).double().reshape(x.shape)


def tanh(x) -> Tensor:
    """math.tanh, number by number."""
    return torch.tensor([math.tanh(v) for v in _numbers(x).flat], dtype=torch.float64).reshape(x.shape)


def leaky_relu(x, slope: float) -> Tensor:
    """x or slope·x, number by number."""
    return _each(x, lambda value: value if value > 0 else slope * value)


def prelu(x, w) -> Tensor:
    """x or w·x with the w of its channel, number by number."""
    x, w = _numbers(x), _numbers(w)
    y = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        y[index] = x[index] if x[index] > 0 else x[index] * w[index[1] if w.size > 1 else 0]
    return torch.from_numpy(y)


def elu(x, alpha: float) -> Tensor:
    """x or alpha·(e^x − 1), number by number."""
    return _each(x, lambda value: value if value > 0 else alpha * (math.exp(value) - 1))


def sigmoid(x) -> Tensor:
    """1/(1 + e^−x), number by number."""
    return _each(x, lambda value: 1 / (1 + math.exp(-value)))


def softmax(x) -> Tensor:
    """e^x over the sum of its row: (N, C)."""
    x = _numbers(x)
    y = np.zeros_like(x)
    for n, c in np.ndindex(*x.shape):
        y[n, c] = math.exp(x[n, c]) / math.fsum(math.exp(value) for value in x[n])
    return torch.from_numpy(y)


def maxout(x, size: int) -> tuple[Tensor, Tensor]:
    """The largest of each `size` channels in a row, and 1 where the first of the largest is: (N, C)."""
    x = _numbers(x)
    y, winners = np.zeros((x.shape[0], x.shape[1] // size)), np.zeros_like(x)
    for n, o in np.ndindex(*y.shape):
        group = [float(value) for value in x[n, o * size : (o + 1) * size]]
        y[n, o] = max(group)
        winners[n, o * size + group.index(max(group))] = 1
    return torch.from_numpy(y), torch.from_numpy(winners)


def _each(x, function) -> Tensor:
    """The function of every number."""
    return torch.tensor([function(float(value)) for value in _numbers(x).flat], dtype=torch.float64).reshape(x.shape)


def batch_norm(x, weight, bias, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise channel by channel; also the mean and the biased variance that were used."""
    x = _numbers(x)
    y, means, variances = np.zeros_like(x), [], []
    for ch in range(x.shape[1]):
        values = [float(v) for v in x[:, ch].flat]
        mean = math.fsum(values) / len(values)
        variance = math.fsum((v - mean) ** 2 for v in values) / len(values)
        y[:, ch] = (x[:, ch] - mean) / math.sqrt(variance + eps) * float(weight[ch]) + float(bias[ch])
        means.append(mean)
        variances.append(variance)
    return torch.from_numpy(y), torch.tensor(means).double(), torch.tensor(variances, dtype=torch.float64)


def layer_norm(x, weight, bias, dims: int, eps: float) -> Tensor:
    """Normalise each row of the last `dims` dimensions."""
    x, y = _numbers(x), np.zeros(tuple(x.shape))
    for row in np.ndindex(*x.shape[: x.ndim - dims]):
        values = [float(v) for v in x[row].flat]
        mean = math.fsum(values) / len(values)
        variance = math.fsum((v - mean) ** 2 for v in values) / len(values)
        y[row] = (x[row] - mean) / math.sqrt(variance + eps) * _numbers(weight) + _numbers(bias)
    return torch.from_numpy(y)


def group_norm(x, groups: int, weight, bias, eps: float) -> Tensor:
    """Normalise each image's channels, `C/groups` at a time."""
    x, y = _numbers(x), np.zeros(tuple(x.shape))
    size = x.shape[1] // groups
    for n, group in np.ndindex(x.shape[0], groups):
        channels = range(group * size, (group + 1) * size)
        values = [float(v) for ch in channels for v in x[n, ch].flat]
        mean = math.fsum(values) / len(values)
        variance = math.fsum((v - mean) ** 2 for v in values) / len(values)
        for ch in channels:
            y[n, ch] = (x[n, ch] - mean) / math.sqrt(variance + eps) * float(weight[ch]) + float(bias[ch])
    return torch.from_numpy(y)


def local_response_norm(x, size: int, alpha: float, beta: float, k: float) -> Tensor:
    """b_i = a_i/(k + α·Σ a_j²)^β with j from i − n/2 to i + n/2, as far as there are channels."""
    x, y = _numbers(x), np.zeros(tuple(x.shape))
    for n, i, r, c in np.ndindex(*x.shape):
        first = i - size // 2
        around = [j for j in range(first, first + size) if 0 <= j < x.shape[1]]
        y[n, i, r, c] = x[n, i, r, c] / (k + alpha * sum(x[n, j, r, c] ** 2 for j in around)) ** beta
    return torch.from_numpy(y)


def local_response_norm_within_maps(x, size: int, alpha: float, beta: float, k: float) -> Tensor:
    """x/(k + α/n²·Σ x²)^β over the n × n pixels around, as far as there are pixels."""
    x, y, half = _numbers(x), np.zeros(tuple(x.shape)), size // 2
    for n, c, i, j in np.ndindex(*x.shape):
        total = 0.0
        for a in range(max(0, i - half), min(x.shape[2], i - half + size)):
            for b in range(max(0, j - half), min(x.shape[3], j - half + size)):
                total += x[n, c, a, b] ** 2
        y[n, c, i, j] = x[n, c, i, j] / (k + alpha / size**2 * total) ** beta
    return torch.from_numpy(y)


def local_contrast_norm(x, size: int, deviation: float) -> tuple[Tensor, Tensor]:
    """Jarrett's subtractive v and the y that division makes of it, one position after another."""
    x = _numbers(x)
    (N, C, H, W), half = x.shape, size // 2

    def mean(maps, r, c):
        total = weights = 0.0
        for p, q in np.ndindex(size, size):
            h, w = r + p - half, c + q - half
            if 0 <= h < H and 0 <= w < W:
                weight = math.exp(-((p - half) ** 2 + (q - half) ** 2) / (2 * deviation**2))
                weights += weight
                total += weight * sum(maps[ch, h, w] for ch in range(C)) / C
        return total / weights

    v, y = np.zeros_like(x), np.zeros_like(x)
    for n in range(N):
        for r, c in np.ndindex(H, W):
            v[n, :, r, c] = x[n, :, r, c] - mean(x[n], r, c)
        sigma = np.array([[math.sqrt(mean(v[n] ** 2, r, c)) for c in range(W)] for r in range(H)])
        y[n] = v[n] / np.maximum(sigma, sigma.mean())
    return torch.from_numpy(v), torch.from_numpy(y)


def cross_entropy(x, t, w) -> Tensor:
    """−Σ w·t·log p of each row: (N, C), class probabilities (N, C) and weights (C,)."""
    p, t, w = _numbers(softmax(x)), _numbers(t), _numbers(w)
    losses = [-sum(w[c] * t[n, c] * math.log(p[n, c]) for c in range(len(w))) for n in range(len(t))]
    return torch.tensor(losses, dtype=torch.float64)


def multiclass_hinge(x, labels, p: int, margin: float) -> Tensor:
    """Σ max(0, margin − right score + wrong score)^p over the wrong classes of each row, not divided by C."""
    x, losses = _numbers(x), []
    for row, label in zip(x.tolist(), labels.tolist(), strict=True):
        losses.append(sum(max(0.0, margin - row[label] + row[c]) ** p for c in range(len(row)) if c != label))
    return torch.tensor(losses, dtype=torch.float64)


def binary_cross_entropy_with_logits(x, t, pos_weight: float = 1.0) -> Tensor:
    """−v·t·log σ(x) − (1 − t)·log(1 − σ(x)), number by number."""
    s, t = _numbers(sigmoid(x)), _numbers(t)
    y = np.zeros_like(s)
    for index in np.ndindex(*s.shape):
        right, wrong = math.log(s[index]), math.log(1 - s[index])
        y[index] = -pos_weight * t[index] * right - (1 - t[index]) * wrong
    return torch.from_numpy(y)


def rbf_map(distances, labels, rubbish: float) -> Tensor:
    """y_D + log(e^−j + Σ e^−y) of each row."""
    losses = []
    for row, label in zip(_numbers(distances).tolist(), labels.tolist(), strict=True):
        losses.append(row[label] + math.log(math.exp(-rubbish) + sum(math.exp(-y) for y in row)))
    return torch.tensor(losses, dtype=torch.float64)


def locally_connected2d(
    x, w, bias=None, stride: Pair = (1, 1), padding: Pair = (0, 0), dilation: Pair = (1, 1)
) -> Tensor:
    """y[n,o,r,c] = Σ x[n, i, r·S−P+a·D, c·S−P+b·D]·w[o,i,a,b,r,c] + bias[o,r,c]."""
    x, w = _numbers(x), _numbers(w)
    (N, _, H, W), (K, C, kh, kw, Ho, Wo) = x.shape, w.shape
    y = np.zeros((N, K, Ho, Wo))
    for n, o, r, c, i, a, b in np.ndindex(N, K, Ho, Wo, C, kh, kw):
        h, v = r * stride[0] - padding[0] + a * dilation[0], c * stride[1] - padding[1] + b * dilation[1]
        if 0 <= h < H and 0 <= v < W:
            y[n, o, r, c] += x[n, i, h, v] * w[o, i, a, b, r, c]
    return torch.from_numpy(y) + (0 if bias is None else bias.detach().double())


def locally_connected2d_gradients(
    g, x, w, stride: Pair = (1, 1), padding: Pair = (0, 0), dilation: Pair = (1, 1)
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients for input, weight and bias: every product of the forward sum hands its share back."""
    g, x, w = _numbers(g), _numbers(x), _numbers(w)
    (N, _, H, W), (K, C, kh, kw, Ho, Wo) = x.shape, w.shape
    gx, gw, gb = np.zeros_like(x), np.zeros_like(w), np.zeros((K, Ho, Wo))
    for n, o, r, c in np.ndindex(N, K, Ho, Wo):
        gb[o, r, c] += g[n, o, r, c]
        for i, a, b in np.ndindex(C, kh, kw):
            h, v = r * stride[0] - padding[0] + a * dilation[0], c * stride[1] - padding[1] + b * dilation[1]
            if 0 <= h < H and 0 <= v < W:
                gw[o, i, a, b, r, c] += g[n, o, r, c] * x[n, i, h, v]
                gx[n, i, h, v] += g[n, o, r, c] * w[o, i, a, b, r, c]
    return torch.from_numpy(gx), torch.from_numpy(gw), torch.from_numpy(gb)
