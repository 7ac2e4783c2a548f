"""Memory of activations and of training, and that measuring a network leaves it alone."""

from __future__ import annotations

import itertools

import pytest
import torch
import torchvision
from torch import Tensor, nn

from repronet import layers, models
from repronet.analysis import complexity
from repronet.analysis.complexity import Summary, summarize
from repronet.errors import UserError


def small(inplace: bool) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5))


def test_what_lies_in_anothers_memory_takes_none():
    bytes_of = {inplace: [16 * 36, 0 if inplace else 16 * 36, 16 * 9, 0, 20] for inplace in (True, False)}
    for inplace, wanted in bytes_of.items():
        summary = summarize(small(inplace), (1, 8, 8))
        assert [r.activation_bytes for r in summary.rows] == wanted
        assert summary.forward_bytes == 4 * 64 + sum(wanted)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_what_the_backward_pass_keeps(batch):
    """The image (for the filters' gradient), the ReLU's output, the pool's indices, the linear layer's input."""
    for inplace in (True, False):
        summary = summarize(small(inplace), (1, 8, 8), batch=batch)
        assert summary.kept_bytes == batch * (4 * 64 + 4 * 144 + 8 * 36 + 4 * 36)


def test_what_does_not_grow_with_the_batch_is_kept_once():
    """A batch norm keeps its input and, for each channel, mean and deviation."""
    kept = [summarize(nn.BatchNorm2d(3), (3, 4, 4), batch=n).kept_bytes for n in (1, 2, 7)]
    assert kept == [n * 4 * 48 + 2 * 4 * 3 for n in (1, 2, 7)]


@pytest.mark.parametrize("family", ["custom", "torch"])
def test_what_is_kept_without_memory_is_what_is_kept_with_it(family):
    network = models.create("lenet5", normalization="batch", layers=family)
    if family == "custom":
        layers.set_algorithm(network, "vendor")
    images = torch.randn(3, 1, 32, 32)
    assert summarize(network, (1, 32, 32), batch=3).kept_bytes == complexity._kept(network.train(), images)


@pytest.mark.parametrize(("optimizer", "copies"), [("sgd", 0), ("momentum", 1), ("adam", 2)])
def test_training_adds_gradients_and_the_optimizers_copies(optimizer, copies):
    network = small(inplace=True)
    network[0].requires_grad_(False)
    summary = summarize(network, (1, 8, 8), optimizer=optimizer)
    assert summary.parameter_bytes == 4 * (40 + 185)
    assert summary.gradient_bytes == 4 * 185
    assert summary.optimizer_bytes == copies * 4 * 185
    # Frozen filters need no image, and their ReLU no sign.
    assert summary.kept_bytes == 4 * 36
    assert summary.training_bytes == 4 * (36 + 225 + 185 + copies * 185)


def test_the_optimizers_copies_are_torchs():
    for name, make in {
        "sgd": lambda p: torch.optim.SGD(p, 0.1),
        "momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
        "adam": torch.optim.Adam,
    }.items():
        network = nn.Linear(3, 4)
        optimizer = make(network.parameters())
        network(torch.ones(2, 3)).sum().backward()
        optimizer.step()
        state = itertools.chain.from_iterable(s.items() for s in optimizer.state.values())
        held = sum(tensor.nbytes for key, tensor in state if tensor is not None and key != "step")
        assert summarize(network, (3,), optimizer=name).optimizer_bytes == held


def test_half_precision_takes_half():
    network = torchvision.models.resnet18()
    full, half = (summarize(network, dtype=dtype) for dtype in (torch.float32, torch.bfloat16))
    assert half.forward_bytes * 2 == full.forward_bytes
    assert half.parameter_bytes * 2 == full.parameter_bytes
    assert half.macs == full.macs


# -- the network is left alone ----------------------------------------------------------------------------------------


@pytest.fixture
def where(monkeypatch) -> list[str]:
    """The devices on which networks are measured, successfully."""
    devices: list[str] = []
    measure = complexity._measure

    def noted(*arguments) -> Summary:
        summary = measure(*arguments)
        devices.append(arguments[-1].type)
        return summary

    monkeypatch.setattr(complexity, "_measure", noted)
    return devices


def test_numbers_are_not_computed_and_not_changed(where):
    network = models.create("lenet5", normalization="batch").train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    random = torch.get_rng_state()
    summarize(network, (1, 32, 32))
    assert where == ["meta"]
    assert network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert isinstance(network.c1, layers.Conv2d)
    assert torch.equal(torch.get_rng_state(), random)


class Chooses(nn.Module):
    """Looks at numbers, as no network without memory can."""

    def __init__(self):
        super().__init__()
        self.norm, self.dropout = nn.BatchNorm2d(2), nn.Dropout()

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.norm(x)) if x.sum().item() == 0 else x


def test_a_network_that_looks_at_numbers_gets_them(where):
    network, random = Chooses().train(), torch.get_rng_state()
    summary = summarize(network, (2, 4, 4))
    assert where == ["cpu"]
    assert [r.kind for r in summary.rows] == ["BatchNorm2d", "Dropout"]
    assert torch.equal(torch.get_rng_state(), random)
    assert network.norm.num_batches_tracked == 0


def test_a_network_that_can_only_be_tested():
    class Small(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                raise ValueError("too small")
            return x

    summary = summarize(nn.Sequential(nn.Conv2d(1, 1, 1), Small()), (1, 4, 4))
    assert (summary.kept_bytes, summary.training_bytes) == (None, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"input_size": (1, 8, 8)},
            r"input=1,8,8: LeNet5 cannot take images of this size: LeNet5 takes images of 32 to 35",
        ),
        ({"optimizer": "lion"}, "optimizer=lion: must be one of sgd, momentum, adam"),
        ({"batch": 0}, "batch=0: must be at least 1"),
    ],
)
def test_what_cannot_be_measured_is_said(arguments, message):
    with pytest.raises(UserError, match=message) as failure:
        summarize(models.create("lenet5"), **arguments)
    assert "\n" not in str(failure.value)
