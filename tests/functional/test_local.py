import numpy as np
import pytest
import torch
from torch.nn import functional as F

from differential import assert_proved, assert_same, random
from repronet.functional import locally_connected2d
from repronet.functional.windows import Geometry
from repronet.layers import LocallyConnected2d


def loops(x, w, b, stride, padding, dilation):
    """The defining sum, one product at a time."""
    x, w = x.numpy(), w.numpy()
    (n_, _, h_, w_), (o_, i_, kh, kw, ho, wo) = x.shape, w.shape
    y = np.zeros((n_, o_, ho, wo))
    for n, o, r, c in np.ndindex(*y.shape):
        y[n, o, r, c] = b[o, r, c]
        for i, a, d in np.ndindex(i_, kh, kw):
            h, v = r * stride[0] - padding[0] + a * dilation[0], c * stride[1] - padding[1] + d * dilation[1]
            if 0 <= h < h_ and 0 <= v < w_:
                y[n, o, r, c] += x[n, i, h, v] * w[o, i, a, d, r, c]
    return torch.from_numpy(y)


WAYS = [((1, 1), (0, 0), (1, 1)), ((2, 1), (1, 0), (1, 2)), ((3, 2), (0, 2), (2, 1))]


def operands(stride, padding, dilation):
    ho, wo = Geometry((2, 3), stride, padding, dilation).output_size((5, 6))
    return random(2, 2, 5, 6), random(3, 2, 2, 3, ho, wo), random(3, ho, wo)


@pytest.mark.parametrize("way", WAYS)
def test_same_as_the_loops(way):
    x, w, b = operands(*way)
    torch.testing.assert_close(locally_connected2d(x, w, b, *way), loops(x, w, b, *way))


@pytest.mark.parametrize("way", WAYS)
def test_gradients_are_proved(way):
    x, w, b = operands(*way)
    assert_proved(lambda *t: locally_connected2d(*t, *way), x[:1, :1, :, :], w[:1, :1], b[:1])


def test_weights_that_are_shared_make_a_convolution():
    x, w, b = random(2, 2, 5, 6), random(3, 2, 2, 3), random(3)

    def shared(x, w, b):
        everywhere = w[..., None, None].expand(-1, -1, -1, -1, 4, 4)
        return locally_connected2d(x, everywhere, b[:, None, None].expand(-1, 4, 4))

    assert_same(shared, F.conv2d, x, w, b)


def test_layouts_transforms_and_empty_batches():
    x, w, b = operands(*WAYS[0])
    expected = locally_connected2d(x, w, b)
    torch.testing.assert_close(locally_connected2d(x.contiguous(memory_format=torch.channels_last), w, b), expected)
    torch.testing.assert_close(locally_connected2d(x[0], w, b), expected[0])
    assert locally_connected2d(x[:0], w).shape == (0, 3, 4, 4)
    many = torch.stack([x, 2 * x])
    expected = torch.stack([expected, locally_connected2d(2 * x, w, b)])
    torch.testing.assert_close(torch.func.vmap(locally_connected2d, (0, None, None))(many, w, b), expected)


@pytest.mark.parametrize(
    ("x", "w", "b", "message"),
    [
        (random(2, 3, 5, 6), random(3, 2, 2, 3, 4, 4), None, "needs an input"),
        (
            random(2, 2, 5, 6),
            random(3, 2, 2, 3, 4, 5),
            None,
            "output positions, but weights for",
        ),
        (random(2, 2, 5, 6), random(3, 2, 2, 3, 4, 4), random(3), r"bias must have shape \(3, 4, 4\), got \(3,\)"),
        (random(2, 2, 5, 6).float(), random(3, 2, 2, 3, 4, 4), None, "one dtype"),
    ],
)
def test_refuses(x, w, b, message):
    with pytest.raises(RuntimeError, match=message):
        locally_connected2d(x, w, b)


def test_the_layer():
    torch.manual_seed(0)
    layer = LocallyConnected2d(2, 3, 6, 3, stride=2, padding=1)
    x = torch.randn(4, 2, 6, 6)
    assert layer(x).shape == (4, 3, 3, 3)
    assert layer.weight.shape == (3, 2, 3, 3, 3, 3)
    bound = 1 / (2 * 9) ** 0.5
    assert layer.weight.abs().max() <= bound
    assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)
    assert "input_size=(6, 6), kernel_size=(3, 3), stride=(2, 2)" in repr(layer)
    assert LocallyConnected2d(1, 1, 4, 2, bias=False).bias is None


def parameters(layer):
    return sum(p.numel() for p in layer.parameters())


def test_the_weights_that_the_lecture_counts():
    """7 inputs and 3 hidden units that see 3 inputs each; a 200×200 image; 300×300×3 with 1,000 units."""
    from repronet import layers

    assert layers.Linear(7, 3, bias=False).weight.numel() == 21
    assert parameters(LocallyConnected2d(1, 1, (1, 7), (1, 3), stride=2, bias=False)) == 9
    assert layers.Conv2d(1, 1, (1, 3), stride=2, bias=False).weight.numel() == 3
    with torch.device("meta"):
        assert layers.Linear(200 * 200, 40_000, bias=False).weight.numel() == 1_600_000_000
        assert layers.Linear(300 * 300 * 3, 1_000, bias=False).weight.numel() == 270_000_000
        # 40,000 units, each with a 10×10 window of its own
        assert parameters(LocallyConnected2d(1, 1, 200, 10, padding=(5, 5), bias=False)) == 201 * 201 * 100
        assert parameters(LocallyConnected2d(1, 1, 209, 10, bias=False)) == 4_000_000
    assert layers.Conv2d(1, 100, 10, bias=False).weight.numel() == 10_000


@pytest.mark.parametrize(
    ("channels", "size", "filters", "kernel", "stride", "a_neuron", "neurons", "connections", "total"),
    [(3, 32, 6, 5, 1, 76, 4_704, 357_504, 456), (3, 227, 96, 11, 4, 364, 290_400, 105_705_600, 34_944)],
    ids=["LeNet conv1", "AlexNet conv1"],
)
def test_the_connections_that_the_lecture_counts(
    channels, size, filters, kernel, stride, a_neuron, neurons, connections, total
):
    from repronet import layers

    conv = layers.Conv2d(channels, filters, kernel, stride)
    with torch.device("meta"):
        output = conv.to("meta")(torch.empty(1, channels, size, size))
    assert conv.weight[0].numel() + 1 == a_neuron
    assert output.numel() == neurons
    assert output.numel() * a_neuron == connections
    assert parameters(conv) == total
    assert parameters(layers.MaxPool2d(3, 2)) == 0
