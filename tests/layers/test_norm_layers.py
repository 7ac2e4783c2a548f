import copy
from collections import Counter

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from differential import random
from repronet import functional, layers, models

LAYERS = [
    ("BatchNorm1d", (4,), {}, (5, 4)),
    ("BatchNorm1d", (4,), {"momentum": None}, (2, 4, 5)),
    ("BatchNorm1d", (4,), {"affine": False, "track_running_stats": False}, (5, 4)),
    ("BatchNorm2d", (4,), {"momentum": 0.3, "eps": 0.1}, (2, 4, 3, 3)),
    ("BatchNorm2d", (4,), {"momentum": 0.0}, (2, 4, 3, 3)),
    ("LayerNorm", (4,), {}, (5, 4)),
    ("LayerNorm", ((3, 4),), {"eps": 0.1, "bias": False}, (2, 3, 4)),
    ("LayerNorm", (4,), {"elementwise_affine": False}, (5, 4)),
    ("GroupNorm", (2, 4), {}, (2, 4, 3, 3)),
    ("GroupNorm", (1, 4), {"affine": False, "eps": 0.1}, (2, 4, 5)),
    ("LocalResponseNorm", (3,), {"alpha": 0.5, "beta": 0.6, "k": 1.5}, (2, 4, 3, 3)),
]
IDS = [f"{name}-{i}" for i, (name, _, _, _) in enumerate(LAYERS)]


@pytest.mark.parametrize(("name", "arguments", "how", "shape"), LAYERS, ids=IDS)
def test_stands_where_torchs_stands(name, arguments, how, shape):
    """Outputs, gradients and state after two batches in training, and outputs in evaluation."""
    ours, theirs = (getattr(library, name)(*arguments, **how).double() for library in (layers, nn))
    assert isinstance(ours, type(theirs))
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    found, expected = [], []
    for layer, results in ((ours, found), (theirs, expected)):
        for seed in range(2):
            x = random(*shape, seed=seed).requires_grad_()
            y = layer(x)
            results.extend([y, *torch.autograd.grad(y, [x, *layer.parameters()], random(*shape, seed=5))])
        results.append(layer.eval()(x))
        results.extend(layer.state_dict().values())
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("name", "shape"), [("BatchNorm1d", (5, 4)), ("BatchNorm2d", (2, 4, 3, 3))])
def test_the_algorithm_may_be_set_at_any_time(name, shape):
    layer = getattr(layers, name)(4).double()
    assert layer.algorithm == "auto"
    outputs = []
    for algorithm in ("own", "vendor", "auto"):
        layer.algorithm = algorithm
        outputs.append(layer(random(*shape)))
    torch.testing.assert_close(outputs[0], outputs[1])
    torch.testing.assert_close(outputs[0], outputs[2])
    layer.algorithm = "nonsense"
    for mode in (True, False):
        with pytest.raises(ValueError, match=r"algorithm must be one of .*, got 'nonsense'"):
            layer.train(mode)(random(*shape))


def test_a_copied_layer_keeps_its_algorithm():
    layer = layers.BatchNorm2d(4)
    layer.algorithm = "own"
    assert copy.deepcopy(layer).algorithm == "own"


@pytest.mark.parametrize(("name", "shape"), [("BatchNorm1d", (5, 4, 3, 3)), ("BatchNorm2d", (5, 4))])
def test_refuses_the_shapes_that_torchs_refuses(name, shape):
    with pytest.raises(ValueError, match=r"expected \dD"):
        getattr(layers, name)(4)(random(*shape))


def test_response_norm_within_maps():
    layer = layers.ResponseNormWithinMaps()
    assert repr(layer) == "ResponseNormWithinMaps(3, alpha=5e-05, beta=0.75, k=1.0)"
    x = 100 * random(2, 3, 5, 5)
    torch.testing.assert_close(layer(x), functional.local_response_norm_within_maps(x))
    assert not torch.allclose(layer(x), layers.LocalResponseNorm(3, alpha=5e-5)(x))


def test_krizhevskys_response_norm():
    layer = layers.KrizhevskyResponseNorm()
    assert repr(layer) == "KrizhevskyResponseNorm(5, alpha=0.0001, beta=0.75, k=2.0)"
    assert not layer.state_dict()
    x = 10 * random(2, 6, 3, 3)
    torch.testing.assert_close(layer(x), x / (2 + 1e-4 * windowed_squares(x)) ** 0.75)


def windowed_squares(x):
    """Σ x² over the two channels before, the channel and the two behind."""
    return torch.stack([x[:, max(0, i - 2) : i + 3].square().sum(1) for i in range(x.shape[1])], 1)


def test_local_contrast_norm():
    layer = layers.LocalContrastNorm(5, deviation=1.5)
    assert repr(layer) == "LocalContrastNorm(size=5, deviation=1.5)"
    assert not layer.state_dict()
    x = random(2, 3, 6, 6)
    assert torch.equal(layer(x), functional.local_contrast_norm(x, 5, 1.5))


class _Conversions(TorchDispatchMode):
    """Counts, by shape, the maps of a batch of 5 that are copied into another dtype."""

    def __init__(self):
        super().__init__()
        self.found: Counter[tuple[int, ...]] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in (torch.ops.aten._to_copy, torch.ops.aten.copy_):
            source = args[func.overloadpacket is torch.ops.aten.copy_]
            if source.shape[:1] == (5,) and source.dtype != result.dtype:
                self.found[tuple(source.shape)] += 1
        return result


@pytest.mark.parametrize("lower", [torch.bfloat16, torch.float16])
def test_under_autocast_no_activation_is_copied_into_another_dtype(lower):
    """As on torch's layers: the image before the first convolution, the logits before the loss and after it."""
    network = models.create("resnet20").to(memory_format=torch.channels_last)
    images = torch.randn(5, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    with _Conversions() as conversions:
        with torch.autocast("cpu", dtype=lower):
            loss = nn.functional.cross_entropy(network(images), torch.arange(5))
        loss.backward()
    assert conversions.found == {(5, 3, 32, 32): 1, (5, 10): 2}
