"""Where networks compute batch normalisation and ReLU as one, and where they may not."""

from functools import partial

import pytest
import torch
from torch import nn

from differential import NATIVE
from repronet import layers, models
from repronet.layers import convert, set_algorithm
from repronet.layers import norm as norm_layers
from repronet.layers.norm_relu import norm_relu

pytestmark = pytest.mark.skipif(not NATIVE, reason="no C compiler here")


@pytest.fixture
def calls(monkeypatch):
    """How often the one operator was called."""
    seen = []
    fused = norm_layers.batch_norm_relu
    monkeypatch.setattr(norm_layers, "batch_norm_relu", lambda *args: seen.append(1) or fused(*args))
    return seen


def trained(name, prepare=lambda network: None, algorithm="native", dtype=torch.float32):
    """Loss, gradients and running statistics of a step."""
    torch.manual_seed(0)
    network = models.create(name, num_classes=5)
    set_algorithm(network, algorithm)
    prepare(network)
    network.to(memory_format=torch.channels_last, dtype=dtype)
    images = torch.randn(4, 3, 32, 32, dtype=dtype).contiguous(memory_format=torch.channels_last)
    loss = nn.functional.cross_entropy(network.train()(images), torch.arange(4))
    loss.backward()
    return [loss.detach(), *(p.grad for p in network.parameters()), *(b.clone() for b in network.buffers())]


@pytest.mark.parametrize(
    ("name", "ones", "whole"),
    [("resnet20", 19, 19), ("se_resnet20", 10, 19), ("densenet40_12", 36, 39), ("preact_resnet110", 109, 109)],
)
def test_networks_compute_them_as_one(calls, name, ones, whole):
    """Squeeze and excitation stands between; a transition of DenseNet is a Sequential."""
    trained(name)
    assert len(calls) == ones
    norms = [module for module in models.create(name).modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == whole
    if name == "resnet20":
        both = (trained(name, algorithm=algorithm, dtype=torch.float64) for algorithm in ("native", "vendor"))
        for one, other in zip(*both, strict=True):
            torch.testing.assert_close(one, other)


def hook_relus(network):
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda module, given, output: None)


def hook_norms(network):
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(lambda module, given: None)


@pytest.mark.parametrize("watch", [hook_relus, hook_norms])
def test_hooks_see_every_layer_and_change_no_bit(calls, watch):
    alone = trained("resnet20")
    calls.clear()
    assert all(torch.equal(one, other) for one, other in zip(trained("resnet20", watch), alone, strict=True))
    assert not calls


def test_hooks_of_all_modules_see_every_layer(calls):
    seen = []
    handle = nn.modules.module.register_module_forward_hook(lambda module, given, output: seen.append(type(module)))
    try:
        trained("resnet20")
    finally:
        handle.remove()
    assert seen.count(layers.ReLU) == 19
    assert not calls


@pytest.mark.parametrize("change", [nn.Module.eval, partial(convert, to="torch"), nn.Module.train])
def test_elsewhere_the_layers_run_one_after_another(calls, change):
    network = nn.Sequential(layers.BatchNorm2d(3, algorithm="native"), layers.ReLU())
    x = torch.randn(2, 3, 4, 4)
    change(network)
    expected = nn.functional.relu(network[0](x) + x)
    torch.testing.assert_close(norm_relu(network[0], network[1], x, lambda: x), expected)
    assert len(calls) == (1 if network.training and type(network[0]) is layers.BatchNorm2d else 0)


def test_another_forward_of_a_layer_is_heeded(calls):
    norm, relu = layers.BatchNorm2d(3, algorithm="native"), layers.ReLU()
    relu.forward = lambda x: x - 1
    assert norm_relu(norm, relu, torch.randn(2, 3, 4, 4)).min() < 0
    assert not calls
