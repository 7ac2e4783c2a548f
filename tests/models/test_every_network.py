"""What must hold for every network: it is its paper's, it trains, it is what it was."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import Tensor, nn

from repronet import models
from repronet.analysis.golden import logits, sizes
from repronet.analysis.verification import verify
from repronet.layers import set_algorithm, unconverted
from repronet.papers import NETWORKS
from repronet.papers.tables import golden

# Of every family one that takes no time.
QUICK = (
    "lenet5",
    "lenet5_1998",
    "lecture_net",
    "locally_connected",
    "mlp",
    "four_layer_13pct",
    "four_layer_11pct",
    "four_layer_18pct",
    "four_layer",
    "four_layer_tanh",
    "four_layer_abutting",
    "nin",
    "resnet20",
    "resnet20_b",
    "plain20",
    "se_resnet20",
    "preact_resnet110",
    "se_preact_resnet110",
    "densenet_bc_100_12",
)
quick_or_slow = pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in models.MODELS]
)


def test_every_network_has_its_facts():
    ours = {name for name, family in models.MODELS.items() if isinstance(family, str)}  # others may have been entered
    assert ours == NETWORKS.keys() == golden().keys()


# One of the large ones of each family.
LARGE = (
    "alexnet",
    "zfnet",
    "vgg16",
    "googlenet",
    "inception_v3",
    "resnet50",
    "resnext50_32x4d",
    "densenet121",
    "senet154",
)


@pytest.mark.parametrize(
    "name",
    [name if name in (*QUICK, *LARGE) else pytest.param(name, marks=pytest.mark.slow) for name in models.MODELS],
)
def test_is_the_network_of_its_paper(name):
    wrong = [check for check in verify(name) if not check.passed]
    assert not wrong


def images_of(name: str) -> Tensor:
    """Two of the network's own size."""
    return torch.randn(2, *NETWORKS[name].input, generator=torch.Generator().manual_seed(0))


def train_one_step(network: nn.Module, images: Tensor) -> tuple[Tensor, list[str]]:
    """The loss of one step of gradient descent, and the parameters that got no finite gradient."""
    answer = network.train()(images)
    scores = list(answer) if isinstance(answer, tuple) else [answer]
    loss = sum(nn.functional.cross_entropy(y.float(), torch.tensor([0, 1])) for y in scores)
    assert isinstance(loss, Tensor)
    loss.backward()
    named = network.named_parameters()
    without = [key for key, p in named if p.grad is None or not p.grad.isfinite().all()]
    torch.optim.SGD(network.parameters(), lr=1e-3).step()
    return loss.detach(), without


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.thorough) for name in models.MODELS]
)
def test_trains_a_step_on_our_layers(name):
    """In float32, then in channels-last under bfloat16 autocast."""
    torch.manual_seed(0)
    network = models.create(name)
    assert not unconverted(network)
    assert models.builder(name).__name__ == network.architecture
    for algorithm, layout, half in (
        ("im2col", torch.contiguous_format, False),
        ("vendor", torch.channels_last, True),
    ):
        set_algorithm(network, algorithm)
        network.to(memory_format=layout).zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            loss, without = train_one_step(network, images_of(name).to(memory_format=layout))
        assert loss.isfinite()
        assert not without


@quick_or_slow
def test_is_what_it_was(name):
    """The golden record: sizes and shapes to the last digit, logits to the rounding of another machine."""
    record = golden()[name]
    assert sizes(name) == {key: record[key] for key in ("parameters", "macs", "shapes")}
    if name == "resnet1202":
        pytest.skip("1,202 layers amplify the rounding of other kernels to tens of per cent: its sizes alone are held")
    total, squares, *first = logits(name)
    wanted_total, wanted_squares, *wanted_first = record["logits"]
    largest = wanted_squares**0.5
    assert squares == pytest.approx(wanted_squares, rel=1e-3)
    assert [total, *first] == pytest.approx([wanted_total, *wanted_first], abs=1e-3 * largest)


@pytest.mark.parametrize("name", ["resnet20", "nin", "densenet_bc_100_12", "lecture_net", "locally_connected", "mlp"])
def test_one_seed_gives_the_same_weights_under_both_layer_families(name):
    drawn = []
    for layers in ("custom", "torch"):
        torch.manual_seed(3)
        drawn.append(models.create(name, layers=layers).state_dict())
    assert drawn[0].keys() == drawn[1].keys()
    assert all(torch.equal(drawn[0][key], drawn[1][key]) for key in drawn[0])


@pytest.mark.parametrize("name", models.MODELS)
def test_is_a_plain_function_of_its_name(name):
    build = models.builder(name)
    assert build.__name__ == name
    assert build.__doc__
    defaults = {key: parameter.default for key, parameter in inspect.signature(build).parameters.items()}
    assert defaults["num_classes"] == NETWORKS[name].classes
    assert defaults["in_channels"] == NETWORKS[name].input[0]


def test_other_classes_and_channels():
    with torch.device("meta"):
        for name in ("resnet18", "vgg11_32px", "googlenet", "inception_v3", "densenet121", "senet154", "alexnet"):
            network = models.create(name, num_classes=7, in_channels=1).eval()
            size = network.input_size
            assert network(torch.zeros(2, 1, size, size)).shape == (2, 7)


def test_a_residual_network_of_1202_layers():
    with torch.device("meta"):
        assert sum(p.numel() for p in models.create("resnet1202").parameters()) == 19_421_274


def test_heads_are_left_out_on_demand():
    with torch.device("meta"):
        network = models.builder("googlenet")(aux_logits=False)
        assert network.train()(torch.zeros(2, 3, 224, 224)).shape == (2, 1000)
