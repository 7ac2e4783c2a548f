import copy
import re

import pytest
import torch
from torch import nn

from differential import random
from repronet import layers

LAYERS = [
    ("Conv2d", (4, 6, 3), {"stride": 2, "padding": 1}),
    ("Conv2d", (4, 6, (3, 2)), {"groups": 2, "bias": False, "dilation": 2}),
    ("Conv2d", (4, 4, 3), {"padding": "same"}),
    ("Conv2d", (4, 6, 3), {"padding": 2, "padding_mode": "reflect"}),
    ("Conv2d", (4, 6, 3), {"padding": (1, 2), "padding_mode": "circular", "stride": 2}),
    ("Conv2d", (4, 6, 3), {"padding": "same", "padding_mode": "replicate"}),
    ("ConvTranspose2d", (4, 6, 4), {"stride": 2, "padding": 1}),
    ("ConvTranspose2d", (4, 6, (3, 2)), {"groups": 2, "bias": False, "dilation": 2, "output_padding": 1}),
    ("MaxPool2d", (3,), {"stride": 2, "padding": 1}),
    ("MaxPool2d", (2,), {"ceil_mode": True, "dilation": 2}),
    ("MaxPool2d", (2,), {"return_indices": True}),
    ("AvgPool2d", (3,), {"stride": 2, "padding": 1, "count_include_pad": False, "ceil_mode": True}),
    ("AvgPool2d", (2,), {"divisor_override": 3}),
    ("Linear", (9, 5), {}),
    ("Linear", (9, 5), {"bias": False}),
    ("ReLU", (), {}),
    ("ReLU", (), {"inplace": True}),
    ("Tanh", (), {}),
    ("BatchNorm2d", (4,), {}),
    ("BatchNorm2d", (4,), {"momentum": None}),
    ("BatchNorm2d", (4,), {"affine": False, "eps": 0.1}),
    ("BatchNorm2d", (4,), {"track_running_stats": False}),
    ("Flatten", (), {}),
    ("Identity", (), {}),
]
IDS = [f"{name}-{i}" for i, (name, _, _) in enumerate(LAYERS)]


def pair_of_layers(name, arguments, how):
    """Ours and torch's in float64, from one random state."""
    made = []
    for library in (layers, nn):
        torch.manual_seed(0)
        made.append(getattr(library, name)(*arguments, **how).double())
    return made


def outputs(layer, x):
    result = layer(x)
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize(("name", "arguments", "how"), LAYERS, ids=IDS)
def test_stands_where_torchs_stands(name, arguments, how):
    ours, theirs = pair_of_layers(name, arguments, how)
    assert isinstance(ours, type(theirs))
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for found, expected in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        assert torch.equal(found, expected)  # the same initialisation from the same seed


@pytest.mark.parametrize(("name", "arguments", "how"), LAYERS, ids=IDS)
def test_computes_what_torchs_computes(name, arguments, how):
    ours, theirs = pair_of_layers(name, arguments, how)
    for train in (True, True, False):  # twice, so that running statistics have a past
        found_, expected_ = [], []
        for layer, results in ((ours, found_), (theirs, expected_)):
            layer.train(train).zero_grad()
            x = random(3, 4, 8, 9).requires_grad_()
            y = outputs(layer, x * 1.0)  # a product, so that layers may write in place
            (y[0] * random(*y[0].shape, seed=4)).sum().backward()
            results.extend([*y, x.grad, *(p.grad for p in layer.parameters()), *layer.buffers()])
        torch.testing.assert_close(found_, expected_)


@pytest.mark.parametrize(("name", "arguments", "how"), LAYERS, ids=IDS)
def test_state_dicts_are_exchanged(name, arguments, how):
    ours, theirs = pair_of_layers(name, arguments, how)
    for parameter in ours.parameters():
        nn.init.normal_(parameter)
    theirs.load_state_dict(copy.deepcopy(ours).state_dict())
    x = random(3, 4, 8, 9)
    torch.testing.assert_close(outputs(ours, x.clone()), outputs(theirs, x.clone()))


