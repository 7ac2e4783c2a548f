import copy
import inspect
import io
import pickle

import pytest
import torch
import torchvision
from torch import nn
from torch.nn.utils import parametrizations, parametrize
from torchvision.models.feature_extraction import create_feature_extractor

from differential import ALGORITHMS, random
from repronet import layers, models
from repronet.layers import convert, set_algorithm, unconverted


def timm_network(name: str) -> nn.Module:
    timm = pytest.importorskip("timm", reason="timm is not installed")
    return timm.create_model(name, pretrained=False, num_classes=7)


NETWORKS = {
    "resnet18": (lambda: torchvision.models.resnet18(num_classes=7), 64),
    "googlenet": (lambda: torchvision.models.googlenet(num_classes=7, init_weights=False, transform_input=True), 64),
    "densenet121": (lambda: torchvision.models.densenet121(num_classes=7), 64),
    "densenet, recomputing": (
        lambda: torchvision.models.DenseNet(4, (2, 3), 8, num_classes=7, memory_efficient=True),
        32,
    ),
    "timm resnet18": (lambda: timm_network("resnet18"), 64),
    "timm regnetx_002": (lambda: timm_network("regnetx_002"), 64),
}
LEFT = {"timm regnetx_002": {"BatchNormAct2d"}}  # timm's, which normalises and rectifies in one module

# Ours that torch.nn has too, now and later.
PAIRS = {
    name: found
    for name in layers.__all__
    if isinstance(found := getattr(layers, name), type) and getattr(nn, name, found) is not found
}
ARGUMENTS = {"Softmax": (1,), "LogSoftmax": (1,)}  # whose dimension may be left out, which warns


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


def small_layer(family, name: str) -> nn.Module:
    """The layer of that name with 2 for every argument that torch's must be given."""
    parameters = inspect.signature(getattr(nn, name)).parameters.values()
    required = [p for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    return getattr(family, name)(*ARGUMENTS.get(name, [2] * len(required)))


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in ("densenet121", "googlenet") else name for name in NETWORKS],
)
@pytest.mark.parametrize("training", [False, True], ids=["eval", "training"])
def test_the_same_network_on_other_layers(name, training):
    network, images = built(name)
    network.train(training)
    ours = convert(copy.deepcopy(network), to="custom")
    assert {kind for _, kind in unconverted(ours)} == LEFT.get(name, set())
    assert len(unconverted(network)) > len(unconverted(ours)) + 10
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


@pytest.mark.parametrize("name", [name for name in PAIRS if not name.endswith("Loss")])
def test_every_layer_computes_the_same_when_converted(name):
    theirs = small_layer(nn, name).double().eval()
    x = random(*(2, 2, 2) if name.endswith("1d") else (2, 2, 2, 2))
    expected = theirs(x)
    ours = convert(copy.deepcopy(theirs), to="custom")
    assert type(ours) is PAIRS[name]
    assert repr(ours) == repr(theirs)
    torch.testing.assert_close(ours(x), expected)


@pytest.mark.parametrize("name", PAIRS)
def test_every_layer_has_torchs_attributes(name):
    """A layer that kept more than `algorithm` could not be made by changing the class."""
    ours, theirs = small_layer(layers, name), small_layer(nn, name)
    assert isinstance(ours, type(theirs))
    assert vars(ours).keys() - {"algorithm"} == vars(theirs).keys()
    assert hasattr(ours, "algorithm") == hasattr(PAIRS[name], "algorithm")
    assert vars(convert(ours, to="torch")).keys() == vars(theirs).keys()


def test_parameters_hooks_and_optimizers_stay():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3))
    calls = []
    network[0].register_forward_pre_hook(lambda module, inputs: calls.append(("pre", type(module))))
    network[0].register_forward_hook(lambda module, inputs, output: calls.append(("forward", type(module))))
    network[0].register_full_backward_hook(lambda module, inputs, outputs: calls.append(("backward", type(module))))
    network[4].weight.requires_grad_(False)
    network[4].note = "mine"
    network[1].register_buffer("scratch", torch.ones(1), persistent=False)
    network.eval()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    weight, keys = network[0].weight, list(network.state_dict())
    assert convert(network, to="custom") is network
    assert network[0].weight is weight
    assert list(network.state_dict()) == keys
    assert "1.scratch" in dict(network.named_buffers())
    assert network[4].note == "mine"
    assert not network[4].weight.requires_grad
    assert not network[1].training
    network(torch.ones(1, 1, 4, 4, requires_grad=True)).sum().backward()
    assert calls == [(when, layers.Conv2d) for when in ("pre", "forward", "backward")]
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
    assert convert(layer, to="custom") is layer
    assert type(layer) is layers.Linear


