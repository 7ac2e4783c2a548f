"""What else of torch people use on a network: each does on our layers what it does on torch's."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.optim.swa_utils import AveragedModel, update_bn
from torch.utils.checkpoint import checkpoint_sequential
from torch.utils.flop_counter import FlopCounterMode

from repronet import layers, models

pytestmark = pytest.mark.field
SHAPE = (2, 3, 8, 8)


def net(of: Any = layers) -> nn.Sequential:
    torch.manual_seed(0)
    first = of.Conv2d(3, 8, 3, padding=1), of.BatchNorm2d(8), of.ReLU(inplace=True), of.MaxPool2d(2)
    return nn.Sequential(*first, of.Conv2d(8, 8, 3, groups=2), of.ReLU(), nn.Flatten(), of.Linear(32, 4))


def norm(wrap: Callable[..., Any]) -> Callable[[Any], nn.Module]:
    return lambda of: nn.Sequential(wrap(of.Conv2d(3, 4, 3)), nn.Flatten(), wrap(of.Linear(144, 3))).eval()


def pruned(of: Any) -> nn.Module:
    return prune.l1_unstructured(of.Conv2d(3, 4, 3), "weight", 0.5)


CHANGED: dict[str, Callable[[Any], nn.Module]] = {
    "weight_norm": norm(parametrizations.weight_norm),
    "spectral_norm": norm(parametrizations.spectral_norm),
    "spectral_norm by hooks": norm(nn.utils.spectral_norm),
    "orthogonal": norm(parametrizations.orthogonal),
    "pruned": pruned,
    **{
        f"padding_mode={mode}": lambda of, mode=mode: of.Conv2d(3, 4, 3, padding=1, padding_mode=mode)
        for mode in ("reflect", "replicate", "circular")
    },
    "padding=same of an even kernel": lambda of: of.Conv2d(3, 4, 4, padding="same"),
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("how", CHANGED)
def test_a_changed_layer_computes_and_learns_as_torchs(how):
    ours, theirs = CHANGED[how](layers), CHANGED[how](nn)
    theirs.load_state_dict(ours.state_dict())
    outputs, gradients = [], []
    for network in (ours, theirs):
        x = torch.linspace(-1, 1, 384).reshape(SHAPE).requires_grad_()
        outputs.append(network(x))
        outputs[-1].square().sum().backward()
        gradients.append([x.grad, *(parameter.grad for parameter in network.parameters())])
    torch.testing.assert_close(outputs[0], outputs[1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-4, rtol=1e-3)


def through_pickle(network: nn.Module) -> nn.Module:
    return pickle.loads(pickle.dumps(network))


def through_export(network: nn.Module) -> nn.Module:
    shapes = ({0: torch.export.Dim("batch", min=2)},)
    file = io.BytesIO()
    torch.export.save(torch.export.export(network, (torch.randn(SHAPE),), dynamic_shapes=shapes), file)
    file.seek(0)
    return torch.export.load(file).module()


def through_frozen_trace(network: nn.Module) -> Any:
    file = io.BytesIO()
    torch.jit.save(torch.jit.freeze(torch.jit.trace(network, torch.randn(SHAPE))), file)  # type: ignore[arg-type]
    file.seek(0)
    return torch.jit.load(file)


def onto_meta_and_back(network: nn.Module) -> nn.Module:
    with torch.device("meta"):
        empty = net()
    empty.load_state_dict(network.state_dict(), assign=True)
    return empty.eval()


WAYS = {
    "deepcopy": copy.deepcopy,
    "pickle": through_pickle,
    "export with any batch": through_export,
    "a frozen trace": through_frozen_trace,
    "meta and assign=True": onto_meta_and_back,
    "compiled for any shape": lambda network: torch.compile(network, backend="aot_eager", dynamic=True, fullgraph=True),
    "channels last": lambda network: copy.deepcopy(network).to(memory_format=torch.channels_last),
}


@pytest.mark.filterwarnings("ignore:.torch.jit.*. is deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore:.torch.jit.*. is deprecated:DeprecationWarning")
@pytest.mark.parametrize("way", WAYS)
def test_a_network_comes_out_of_it_as_it_went_in(way):
    network = net()
    network(torch.randn(SHAPE)).sum().backward()  # as after some training
    network = network.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes that become constants in a trace
        other = WAYS[way](network)
    for batch in (2, 3):
        x = torch.randn(batch, *SHAPE[1:])
        torch.testing.assert_close(other(x), network(x), atol=1e-5, rtol=1e-4)


def test_flops_are_counted_as_of_torchs():
    counts = []
    for family in ("custom", "torch"):
        with FlopCounterMode(display=False) as counter:
            models.create("resnet20", layers=family)(torch.randn(2, 3, 32, 32)).sum().backward()
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


def test_activations_computed_again_give_the_same_gradients():
    network, gradients = net().eval(), []
    for run in (network, lambda x: checkpoint_sequential(network, 2, x, use_reentrant=False)):
        x = torch.linspace(-1, 1, 384).reshape(SHAPE).requires_grad_()
        run(x).sum().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(*gradients)


def test_an_ensemble_in_one_call():
    members = [nn.Sequential(layers.Conv2d(3, 4, 3), layers.ReLU(), nn.Flatten(), layers.Linear(144, 2)) for _ in "abc"]
    parameters, buffers = stack_module_state(members)
    shell, x = copy.deepcopy(members[0]).to("meta"), torch.randn(SHAPE)
    found = vmap(lambda p, b: functional_call(shell, (p, b), (x,)))(parameters, buffers)
    torch.testing.assert_close(found, torch.stack([member(x) for member in members]), atol=1e-5, rtol=1e-4)


def test_averaged_weights_get_their_batch_statistics():
    average = AveragedModel(net())
    average.update_parameters(net())
    batches = [torch.randn(SHAPE) for _ in range(3)]
    update_bn(batches, average)
    norm_layer: Any = average.module[1]
    assert int(norm_layer.num_batches_tracked) == 3
    conv: Any = average.module[0]
    expected = torch.stack([conv(batch).mean((0, 2, 3)) for batch in batches]).mean(0)
    torch.testing.assert_close(norm_layer.running_mean, expected, atol=1e-5, rtol=1e-4)


def test_convolution_and_norm_become_one():
    network, x = net().eval(), torch.randn(SHAPE)
    fused = fuse_conv_bn_eval(network[0], network[1])  # type: ignore[type-var]
    torch.testing.assert_close(fused(x), network[1](network[0](x)), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["Conv2d", "Linear", "BatchNorm2d", "MaxPool2d", "ReLU"])
def test_a_signature_is_torchs_and_the_algorithm(name):
    found = list(inspect.signature(getattr(layers, name)).parameters)
    assert found == [*inspect.signature(getattr(nn, name)).parameters, "algorithm"]


def test_a_layer_is_made_without_initial_weights():
    """torch asks the signature whether the layer takes a device."""
    layer = nn.utils.skip_init(layers.Conv2d, 3, 4, 3, algorithm="im2col")
    assert (layer.weight.device.type, layer.algorithm) == ("cpu", "im2col")


class Named(layers.Conv2d):
    def __init__(self, width: int):
        super().__init__(width, width, 3)


def test_a_layer_of_ones_own_keeps_its_signature():
    assert list(inspect.signature(Named).parameters) == ["width"]


def test_hooks_on_state_dicts_are_called():
    network, seen = net(), []
    network[0].register_state_dict_post_hook(lambda module, state, prefix, meta: seen.append(prefix))
    network[0].register_load_state_dict_post_hook(lambda module, keys: seen.append("loaded"))
    network.load_state_dict(network.state_dict())
    assert seen == ["0.", "loaded"]
