"""What torch's tools do to whole networks: trace, script, take apart, compile around a transform."""

import sys
import warnings
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import fx, nn
from torch.fx.experimental.optimization import fuse
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from differential import NATIVE
from repronet import functional, layers, models

pytestmark = [pytest.mark.field, pytest.mark.filterwarnings("ignore:.torch.jit.*. is deprecated:FutureWarning")]


def lenet(of) -> nn.Sequential:
    convolutions = of.Conv2d(1, 4, 3), of.BatchNorm2d(4), of.ReLU(inplace=True), of.MaxPool2d(2)
    return nn.Sequential(*convolutions, of.Conv2d(4, 6, 3), of.Tanh(), of.AvgPool2d(2), nn.Flatten(), of.Linear(24, 5))


TRACED: list[tuple[nn.Module, tuple[int, ...]]] = [
    (layer(3, 4, 3, padding=1, stride=2, algorithm=algorithm), (3, 8, 8))
    for layer in (layers.Conv2d, layers.ConvTranspose2d)
    for algorithm in ("auto", "own", "direct", "im2col", "adjoint", "fft", "vendor", *NATIVE)
]
TRACED += [
    (layers.Conv2d(3, 4, 3, algorithm="winograd"), (3, 8, 8)),
    (layers.MaxPool2d(3, 2, 1, algorithm="own"), (3, 8, 8)),
    (layers.MaxPool2d(3, 2, 1, return_indices=True, algorithm="own"), (3, 8, 8)),
    (layers.AvgPool2d(3, 2, 1, algorithm="own"), (3, 8, 8)),
    (layers.AdaptiveAvgPool2d(3, algorithm="own"), (3, 8, 8)),
    (layers.AdaptiveMaxPool2d(3, algorithm="own"), (3, 8, 8)),
    (layers.LPPool2d(2, 3, 2), (3, 8, 8)),
    (layers.BatchNorm2d(3, algorithm="own"), (3, 8, 8)),
    *((layers.BatchNorm2d(3, algorithm=algorithm), (3, 8, 8)) for algorithm in NATIVE),
    (layers.GroupNorm(1, 3), (3, 8, 8)),
    (layers.LayerNorm(8), (3, 8, 8)),
    (layers.LocalResponseNorm(3), (3, 8, 8)),
    (layers.LocalContrastNorm(3), (3, 8, 8)),
    (layers.Linear(8, 4, algorithm="own"), (3, 8)),
    (layers.LocallyConnected2d(3, 4, (8, 8), 3), (3, 8, 8)),
    (layers.ReLU(inplace=True, algorithm="own"), (8,)),
    (layers.ELU(inplace=True), (8,)),
    (layers.SiLU(inplace=True), (8,)),
    (layers.Hardswish(), (8,)),
    (layers.PReLU(), (8,)),
    (layers.Maxout(2), (8,)),
    (layers.LogSoftmax(1), (8,)),
]


@pytest.mark.parametrize(("layer", "shape"), TRACED, ids=lambda value: str(value)[:40])
def test_a_trace_computes_what_the_layer_does_for_other_batches_too(layer, shape):
    """With gradients on, which is how it is usually called; and torch traces twice to compare."""
    layer = layer.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes that become constants
        traced: Any = torch.jit.trace(layer, torch.randn(2, *shape))
        for batch in (2, 5):
            x = torch.randn(batch, *shape)
            torch.testing.assert_close(traced(x.clone()), layer(x.clone()), atol=1e-4, rtol=1e-4)


def test_what_has_been_measured_does_not_change_a_trace():
    network, x = lenet(layers).eval(), torch.randn(3, 1, 14, 14)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before: Any = torch.jit.trace(network, x)
        network(x)
        network(x).sum().backward()
        after: Any = torch.jit.trace(network, x)
    kinds = [[node.kind() for node in traced.inlined_graph.nodes()] for traced in (before, after)]
    assert kinds[0] == kinds[1]


@pytest.mark.slow
def test_per_sample_gradients_are_the_same_under_compile():
    network = lenet(layers).eval()
    parameters = {name: value.detach() for name, value in network.named_parameters()}

    def loss(parameters, image, label):
        scores = torch.func.functional_call(network, parameters, (image[None],))
        return functional.cross_entropy(scores, label[None])

    gradients = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    images, labels = torch.randn(4, 1, 14, 14), torch.arange(4)
    found = torch.compile(gradients, backend="aot_eager")(parameters, images, labels)
    torch.testing.assert_close(found, gradients(parameters, images, labels), atol=1e-5, rtol=1e-4)


def test_script_is_refused_in_one_line():
    with pytest.raises(NotImplementedError, match=r"^torch.jit.script cannot compile Conv2d; use torch.jit.trace or"):
        torch.jit.script(lenet(layers))


@pytest.mark.filterwarnings("ignore:NOTE. The nodes obtained:UserWarning")  # of auxiliary heads, gone in evaluation
@pytest.mark.parametrize("name", ["lenet5", "alexnet", "resnet20", "densenet40_12", "googlenet", "se_resnet50"])
def test_fx_sees_the_nodes_of_the_same_network_on_torch(name):
    with torch.device("meta"):
        ours, theirs = (models.create(name, layers=family) for family in ("custom", "torch"))
    assert get_graph_node_names(ours) == get_graph_node_names(theirs)