def test_converting_twice_changes_nothing():
    network = convert(nn.Sequential(nn.Conv2d(1, 1, 1)), to="custom")
    set_algorithm(network, "im2col")
    convert(network, to="custom")
    assert type(network[0]) is layers.Conv2d
    assert network[0].algorithm == "im2col"


def test_ones_own_attribute_of_that_name_stays_on_a_layer_without_a_choice():
    layer = nn.Tanh()
    layer.algorithm = "mine"
    assert convert(convert(layer, to="custom"), to="torch").algorithm == "mine"


def test_a_parametrized_layer_is_converted():
    network = nn.Sequential(
        parametrizations.weight_norm(nn.Conv2d(2, 3, 3)), parametrizations.spectral_norm(nn.Linear(4, 2))
    )
    network.eval().double()
    x = random(1, 2, 3, 6)
    copied, expected = copy.deepcopy(network), network[0](x)
    assert unconverted(network) == [("0", "ParametrizedConv2d"), ("1", "ParametrizedLinear")]
    keys, names = list(network.state_dict()), [kind.__name__ for kind in types(network)]
    convert(network, to="custom")
    assert unconverted(network) == []
    assert isinstance(network[0], layers.Conv2d)
    assert not isinstance(copied[0], layers.Conv2d)  # though torch gives copies the same class
    torch.testing.assert_close(network[0](x), expected)
    torch.testing.assert_close(copy.deepcopy(network)[0](x), expected)
    assert list(network.state_dict()) == keys
    parametrize.remove_parametrizations(network[0], "weight")
    assert type(network[0]) is layers.Conv2d
    convert(network, to="torch")
    assert type(network[0]) is nn.Conv2d
    assert [kind.__name__ for kind in types(network[1])] == names[names.index("ParametrizedLinear") :]
    assert not isinstance(network[1], layers.Linear)


def test_a_layer_is_named_though_its_only_parameter_is_parametrized():
    class Own(nn.Linear):
        pass

    network = convert(parametrizations.weight_norm(Own(1, 1, bias=False)), to="custom")
    assert unconverted(network) == [("", "ParametrizedOwn")]


def test_norms_that_are_hooks_stay():
    with pytest.warns(FutureWarning, match="weight_norm"):
        layer = nn.utils.weight_norm(nn.Conv2d(1, 2, 3))
    x = torch.ones(1, 1, 4, 4)
    expected = layer(x)
    torch.testing.assert_close(convert(layer, to="custom")(x), expected)
    assert type(layer) is layers.Conv2d


def test_others_subclasses_are_left_alone_and_named():
    class Own(nn.Conv2d):
        pass

    class WithChildren(nn.BatchNorm2d):
        def __init__(self, channels: int):
            super().__init__(channels)
            self.activation = nn.ReLU()

    network = nn.Sequential(Own(1, 1, 1), nn.Linear(1, 1), nn.LSTM(1, 1), WithChildren(1), nn.LazyLinear(2))
    convert(network, to="custom")
    assert type(network[0]) is Own
    assert type(network[3].activation) is layers.ReLU
    assert unconverted(network) == [("0", "Own"), ("2", "LSTM"), ("3", "WithChildren"), ("4", "LazyLinear")]
    network[4](torch.ones(1, 3))
    assert type(network[4]) is nn.Linear
    assert unconverted(convert(network, to="custom")) == [("0", "Own"), ("2", "LSTM"), ("3", "WithChildren")]


def test_attention_computes_with_its_own_weights():
    network = convert(nn.MultiheadAttention(4, 2), to="custom")
    assert unconverted(network) == [("", "MultiheadAttention"), ("out_proj", "NonDynamicallyQuantizableLinear")]


def test_a_layer_that_holds_nothing_but_buffers_is_named():
    network = nn.Sequential(torchvision.ops.FrozenBatchNorm2d(2), nn.BatchNorm3d(2, affine=False))
    convert(network, to="custom")
    assert unconverted(network) == [("0", "FrozenBatchNorm2d"), ("1", "BatchNorm3d")]


