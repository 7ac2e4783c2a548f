"""LeNet-5 against the figures of its paper."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from repronet import models
from repronet.errors import UserError
from repronet.models.lenet import C3_TABLE, digit_codes


def trainable(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


@pytest.mark.parametrize("layers", ["custom", "torch"])
@pytest.mark.parametrize(
    ("name", "channels", "parameters"), [("lenet5", 1, 61_706), ("lenet5", 3, 62_006), ("lenet5_1998", 1, 60_000)]
)
def test_parameters_are_exact(name, channels, parameters, layers):
    assert trainable(models.create(name, in_channels=channels, layers=layers)) == parameters


def test_parameters_of_1998_layer_by_layer():
    network = models.create("lenet5_1998")
    counts = {name: trainable(layer) for name, layer in network.named_children() if trainable(layer)}
    assert counts == {"c1": 156, "s2": 12, "c3": 1_516, "s4": 32, "c5": 48_120, "f6": 10_164}
    assert network.output.codes.numel() == 840  # fixed


def test_stage_shapes():
    shapes = {}
    network = models.create("lenet5")
    for name, layer in network.named_children():
        layer.register_forward_hook(lambda _, __, out, name=name: shapes.update({name: tuple(out.shape[1:])}))
    network(torch.zeros(2, 1, 32, 32))
    wanted = {"c1": (6, 28, 28), "s2": (6, 14, 14), "c3": (16, 10, 10), "s4": (16, 5, 5), "c5": (120,), "f6": (84,)}
    assert {name: shapes[name] for name in wanted} == wanted


def test_c3_follows_table_1():
    assert [len(sources) for sources in C3_TABLE] == [3] * 6 + [4] * 9 + [6]
    assert sum(len(sources) for sources in C3_TABLE) == 60
    assert len(set(C3_TABLE)) == 16
    # every S2 map feeds ten of the sixteen C3 maps: the table is balanced
    assert [sum(source in sources for sources in C3_TABLE) for source in range(6)] == [10] * 6


def test_c3_is_the_papers_table_of_crosses():
    # Table I as it is printed: a row for each S2 map, a column for each C3 map.
    crosses = """
        X . . . X X X . . X X X X . X X
        X X . . . X X X . . X X X X . X
        X X X . . . X X X . . X . X X X
        . X X X . . X X X X . . X . X X
        . . X X X . . X X X X . X X . X
        . . . X X X . . X X X X . X X X
    """
    rows = [line.split() for line in crosses.strip().splitlines()]
    columns = tuple(tuple(s for s in range(6) if rows[s][c] == "X") for c in range(16))
    assert columns == C3_TABLE


def test_weights_of_1998_start_within_their_fan_in():
    torch.manual_seed(0)
    network = models.create("lenet5_1998")
    c3 = network.c3.weight.detach()
    for target, sources in enumerate(C3_TABLE):
        bound = 2.4 / (25 * len(sources))
        assert 0.8 * bound < c3[target, list(sources)].abs().max() <= bound
    for weight, fan_in in ((network.c1.weight, 25), (network.c5.weight, 400), (network.f6.weight, 120)):
        assert 0.95 * 2.4 / fan_in < weight.abs().max() <= 2.4 / fan_in
    assert network.s2.coefficient.abs().max() <= 2.4 / 4


def test_1998_step_by_step_from_its_formulas():
    torch.manual_seed(1)
    network = models.create("lenet5_1998").double()
    image = torch.randn(1, 1, 32, 32, dtype=torch.float64)

    def squash(a):
        return 1.7159 * torch.tanh(2 * a / 3)

    def subsample(x, layer):
        four = x[:, :, 0::2, 0::2] + x[:, :, 0::2, 1::2] + x[:, :, 1::2, 0::2] + x[:, :, 1::2, 1::2]
        return squash(four * layer.coefficient + layer.bias)

    def convolve(x, layer):
        return squash(nn.functional.conv2d(x, layer.weight, layer.bias))

    x = subsample(convolve(image, network.c1), network.s2)
    x = subsample(convolve(x, network.c3), network.s4)
    x = squash(nn.functional.linear(convolve(x, network.c5).flatten(1), network.f6.weight, network.f6.bias))
    wanted = [-((x[0] - code) ** 2).sum() for code in digit_codes().double()]
    assert torch.allclose(network(image)[0], torch.stack(wanted), rtol=1e-12)


def test_unconnected_maps_do_not_reach_each_other():
    network = models.create("lenet5_1998").double()
    x = torch.randn(1, 6, 14, 14, dtype=torch.float64, requires_grad=True)
    network.c3(x)[:, 0].sum().backward()  # C3 map 0 sees S2 maps 0, 1, 2
    assert x.grad is not None
    assert x.grad[0].flatten(1).abs().sum(1).gt(0).tolist() == [True, True, True, False, False, False]


def test_rbf_output_is_the_negated_squared_distance_to_the_codes():
    network = models.create("lenet5_1998")
    codes = digit_codes()
    assert codes.shape == (10, 84)
    assert set(codes.unique().tolist()) == {-1.0, 1.0}
    scores = network.output(codes)
    assert torch.equal(scores.diagonal(), torch.zeros(10))
    flipped = codes[:1].clone()
    flipped[0, 5] *= -1  # one component off by 2: squared distance 4
    assert network.output(flipped)[0, 0].item() == -4.0
    differing = (codes[:, None] != codes).sum(2)
    assert differing.fill_diagonal_(84).min() >= 5  # no two digits share a code


def test_squashing_is_lecuns():
    squash = models.create("lenet5_1998").squash
    assert torch.allclose(squash(torch.tensor([-1.0, 0.0, 1.0])), torch.tensor([-1.0, 0.0, 1.0]), atol=1e-4)
    assert squash(torch.tensor(50.0)).item() == pytest.approx(1.7159)


@pytest.mark.parametrize("name", ["lenet5", "lenet5_1998"])
def test_both_layer_families_agree_from_the_same_seed(name):
    results = []
    images, labels = torch.randn(8, 1, 32, 32), torch.arange(8)
    for layers in ("custom", "torch"):
        torch.manual_seed(3)
        network = models.create(name, layers=layers)
        logits = network(images)
        nn.functional.cross_entropy(logits, labels).backward()
        results.append((logits.detach(), {n: p.grad for n, p in network.named_parameters()}))
    (ours, our_gradients), (theirs, their_gradients) = results
    assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    assert our_gradients.keys() == their_gradients.keys()
    for key, gradient in our_gradients.items():
        assert gradient is not None, key
        assert (gradient - their_gradients[key]).abs().max() <= 1e-5 * their_gradients[key].abs().max(), key


def test_batch_normalization_is_a_choice_of_lenet5_and_not_of_1998s():
    assert trainable(models.create("lenet5", normalization="batch")) == 61_706 + 2 * (6 + 16)
    with pytest.raises(UserError, match="normalization=batch: lenet5_1998 has no normalization"):
        models.create("lenet5_1998", normalization="batch")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "lenet6"}, "model=lenet6: no such network; nearest: lenet5"),
        ({"name": "lenet5", "num_classes": 0}, "num_classes=0"),
        ({"name": "lenet5", "layers": "tensorflow"}, "layers=tensorflow"),
        ({"name": "lenet5", "normalization": "groups"}, "normalization=groups: no such layer"),
        ({"name": "lenet5_1998", "num_classes": 26}, "images of the ten digits"),
    ],
)
def test_what_cannot_be_built_is_said(arguments, message):
    with pytest.raises(UserError, match=message):
        models.create(**arguments)
