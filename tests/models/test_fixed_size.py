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
