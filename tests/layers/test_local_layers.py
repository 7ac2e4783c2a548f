"""The locally connected layer."""

import copy
import math

import pytest
import torch

from differential import random
from repronet.functional import locally_connected2d
from repronet.layers import Conv2d, LocallyConnected2d


def test_computes_the_function():
    layer = LocallyConnected2d(3, 4, (7, 6), (3, 2), stride=(2, 1), padding=1, dilation=(1, 2)).double()
    x = random(2, 3, 7, 6)
    y = layer(x)
    assert y.shape == (2, 4, 4, 6)
    torch.testing.assert_close(y, locally_connected2d(x, layer.weight, layer.bias, (2, 1), 1, (1, 2)))
    assert layer(x[0]).shape == (4, 4, 6)


@pytest.mark.parametrize("bias", [True, False])
def test_parameters(bias):
    layer = LocallyConnected2d(3, 4, 6, 3, bias=bias)
    assert layer.weight.shape == (4, 3, 3, 3, 4, 4)
    assert list(layer.state_dict()) == (["weight", "bias"] if bias else ["weight"])
    if bias:
        assert layer.bias is not None
        assert layer.bias.shape == (4, 4, 4)


def test_drawn_as_a_convolution():
    """Evenly between ±1/√(inputs of one output)."""
    torch.manual_seed(0)
    local, conv = LocallyConnected2d(3, 16, 12, 5), Conv2d(3, 16 * 64, 5)
    bound = 1 / math.sqrt(3 * 5 * 5)
    for ours, theirs in zip(local.state_dict().values(), conv.state_dict().values(), strict=True):
        assert ours.numel() == theirs.numel()
        assert bound * 0.95 < ours.abs().max() <= bound
        assert ours.std() == pytest.approx(theirs.std().item(), rel=0.05)
        assert ours.mean().abs() < bound / 10


def test_the_same_seed_draws_the_same_weights():
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append(LocallyConnected2d(1, 2, 5, 3).state_dict())
    assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[0])


def test_state_is_exchanged_and_copied():
    one, other = LocallyConnected2d(2, 3, 5, 3), LocallyConnected2d(2, 3, 5, 3)
    x = random(2, 2, 5, 5, dtype=torch.float32)
    assert not torch.equal(one(x), other(x))
    other.load_state_dict(copy.deepcopy(one).state_dict())
    assert torch.equal(one(x), other(x))


def test_repr():
    layer = LocallyConnected2d(3, 4, 6, 3, padding=1)
    expected = "3, 4, input_size=(6, 6), kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), dilation=(1, 1)"
    assert repr(layer) == f"LocallyConnected2d({expected})"
    assert repr(LocallyConnected2d(3, 4, 6, 3, bias=False)).endswith("bias=False)")


def test_another_size_of_image_is_refused():
    layer = LocallyConnected2d(1, 1, 6, 3)
    with pytest.raises(RuntimeError, match="weights for"):
        layer(torch.zeros(1, 1, 7, 7))


def test_a_window_larger_than_the_image_is_refused():
    with pytest.raises(RuntimeError, match="larger than the padded input"):
        LocallyConnected2d(1, 1, 2, 3)


def test_learns_what_a_convolution_cannot():
    """Brightness that falls off to the corners, to be undone at each position by a weight of its own."""
    torch.manual_seed(0)
    gain = torch.linspace(0.5, 2, 16).reshape(4, 4)
    x = torch.randn(32, 1, 4, 4)
    left = {}
    for name, layer in (("local", LocallyConnected2d(1, 1, 4, 1)), ("shared", Conv2d(1, 1, 1))):
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
        for _ in range(200):
            optimizer.zero_grad()
            loss = (layer(x * gain) - x).square().mean()
            loss.backward()
            optimizer.step()
        left[name] = loss.item()
    assert left["local"] < 1e-3 < 0.05 < left["shared"]