def test_features_out_of_the_midst_of_a_network():
    network = models.create("resnet20").eval()
    features = create_feature_extractor(network, ["layer1", "layer2.0.conv1"])(torch.randn(2, 3, 32, 32))
    assert {name: tuple(maps.shape) for name, maps in features.items()} == {
        "layer1": (2, 16, 32, 32),
        "layer2.0.conv1": (2, 32, 16, 16),
    }


def test_a_graph_of_layers_still_knows_training_from_evaluation():
    network = nn.Sequential(layers.BatchNorm2d(3), layers.Dropout(0.5), layers.ReLU())
    graph = fx.symbolic_trace(network)
    assert network[0].state_dict()["num_batches_tracked"] == 0  # tracing computes nothing
    x = torch.randn(4, 3, 5, 5)
    graph(x)
    assert graph.state_dict()["0.num_batches_tracked"] == 1
    torch.testing.assert_close(graph.eval()(x), network.eval()(x))


def test_functions_are_one_node_each():
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(2, 3, 3, 3))

        def forward(self, x):
            return functional.max_pool2d(functional.relu(functional.conv2d(x, weight=self.weight)), kernel_size=2)

    network, x = Network(), torch.randn(2, 3, 6, 6)
    graph = fx.symbolic_trace(network)
    called = [node.target for node in graph.graph.nodes if node.op == "call_function"]
    assert called == [functional.conv2d, functional.relu, functional.max_pool2d]
    assert torch.equal(graph(x), network(x))


def test_fusing_takes_torchs_layers():
    """What docs/guide/layers.md says of tools that look layers up by their class."""
    network, x = lenet(layers).train(), torch.randn(3, 1, 14, 14)
    network(x)
    expected = network.eval()(x)
    fused = fuse(layers.convert(network, to="torch"))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    torch.testing.assert_close(fused(x), expected, atol=1e-5, rtol=1e-4)


class Named(torch.Tensor):
    """As others make them: what a function returns is of this kind too."""

    calls: list[str] = []  # noqa: RUF012

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        cls.calls.append(getattr(func, "__name__", str(func)))
        return super().__torch_function__(func, types, args, kwargs)


def test_a_subclass_of_tensor_comes_out_and_is_asked_once():
    for layer, x in ((layers.Conv2d(2, 3, 3), torch.randn(1, 2, 5, 5)), (layers.MaxPool2d(2), torch.randn(1, 2, 4, 4))):
        Named.calls.clear()
        named = x.as_subclass(Named)
        found = layer(named)
        assert type(found) is Named
        assert [call for call in Named.calls if call.endswith("2d")] == [
            type(layer).__name__.lower().replace("maxp", "max_p")
        ]
        torch.testing.assert_close(found.as_subclass(torch.Tensor), layer(x))


def captum_net(of) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(of.Conv2d(3, 4, 3), of.ReLU(), of.MaxPool2d(3), of.Conv2d(4, 2, 2)).eval()


@pytest.mark.parametrize("name", ["DeepLift", "IntegratedGradients", "GuidedBackprop", "LayerGradCam", "LRP"])
def test_captums_attributions_are_those_of_torchs_layers(name):
    attr = pytest.importorskip("captum.attr")
    x = torch.randn(2, 3, 8, 8)
    found = []
    for of in (layers, nn):
        network = captum_net(of)
        method = getattr(attr, name)(network, *([network[0]] if name == "LayerGradCam" else []))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # DeepLift's of its hooks
            found.append(method.attribute(x.clone().requires_grad_(), target=(1, 0, 0)).detach())
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-4)


def test_thop_counts_as_on_torchs_layers():
    thop = pytest.importorskip("thop")
    x = torch.randn(1, 3, 32, 32)
    assert thop.profile(models.create("resnet20").eval(), inputs=(x,), verbose=False) == (41_308_864, 269_722)


BUILT_BEFORE = layers.Conv2d(1, 1, 3)
WAYS_TO_ENTER = {
    "built": lambda: layers.Conv2d(1, 1, 3),
    "converted": lambda: layers.convert(nn.Conv2d(1, 1, 3)),
    "built before the tool was imported": lambda: layers.convert(nn.Sequential(BUILT_BEFORE)),
}


@pytest.mark.parametrize("enter", WAYS_TO_ENTER.values(), ids=WAYS_TO_ENTER)
def test_layers_enter_the_tables_of_tools_that_look_up_exact_classes(enter, monkeypatch):
    counters, rules, unknown = {nn.Conv2d: "count"}, [nn.Conv2d], {nn.Linear: "count"}
    monkeypatch.setitem(sys.modules, "thop.profile", SimpleNamespace(register_hooks=counters))
    monkeypatch.setitem(sys.modules, "captum.attr._core.lrp", SimpleNamespace(SUPPORTED_NON_LINEAR_LAYERS=rules))
    monkeypatch.setitem(sys.modules, "captum.attr._core.deep_lift", SimpleNamespace(SUPPORTED_NON_LINEAR=unknown))
    for _ in range(2):
        enter()
    assert counters == {nn.Conv2d: "count", layers.Conv2d: "count"}
    assert rules == [nn.Conv2d, layers.Conv2d]
    assert unknown == {nn.Linear: "count"}


def test_a_users_subclass_enters_no_table(monkeypatch):
    counters = {nn.Conv2d: "count"}
    monkeypatch.setitem(sys.modules, "thop.profile", SimpleNamespace(register_hooks=counters))

    class Mine(layers.Conv2d):
        pass

    Mine(1, 1, 3)
    assert Mine not in counters
