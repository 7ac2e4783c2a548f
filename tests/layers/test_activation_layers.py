import copy

import pytest
import torch
from torch import nn

from differential import random
from repronet import layers

LAYERS = [
    ("ReLU", (), {}),
    ("ReLU", (True,), {}),
    ("ReLU6", (), {}),
    ("ReLU6", (), {"inplace": True}),
    ("LeakyReLU", (), {}),
    ("LeakyReLU", (0.1, True), {}),
    ("PReLU", (), {}),
    ("PReLU", (3,), {"init": 0.1}),
    ("ELU", (), {}),
    ("ELU", (0.5,), {"inplace": True}),
    ("Sigmoid", (), {}),
    ("Tanh", (), {}),
    ("SiLU", (), {}),
    ("SiLU", (), {"inplace": True}),
    ("Hardsigmoid", (), {}),
    ("Hardsigmoid", (), {"inplace": True}),
    ("Hardswish", (), {}),
    ("Hardswish", (), {"inplace": True}),
    ("Softmax", (1,), {}),
    ("LogSoftmax", (), {"dim": -1}),
    ("Dropout", (), {}),
    ("Dropout", (0.2, True), {}),
    ("Dropout2d", (0.3,), {}),
    ("Dropout2d", (), {"inplace": True}),
]


@pytest.mark.parametrize(("name", "arguments", "how"), LAYERS)
def test_stands_where_torchs_stands(name, arguments, how):
    ours, theirs = (getattr(library, name)(*arguments, **how).double() for library in (layers, nn))
    assert isinstance(ours, type(theirs))
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    for training in (True, False):
        found, expected = [], []
        for layer, results in ((ours, found), (theirs, expected)):
            layer.train(training).zero_grad()
            torch.manual_seed(0)
            x = random(2, 3, 4, 5).requires_grad_()
            y = layer(x * 3.0)  # a product, so that layers may write in place
            y.backward(random(*y.shape, seed=4))
            results.extend([y, x.grad, *(p.grad for p in layer.parameters())])
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("algorithm", ["auto", "own", "vendor"])
def test_relu_has_an_algorithm(algorithm):
    layer = layers.ReLU(algorithm=algorithm)
    assert layer.algorithm == algorithm
    assert repr(layer) == ("ReLU()" if algorithm == "auto" else f"ReLU(algorithm={algorithm})")
    x = random(3).requires_grad_()
    layer(x).sum().backward()
    torch.testing.assert_close(x.grad, (x > 0).double())


def test_the_algorithm_may_be_set_at_any_time():
    layer = layers.ReLU()
    assert layer.algorithm == "auto"
    layer.algorithm = "own"  # of which an infinite gradient into a dead unit tells
    x = torch.tensor([-1.0], requires_grad=True)
    layer(x).backward(torch.tensor([float("inf")]))
    assert x.grad is not None
    assert x.grad.isnan().all()
    layer.algorithm = "nonsense"
    with pytest.raises(ValueError, match=r"algorithm must be one of .*, got 'nonsense'"):
        layer(x)


def test_a_layer_saved_before_there_were_algorithms_has_one():
    layer = layers.ReLU()
    del layer.__dict__["algorithm"]
    assert layer(torch.tensor([-1.0, 1.0])).tolist() == [0, 1]


def test_scaled_tanh():
    layer = layers.ScaledTanh()
    assert repr(layer) == "ScaledTanh(amplitude=1.7159, slope=0.6667)"
    assert not layer.state_dict()
    x = random(2, 3)
    torch.testing.assert_close(layer(x), 1.7159 * torch.tanh(2 * x / 3))
    torch.testing.assert_close(layers.ScaledTanh(2.0, 3.0)(x), 2 * torch.tanh(3 * x))


def test_maxout():
    layer = layers.Maxout(2)
    assert repr(layer) == "Maxout(pool_size=2, dim=1)"
    assert not layer.state_dict()
    x = random(2, 6, 3, 4)
    torch.testing.assert_close(layer(x), x.unflatten(1, (3, 2)).amax(2))
    torch.testing.assert_close(layers.Maxout(3, dim=2)(x), x.amax(2, keepdim=True))


@pytest.mark.parametrize("name", ["Softmax", "LogSoftmax"])
def test_the_softmaxes_want_a_dimension(name):
    with pytest.raises(TypeError, match="dim=None"):
        getattr(layers, name)()(torch.ones(2, 3))


@pytest.mark.parametrize(
    "layer", [layers.ReLU(), layers.PReLU(), layers.ScaledTanh(), layers.Maxout(2), layers.Dropout()]
)
def test_layers_are_copied(layer):
    x = random(2, 4, dtype=torch.float32)
    layer.eval()
    assert torch.equal(copy.deepcopy(layer)(x), layer(x))
