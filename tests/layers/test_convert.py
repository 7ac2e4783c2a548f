import copy
import io

import pytest
import torch
import torchvision
from torch import nn

from repronet import layers, models
from repronet.layers import convert, set_algorithm, unconverted


def timm_network(name: str) -> nn.Module:
    timm = pytest.importorskip("timm", reason="timm is not installed")
    return timm.create_model(name, pretrained=False, num_classes=7)


NETWORKS = {
    "resnet18": (lambda: torchvision.models.resnet18(num_classes=7), 64),
    "googlenet": (lambda: torchvision.models.googlenet(num_classes=7, init_weights=False), 96),
    "densenet121": (lambda: torchvision.models.densenet121(num_classes=7), 64),
    "timm resnet18": (lambda: timm_network("resnet18"), 64),
}


def built(name: str) -> tuple[nn.Module, torch.Tensor]:
    build, size = NETWORKS[name]
    torch.manual_seed(0)
    network = build().double()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # so that two passes in training are the same
    return network, torch.randn(2, 3, size, size, dtype=torch.float64)


def logits_and_gradients(network: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    network.zero_grad()
    output = network(images)
    if not isinstance(output, torch.Tensor):  # GoogLeNet in training has two more heads
        output = torch.stack(list(output)).sum(0)
    (output * torch.arange(1, output.shape[1] + 1)).sum().backward()
    return output.detach(), {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


def types(network: nn.Module) -> list[type]:
    return [type(module) for module in network.modules()]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("training", [False, True], ids=["eval", "training"])
def test_the_same_network_on_other_layers(name, training):
    network, images = built(name)
    network.train(training)
    ours = convert(copy.deepcopy(network), to="custom")
    assert unconverted(ours) == []
    assert len(unconverted(network)) > 20
    assert list(ours.state_dict()) == list(network.state_dict())
    expected, expected_gradients = logits_and_gradients(network, images)
    found, gradients = logits_and_gradients(ours, images)
    torch.testing.assert_close(found, expected)
    assert gradients.keys() == expected_gradients.keys()
    for key, gradient in gradients.items():
        scale = expected_gradients[key].abs().max().item()
        torch.testing.assert_close(gradient, expected_gradients[key], rtol=1e-9, atol=1e-10 * max(scale, 1.0))
    torch.testing.assert_close(dict(ours.named_buffers()), dict(network.named_buffers()))  # running statistics


@pytest.mark.parametrize("name", NETWORKS)
def test_back_again(name):
    network, _ = built(name)
    before, parameters = types(network), list(network.parameters())
    convert(network, to="custom")
    assert types(network) != before
    convert(network, to="torch")
    assert types(network) == before
    assert all(a is b for a, b in zip(network.parameters(), parameters, strict=True))
    assert not any(hasattr(module, "algorithm") for module in network.modules())


def test_parameters_hooks_and_optimizers_stay():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3))
    calls = []
    network[0].register_forward_hook(lambda module, inputs, output: calls.append(type(module)))
    network[4].weight.requires_grad_(False)
    network.eval()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    weight = network[0].weight
    assert convert(network, to="custom") is network
    assert network[0].weight is weight
    assert not network[4].weight.requires_grad
    assert not network[1].training
    network(torch.ones(1, 1, 4, 4)).sum().backward()
    assert calls == [layers.Conv2d]
    before = weight.detach().clone()
    optimizer.step()
    assert not torch.equal(weight, before)


def test_a_shared_module_stays_one():
    shared = nn.ReLU()
    network = convert(nn.ModuleList([shared, nn.Sequential(shared)]), to="custom")
    assert network[0] is network[1][0]
    assert type(network[0]) is layers.ReLU


def test_a_layer_alone_is_converted_too():
    layer = nn.Linear(2, 3)
    assert type(convert(layer, to="custom")) is layers.Linear


def test_converting_twice_changes_nothing():
    network = convert(convert(nn.Sequential(nn.Conv2d(1, 1, 1)), to="custom"), to="custom")
    assert type(network[0]) is layers.Conv2d


def test_others_subclasses_are_left_alone_and_named():
    class Own(nn.Conv2d):
        pass

    network = nn.Sequential(Own(1, 1, 1), nn.Linear(1, 1), nn.LSTM(1, 1))
    convert(network, to="custom")
    assert type(network[0]) is Own
    assert unconverted(network) == [("0", "Own"), ("2", "LSTM")]


def test_a_layer_of_ours_without_a_namesake_stays():
    network = convert(nn.Sequential(layers.FeaturePool(2), layers.ReLU()), to="torch")
    assert [type(module) for module in network] == [layers.FeaturePool, nn.ReLU]


def test_weights_of_a_converted_network_are_saved_and_loaded():
    network = convert(nn.Sequential(nn.Conv2d(1, 2, 3)), to="custom")
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    nn.Sequential(nn.Conv2d(1, 2, 3)).load_state_dict(torch.load(file, weights_only=True))
    copied = copy.deepcopy(network)
    assert torch.equal(copied(torch.ones(1, 1, 3, 3)), network(torch.ones(1, 1, 3, 3)))


def test_an_unknown_target_is_refused():
    with pytest.raises(ValueError, match="to must be 'custom' or 'torch', got 'ours'"):
        convert(nn.ReLU(), to="ours")


def test_set_algorithm_reaches_every_layer_with_a_choice():
    network = models.create("lenet5_1998")  # one of its convolutions is parametrized, so of a class of its own
    set_algorithm(network, "im2col")
    assert {network.c1.algorithm, network.c3.algorithm} == {"im2col"}
    with pytest.raises(ValueError, match=r"algorithm must be one of auto, own, .* got 'fast'"):
        set_algorithm(network, "fast")


def test_set_algorithm_leaves_torchs_layers_alone():
    network = nn.Sequential(nn.Conv2d(1, 1, 1), layers.Conv2d(1, 1, 1))
    set_algorithm(network, "own")
    assert not hasattr(network[0], "algorithm")
    assert network[1].algorithm == "own"
