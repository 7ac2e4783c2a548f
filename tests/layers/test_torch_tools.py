"""What is done to whole networks: traced, scripted, compiled around a transform."""

import warnings

import pytest
import torch
from torch import nn

from repronet import functional, layers, models

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.*. is deprecated:FutureWarning")


def lenet(of) -> nn.Sequential:
    convolutions = of.Conv2d(1, 4, 3), of.BatchNorm2d(4), of.ReLU(inplace=True), of.MaxPool2d(2)
    return nn.Sequential(*convolutions, of.Conv2d(4, 6, 3), of.Tanh(), of.AvgPool2d(2), nn.Flatten(), of.Linear(24, 5))


TRACED = [
    (layers.Conv2d(3, 4, 3, padding=1, stride=2, algorithm=algorithm), (3, 8, 8))
    for algorithm in ("auto", "own", "direct", "im2col", "adjoint", "fft", "vendor")
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
        traced = torch.jit.trace(layer, torch.randn(2, *shape))
        for batch in (2, 5):
            x = torch.randn(batch, *shape)
            torch.testing.assert_close(traced(x.clone()), layer(x.clone()), atol=1e-4, rtol=1e-4)


def test_what_has_been_measured_does_not_change_a_trace():
    network, x = lenet(layers).eval(), torch.randn(3, 1, 14, 14)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = torch.jit.trace(network, x).inlined_graph
        network(x)
        network(x).sum().backward()
        after = torch.jit.trace(network, x).inlined_graph
    assert [node.kind() for node in before.nodes()] == [node.kind() for node in after.nodes()]


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