def test_a_module_that_holds_a_parameter_beside_its_layers_is_no_layer():
    class Mixin:
        pass

    class Block(nn.Module, Mixin):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))
            self.layer = nn.Linear(1, 1)

    sequence = nn.Sequential(nn.Linear(1, 1))
    sequence.scale = nn.Parameter(torch.ones(1))
    for network in (Block(), sequence):
        assert unconverted(convert(network, to="custom")) == []


def test_a_replaced_forward_is_left_alone_and_named():
    network = nn.Sequential(nn.Linear(2, 2), layers.Linear(2, 2))
    for layer in network:
        layer.forward = lambda x: x + 1
    convert(network, to="custom")
    assert type(network[0]) is nn.Linear
    assert unconverted(network) == [("0", "Linear"), ("1", "Linear")]


def test_our_networks_are_ours():
    for name in ("lenet5", "lenet5_1998", "nin", "resnet20", "se_resnet20", "preact_resnet110", "densenet_bc_100_12"):
        network = models.create(name)
        assert unconverted(network) == []
        assert unconverted(convert(network, to="torch")) != []
        assert unconverted(convert(network, to="custom")) == []


def test_a_layer_of_ours_without_a_namesake_stays():
    network = convert(nn.Sequential(layers.FeaturePool(2), layers.ReLU()), to="torch")
    assert [type(module) for module in network] == [layers.FeaturePool, nn.ReLU]


def test_a_traced_network_is_converted():
    network = torchvision.models.squeezenet1_1().eval()
    images = torch.ones(1, 3, 32, 32)
    features = create_feature_extractor(network, ["features.3"])
    expected = features(images)["features.3"]
    torch.testing.assert_close(convert(features, to="custom")(images)["features.3"], expected)
    assert unconverted(features) == []


def test_weights_of_a_converted_network_are_saved_and_loaded():
    network = convert(nn.Sequential(nn.Conv2d(1, 2, 3)), to="custom")
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    theirs = nn.Sequential(nn.Conv2d(1, 2, 3))
    theirs.load_state_dict(torch.load(file, weights_only=True))
    image = torch.ones(1, 1, 3, 3)
    for same in (theirs, copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        torch.testing.assert_close(same(image), network(image))


def test_an_unknown_target_is_refused():
    with pytest.raises(ValueError, match="to must be 'custom' or 'torch', got 'ours'"):
        convert(nn.ReLU(), to="ours")


def test_what_is_no_network_is_refused():
    with pytest.raises(TypeError, match=r"needs a torch\.nn\.Module, got OrderedDict"):
        convert(nn.Linear(1, 1).state_dict(), to="custom")


def test_set_algorithm_reaches_every_layer_with_a_choice():
    network = models.create("lenet5_1998")  # one of its convolutions is parametrized, so of a class of its own
    set_algorithm(network, "im2col")
    assert {network.c1.algorithm, network.c3.algorithm} == {"im2col"}
    with pytest.raises(ValueError, match=r"algorithm must be one of auto, own, .* got 'fast'"):
        set_algorithm(network, "fast")


def test_an_unknown_algorithm_is_refused_when_the_layer_is_made():
    with pytest.raises(ValueError, match=r"algorithm must be one of auto, own, .* got 'wino'"):
        layers.Conv2d(1, 1, 1, algorithm="wino")


def test_set_algorithm_says_so_where_no_layer_is_ours():
    with pytest.raises(ValueError, match=r"algorithm='im2col': none of the network's layers is ours; convert it first"):
        set_algorithm(nn.Sequential(nn.Conv2d(1, 1, 1)), "im2col")


def test_set_algorithm_leaves_torchs_layers_alone():
    network = nn.Sequential(nn.Conv2d(1, 1, 1), layers.Conv2d(1, 1, 1))
    set_algorithm(network, "own")
    assert not hasattr(network[0], "algorithm")
    assert network[1].algorithm == "own"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_serves_a_converted_network(algorithm):
    torch.manual_seed(0)
    stem = [nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.AvgPool2d(2)]
    network = nn.Sequential(*stem, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(4, 7)).double().eval()
    images = random(2, 3, 13, 13)
    expected = logits_and_gradients(network, images)
    convert(network, to="custom")
    set_algorithm(network, algorithm)
    torch.testing.assert_close(logits_and_gradients(network, images), expected)
