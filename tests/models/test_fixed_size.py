"""Images of a size that a network cannot take are refused with the sizes that it takes."""

import pickle
import re

import pytest
import torch

from repronet import models
from repronet.models.fixed_size import FixedSize

NAMES = ["lenet5", "lenet5_1998", "lecture_net", "locally_connected", "mlp", "alexnet", "zfnet", "four_layer"]


@pytest.mark.parametrize("layers", ["custom", "torch"])
@pytest.mark.parametrize("name", [*NAMES, "four_layer_abutting", "four_layer_13pct"])
def test_the_sizes_that_are_named_are_all_that_it_takes(name, layers):
    with torch.device("meta"):
        network = models.create(name, layers=layers).eval()
    assert isinstance(network, FixedSize)
    least, largest = network.sizes

    def images(height: int, width: int) -> torch.Tensor:
        return torch.zeros(2, models.usual_channels(name), height, width, device="meta")

    for size in (least, int(network.input_size), largest):  # type: ignore[arg-type]
        assert network(images(size, size)).shape[0] == 2
    words = re.escape(f"{least}" if least == largest else f"{least} to {largest}")
    for height, width in ((least - 1, least - 1), (largest + 1, largest + 1), (least, largest + 8), (9, 9)):
        with pytest.raises(RuntimeError, match=rf"^\w+ takes images of {words} pixels a side, got {height}×{width}$"):
            network(images(height, width))


# name, in training, and the least and largest size: found by trying all
LIMITS = [
    ("vgg11", False, 32, None),
    ("vgg11_32px", False, 32, 63),
    ("alexnet_owt", False, 63, None),
    ("nin", True, 4, None),
    ("googlenet", False, 31, None),
    ("googlenet", True, 223, 270),
    ("googlenet_bn", True, 15, None),
    ("inception_v3", False, 75, None),
    ("inception_v3", True, 299, None),
    ("densenet121", False, 29, None),
    ("densenet40_12", False, 4, None),
]


@pytest.mark.parametrize(("name", "training", "least", "largest"), LIMITS)
def test_networks_that_end_in_a_mean_name_their_least_size(name, training, least, largest):
    with torch.device("meta"):
        network = models.create(name).train(training)
    words = f"{least} to {largest}" if largest else f"at least {least}"
    network(torch.zeros(2, 3, least, least, device="meta"))
    if largest:
        network(torch.zeros(2, 3, largest, largest, device="meta"))
    for side in (least - 1, *([largest + 1] if largest else [])):
        with pytest.raises(RuntimeError, match=rf"^\w+ takes images of {words} pixels a side, got {side}×{side}$"):
            network(torch.zeros(2, 3, side, side, device="meta"))


def test_other_errors_are_left_as_they_are():
    with pytest.raises(RuntimeError, match="needs 1 input channels, got 3"):
        models.create("lenet5")(torch.zeros(2, 3, 32, 32))
    assert models.create("mlp")(torch.zeros(2, 784)).shape == (2, 10)  # flat already
    with pytest.raises(RuntimeError, match="linear needs"):
        models.create("mlp")(torch.zeros(2, 785))


@pytest.mark.slow
def test_such_a_network_is_copied_and_compiled_like_any_other():
    network, images = models.create("lenet5").eval(), torch.randn(2, 1, 32, 32)
    expected = network(images)
    assert torch.equal(pickle.loads(pickle.dumps(network))(images), expected)
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(images), expected, atol=1e-5, rtol=1e-4)
