"""Dense testing: a network at every place of a whole image."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from repronet import models
from repronet.data.eval_transform import EvalTransform
from repronet.data.preprocessing import PixelMap
from repronet.data.whitening import PerPixelMean
from repronet.errors import UserError
from repronet.training.classifier import Classifier

CLASSES = ("a", "b", "c")


def classifier(name: str, side: int, shorter: int, pixel_map=None, layers: str = "torch") -> Classifier:
    torch.manual_seed(0)
    network = models.create(name, num_classes=3, layers=layers).eval()
    plain = pixel_map or PixelMap.scale(-1.0, 1.0, 3)
    return Classifier(network, EvalTransform(CLASSES, 3, side, shorter, False, plain), {})


def image(height: int, width: int) -> torch.Tensor:
    return torch.randint(0, 256, (3, height, width), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def test_vgg_over_its_own_size_is_the_network_itself():
    network = models.create("vgg11_32px", num_classes=3, layers="torch").eval()
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(network.densely(images), network(images))


def test_vgg_over_a_larger_image_is_the_mean_over_its_places():
    """Places lie 32 pixels apart; inside, padding is the only difference, which a network without any does not have."""
    torch.manual_seed(0)
    network = models.create("vgg11_32px", num_classes=3, layers="torch").double().eval()
    for module in network.features:
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data = F.pad(module.weight.data[:, :, 1:2, 1:2], (1, 1, 1, 1))  # sees no neighbour
    images = torch.randn(1, 3, 64, 96, dtype=torch.float64)
    places = [images[:, :, top : top + 32, left : left + 32] for top in (0, 32) for left in (0, 32, 64)]
    expected = torch.stack([network(place) for place in places]).mean(0)
    torch.testing.assert_close(network.densely(images), expected)


@pytest.mark.slow
def test_the_first_linear_layer_of_vgg_becomes_a_window_of_seven():
    network = models.create("vgg11", num_classes=3, layers="torch").eval()
    maps = torch.randn(1, 512, 8, 7)
    network.features = torch.nn.Identity()
    windows = [network(maps[:, :, top : top + 7]) for top in (0, 1)]
    torch.testing.assert_close(network.densely(maps), (windows[0] + windows[1]) / 2, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("protocol", "sides"), [("dense", [40]), ("dense_multi_scale", [32, 37, 55, 69, 91])])
def test_a_network_that_ends_in_a_mean_sees_whole_images_and_their_mirror_images(protocol, sides):
    subject = classifier("resnet20", 32, 40)
    whole = subject.transform.whole(image(50, 80), protocol)
    assert [tuple(one.shape) for one in whole] == [(2, 3, side, round(side * 1.6)) for side in sides]
    with torch.inference_mode():
        expected = torch.cat([subject.network(one).softmax(1) for one in whole]).mean(0)
    torch.testing.assert_close(subject.probabilities(image(50, 80), protocol)[0], expected)
    torch.testing.assert_close(whole[0][0].flip(-1), whole[0][1])


def test_no_image_has_no_answer():
    assert classifier("resnet20", 32, 40).probabilities([], "dense").shape == (0, 3)


def test_networks_and_pixels_of_one_size_are_refused():
    with pytest.raises(UserError, match="protocol=dense: AlexNet takes images of one size; take ten_crop"):
        classifier("alexnet", 227, 256).probabilities(image(256, 256), "dense")
    fitted = classifier("resnet20", 32, 32, PerPixelMean(torch.zeros(3, 32, 32)))
    with pytest.raises(UserError, match="protocol=dense: the images of this run are of one size"):
        fitted.probabilities(image(40, 40), "dense")
