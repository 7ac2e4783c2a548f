"""What can be found of a GPU without one: every operator, layer and network on fake tensors of the device "cuda".

An operation of tensors on two devices fails there as on a real device, and nothing may have the host wait: read a
number, count elements to know a size, or copy from or to the host.
"""

from __future__ import annotations

import pytest
import torch
from layer_table import LARGE, LAYERS, LOSSES, NETWORKS, missing
from torch import Tensor

from fake_device import CUDA, Watch, fake_cuda
from proof.operators import OPERATORS, Case, ours, quiet, some_samples
from repronet import layers, models
from repronet.analysis.gradient_cases import all_cases
from repronet.functional import __all__ as FUNCTIONS
from repronet.functional import cross_entropy, rbf_loss
from repronet.models import MODELS
from repronet.training.losses import loss_of_heads

LABELLED = {"cross_entropy", "nll_loss", "multiclass_hinge", "rbf_loss"}  # whose cases hold labels on the CPU
TABLE = {operator.name for operator in OPERATORS}
OTHERS = sorted(set(FUNCTIONS) - TABLE - LABELLED - {"local_contrast_norm"})
HALVES = {"fp16": torch.float16, "bf16": torch.bfloat16}


def on_cuda(tensor: Tensor) -> Tensor:
    """A fake tensor like this one, in whose place it stands."""
    made = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=CUDA)
    return made.requires_grad_(tensor.requires_grad)


def gradients(output: Tensor, leaves: list[Tensor]) -> None:
    """Of the output, and where there are second derivatives of their sum too; all on the device."""
    leaves = [leaf for leaf in leaves if leaf.requires_grad]
    if not leaves or not output.requires_grad:
        return
    found = torch.autograd.grad(output, leaves, torch.ones_like(output), create_graph=True, allow_unused=True)
    assert all(one is None or one.device == CUDA for one in found)
    total = [one.sum() for one in found if one is not None and one.requires_grad]
    if total:
        torch.autograd.grad(torch.stack(total).sum(), leaves, allow_unused=True)


def test_what_makes_the_host_wait_is_noted():
    with fake_cuda() as watch:
        x = torch.randn(3, device=CUDA)
        watch.waits.clear()
        float(x.sum())
        bool(x[0] > 0)
        x.cpu()
        x.copy_(torch.ones(3))
        x[torch.zeros(2, dtype=torch.int64)]
        words = [wait.split(": ")[1] for wait in watch.waits]
        assert words == [
            "_local_scalar_dense reads a number",
            "_local_scalar_dense reads a number",
            "_to_copy copies to the host",
            "copy_ copies from the host",
            "index copies from the host",
        ]
        assert all(wait.startswith("test_fake_cuda.py:") for wait in watch.waits)
        for counting in (x.nonzero, lambda: x[x > 0], lambda: x.masked_select(x > 0)):
            with pytest.raises(AssertionError, match="wait to know the size"):
                counting()
        with pytest.raises(RuntimeError, match="at least two devices"):
            x + torch.ones(3)


def test_gradients_are_those_of_torchs_engine():
    """The walk through the graph that stands in for the engine, on real numbers."""
    from fake_device import backward, grad

    torch.manual_seed(0)
    network, images = models.create("resnet20", num_classes=3), torch.randn(2, 3, 32, 32)
    weights = list(network.parameters())
    expected = torch.autograd.grad(network(images).square().sum(), weights)
    torch.testing.assert_close(grad(network(images).square().sum(), weights), expected)
    backward(network(images).square().sum())
    torch.testing.assert_close([weight.grad for weight in weights], list(expected))


@pytest.mark.parametrize(
    ("operator", "algorithm"),
    [
        pytest.param(operator, algorithm, id="-".join(word for word in (operator.name, algorithm) if word))
        for operator in OPERATORS
        for algorithm in (operator.algorithms or (None,))
    ],
)
def test_operators(operator, algorithm):
    function = quiet(ours(operator, algorithm))
    cases = some_samples(operator, torch.float32, 4)
    with fake_cuda() as watch:
        for sample in cases:
            case: Case = sample.map(on_cuda)
            result = case.call(function)
            outputs = result if isinstance(result, tuple) else (result,)
            assert all(output.device == CUDA for output in outputs)
            gradients(outputs[0], [leaf for _, leaf in case.leaves()])
    assert watch.waits == []
    assert watch.operations >= len(cases)


