import pytest
import torch
from torch import nn

from differential import random
from repronet import layers

LAYERS = [
    ("MaxPool2d", (2,), {}),
    ("MaxPool2d", (3, 2), {"padding": 1, "ceil_mode": True}),
    ("AvgPool2d", (3, 2), {"padding": 1, "count_include_pad": False}),
    ("LPPool2d", (2, 3), {"stride": 2, "ceil_mode": True}),
    ("LPPool2d", (4.0, (2, 3)), {}),
    ("AdaptiveAvgPool2d", (1,), {}),
    ("AdaptiveAvgPool2d", ((3, None),), {}),
    ("AdaptiveMaxPool2d", ((5, 4),), {}),
    ("AdaptiveMaxPool2d", (2,), {"return_indices": True}),
]


@pytest.mark.parametrize("algorithm", ["auto", "own", "vendor"])
@pytest.mark.parametrize(("name", "arguments", "how"), LAYERS)
def test_stands_where_torchs_stands(name, arguments, how, algorithm):
    ours = getattr(layers, name)(*arguments, **how, algorithm=algorithm)
    theirs = getattr(nn, name)(*arguments, **how)
    assert isinstance(ours, type(theirs))
    if algorithm == "auto":
        assert repr(ours) == repr(theirs)
    else:
        assert f"algorithm={algorithm})" in repr(ours)
    assert not ours.state_dict()
    found, expected = [], []
    for layer, results in ((ours, found), (theirs, expected)):
        x = random(2, 3, 8, 9).requires_grad_()
        outputs = layer(x)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        (gradient,) = torch.autograd.grad(outputs[0], x, random(*outputs[0].shape, seed=4))
        results.extend([*outputs, gradient])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("name", "arguments", "how"), LAYERS)
def test_the_algorithm_may_be_set_at_any_time(name, arguments, how):
    layer = getattr(layers, name)(*arguments, **how)
    assert layer.algorithm == "auto"
    layer.algorithm = "nonsense"
    with pytest.raises(ValueError, match=r"algorithm must be one of .*, got 'nonsense'"):
        layer(random(1, 2, 8, 8))


def test_a_layer_saved_before_there_were_algorithms_has_one():
    layer = layers.MaxPool2d(2)
    del layer.__dict__["algorithm"]
    assert layer(random(1, 2, 8, 8)).shape == (1, 2, 4, 4)


def test_feature_pool():
    layer = layers.FeaturePool(2)
    assert repr(layer) == "FeaturePool(pool_size=2)"
    assert not layer.state_dict()
    x = random(2, 6, 3, 4)
    torch.testing.assert_close(layer(x), x.unflatten(1, (3, 2)).square().sum(2).sqrt())