def test_every_layer_that_torch_has_is_a_kind_of_torchs():
    found = {name: getattr(layers, name) for name in layers.__all__ if isinstance(getattr(layers, name), type)}
    assert len(found) > 15
    for name, layer in found.items():
        assert issubclass(layer, getattr(nn, name, nn.Module))
        assert layer.__doc__


def test_a_missing_layer_is_missing():
    """A fall-back to torch.nn would run a vendor's layer unseen."""
    with pytest.raises(AttributeError):
        layers.LSTM  # noqa: B018


@pytest.mark.parametrize("shape", [(2, 4, 5, 6), (4, 5, 6)])
@pytest.mark.parametrize("size", [(9, 11), (10, 12), [2, 6, 10, 11], (8, 11), (11, 11), (9, 13), (9,)])
def test_the_output_size_of_a_transposed_convolution_is_chosen_in_the_call(shape, size):
    """Inputs of several sizes convolve to 5×6; other sizes are refused, and so is another padding mode."""
    ours, theirs = pair_of_layers("ConvTranspose2d", (4, 6, 3), {"stride": 2, "padding": 1, "output_padding": 1})
    x = random(*shape)
    try:
        expected = theirs(x, output_size=size)
    except ValueError as refused:
        with pytest.raises(ValueError, match=re.escape(str(refused))):
            ours(x, output_size=size)
        return
    assert ours(x, size).shape[-2:] == torch.Size(size[-2:])
    torch.testing.assert_close(ours(x, output_size=size), expected)


def test_a_transposed_convolution_pads_with_zeros_alone():
    with pytest.raises(ValueError, match='Only "zeros" padding mode is supported for ConvTranspose2d'):
        layers.ConvTranspose2d(1, 1, 3, padding_mode="reflect")


def test_batch_norm_counts_its_batches():
    layer = layers.BatchNorm2d(4, momentum=None).double()
    batches = [random(3, 4, 2, 2, seed=seed) for seed in range(3)]
    for batch in batches:
        layer(batch)
    assert layer.num_batches_tracked is not None
    assert layer.num_batches_tracked.item() == 3
    torch.testing.assert_close(layer.running_mean, torch.stack([b.mean((0, 2, 3)) for b in batches]).mean(0))


def test_batch_norm_wants_images():
    with pytest.raises(ValueError, match="expected 4D input"):
        layers.BatchNorm2d(4)(torch.zeros(3, 4))


@pytest.mark.parametrize(
    ("layer", "parameters"),
    [
        (layers.Conv2d(3, 10, 5, padding=2), 760),  # ten 5×5 filters on 32×32×3
        (layers.Conv2d(3, 6, 5), 456),  # LeNet conv1
        (layers.Conv2d(3, 96, 11, stride=4), 34_944),  # AlexNet conv1
        (layers.MaxPool2d(3, 2), 0),
    ],
)
def test_parameter_counts_of_the_lectures(layer, parameters):
    assert sum(p.numel() for p in layer.parameters()) == parameters


def test_ten_filters_keep_the_size_of_the_image():
    assert layers.Conv2d(3, 10, 5, padding=2)(torch.zeros(1, 3, 32, 32)).shape == (1, 10, 32, 32)


def lenet(library) -> nn.Module:
    torch.manual_seed(0)
    return library.Sequential(
        library.Conv2d(1, 6, 5, padding=2),
        library.Tanh(),
        library.AvgPool2d(2),
        library.Conv2d(6, 16, 5),
        library.BatchNorm2d(16),
        library.ReLU(inplace=True),
        library.MaxPool2d(2),
        library.Flatten(),
        library.Linear(400, 10),
    )


def test_a_network_trains_along_torchs():
    """Five steps of gradient descent leave the same weights behind."""
    ours, theirs = lenet(layers), lenet(nn)
    x, target = random(8, 1, 28, 28, dtype=torch.float32), torch.arange(8)
    for network in (ours, theirs):
        optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
        for _ in range(5):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x), target).backward()
            optimizer.step()
    for name, expected in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], expected, rtol=1e-4, atol=1e-5)


def test_autocast_through_a_network():
    x = random(4, 1, 28, 28, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, expected = lenet(layers)(x), lenet(nn)(x)
    assert found.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0.1)