@pytest.mark.parametrize("layer", OTHERS)
def test_operators_that_torch_has_not(layer):
    cases = [case for case in all_cases("own", seed=0) if case.layer == layer]
    assert cases
    with fake_cuda() as watch:
        for case in cases:
            leaves = [on_cuda(tensor).requires_grad_() for tensor in case.inputs.values()]
            output = case.ours(*leaves)
            assert output.device == CUDA
            gradients(output, leaves)
    assert watch.waits == []


def test_rbf_loss():
    with fake_cuda() as watch:
        distances, labels = torch.rand(4, 3, device=CUDA), torch.zeros(4, dtype=torch.int64, device=CUDA)
        gradients(rbf_loss(distances.requires_grad_(), labels, 2.0), [distances])
    assert watch.waits == []


def test_every_layer_is_here():
    assert missing() == set()
    assert set(NETWORKS) == set(MODELS.values())


@pytest.mark.parametrize("half", [None, *HALVES])
@pytest.mark.parametrize("name", [*LAYERS, *LOSSES])
def test_layers(name, half):
    """Trained and evaluated, the images with channels last, also within autocast."""
    arguments, shape = LAYERS.get(name, ((), (5, 4)))
    with fake_cuda() as watch:
        with torch.device(CUDA):
            layer, x = getattr(layers, name)(*arguments), torch.randn(shape)
            given = [_targets(name)] if name in LOSSES else []
        watch.waits.clear()  # a count of batches is copied when a norm is made
        for training in (True, False):
            x = x.to(memory_format=torch.channels_last) if x.dim() == 4 and not training else x
            leaf = x.detach().requires_grad_()
            with torch.autocast("cuda", dtype=HALVES.get(half or "", torch.float16), enabled=half is not None):
                output = layer.train(training)(leaf * 1.0, *given)
            assert output.device == CUDA
            output.sum().backward()
            assert leaf.grad is not None
            assert leaf.grad.dtype == torch.float32
    assert watch.waits == []


def _targets(name: str) -> Tensor:
    return torch.rand(5, 4) if name in ("BCEWithLogitsLoss", "MSELoss") else torch.zeros(5, dtype=torch.int64)


each_family = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in NETWORKS.values()]
)


def one_step(name: str, device: torch.device, half: str | None = None, watch: Watch | None = None) -> None:
    """Forward, loss of all heads, backward and an optimizer step of a network."""
    with device:
        network = models.create(name)
        classes, size = network.blueprint["num_classes"], int(network.input_size)
        images = torch.randn(2, models.usual_channels(name), size, size)
        labels = torch.zeros(2, dtype=torch.int64)
    if watch is not None:
        watch.waits.clear()  # torch's truncated normal numbers wait for each layer's
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    with torch.autocast("cuda", dtype=HALVES.get(half or "", torch.float16), enabled=half is not None):
        output = network(images)
        loss = loss_of_heads(network, output, labels, rbf_loss if name == "lenet5_1998" else cross_entropy)
    loss.backward()
    optimizer.step()
    logits = output if isinstance(output, Tensor) else output.logits
    assert logits.shape == (2, classes)
    assert all(weight.grad is not None and weight.grad.device == device for weight in network.parameters())


@each_family
def test_networks(name):
    with fake_cuda() as watch:
        one_step(name, CUDA, watch=watch)
    assert watch.waits == []
    assert watch.operations > 20


@pytest.mark.slow
@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("name", NETWORKS.values())
def test_networks_in_half_precision(name, half):
    with fake_cuda() as watch:
        one_step(name, CUDA, half, watch)
    assert watch.waits == []


@pytest.mark.thorough
@pytest.mark.parametrize("name", sorted(set(MODELS) - set(NETWORKS.values())))
def test_every_network(name):
    with fake_cuda() as watch:
        one_step(name, CUDA, watch=watch)
    assert watch.waits == []


@each_family
def test_networks_without_memory(name):
    one_step(name, torch.device("meta"))
