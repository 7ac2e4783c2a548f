"""Generator, discriminator and their losses, held against the papers' formulas."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from repronet.errors import UserError
from repronet.gan.module import GAN
from repronet.gan.networks import Discriminator, Generator, dcgan_initial
from repronet.gan.score import frechet_distance

SMALL: dict[str, Any] = {"classes": 3, "size": 8, "latent": 5, "width": 4}
LABELS = torch.tensor([0, 1, 2, 2])


def images(seed: int, count: int = 4) -> torch.Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("size", [8, 16, 32])
def test_shapes_and_widths_are_dcgans(size):
    generator, discriminator = Generator(6, 3, size, 4), Discriminator(2, 3, size, 4)
    made = generator(torch.randn(2, 6))
    assert made.shape == (2, 3, size, size)
    assert made.abs().max() <= 1
    assert discriminator(made).shape == (2, 2)
    widest = 4 * size // 8  # at 4×4
    assert next(generator.parameters()).shape == (6, widest, 4, 4)
    assert discriminator.features == widest * 4 * 4


@pytest.mark.parametrize("size", [4, 12, 28])
def test_a_size_that_is_no_power_of_two_is_refused(size):
    with pytest.raises(UserError, match=f"size={size}: must be a power of 2"):
        Generator(6, 1, size, 4)


def test_initial_weights_are_dcgans():
    wide = torch.nn.Conv2d(32, 64, 4)
    norm = torch.nn.BatchNorm2d(4096)
    for module in (wide, norm):
        dcgan_initial(module.requires_grad_(False))
    assert float(wide.weight.std()) == pytest.approx(0.02, rel=0.02)
    assert float(norm.weight.mean()) == pytest.approx(1.0, abs=0.002)
    assert float(norm.weight.std()) == pytest.approx(0.02, rel=0.05)
    assert not norm.bias.any()
    assert wide.bias is not None
    assert not wide.bias.any()


def test_the_first_convolution_of_the_discriminator_has_no_norm():
    kinds = [type(module).__name__ for module in Discriminator(1, 1, 16, 4).body]
    assert kinds == ["Conv2d", "LeakyReLU", "Conv2d", "BatchNorm2d", "LeakyReLU", "Flatten"]


def test_spectral_norm_bounds_every_layer():
    torch.manual_seed(0)
    discriminator = Discriminator(1, 1, 16, 4, norm="spectral")
    for _ in range(200):  # a power iteration a forward
        discriminator(torch.randn(2, 1, 16, 16))
    for layer in (discriminator.body[0], discriminator.head):
        largest = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2)
        assert float(largest) == pytest.approx(1.0, rel=0.02)


def test_dcgans_losses():
    gan = GAN("dcgan", **SMALL).eval()
    real, made = images(1), images(2)
    of_real, of_made = (torch.sigmoid(gan.discriminator(x))[:, 0] for x in (real, made))
    wanted = -of_real.log().mean() - (1 - of_made).log().mean()
    assert torch.allclose(gan.discriminator_loss(real, LABELS, made, LABELS), wanted)
    assert torch.allclose(gan.generator_loss(made, LABELS), -of_made.log().mean())


def test_acgans_losses_add_the_class_of_both():
    gan = GAN("acgan", **SMALL).eval()
    real, made, asked = images(1), images(2), torch.tensor([2, 0, 1, 0])
    of_real, of_made = gan.discriminator(real), gan.discriminator(made)
    source = F.softplus(-of_real[:, 0]).mean() + F.softplus(of_made[:, 0]).mean()
    classes = F.cross_entropy(of_real[:, 1:], LABELS) + F.cross_entropy(of_made[:, 1:], asked)
    assert torch.allclose(gan.discriminator_loss(real, LABELS, made, asked), source + classes)
    wanted = F.softplus(-of_made[:, 0]).mean() + F.cross_entropy(of_made[:, 1:], asked)
    assert torch.allclose(gan.generator_loss(made, asked), wanted)


def test_bagans_losses_have_one_more_class():
    gan = GAN("bagan", **SMALL).eval()
    real, made, asked = images(1), images(2), torch.tensor([2, 0, 1, 0])
    scores = gan.discriminator(torch.cat((real, made[:2])))  # ⌈4/3⌉ generated
    assert scores.shape == (6, 4)
    wanted = F.cross_entropy(scores, torch.tensor([0, 1, 2, 2, 3, 3]))
    assert torch.allclose(gan.discriminator_loss(real, LABELS, made, asked), wanted)
    assert torch.allclose(gan.generator_loss(made, asked), F.cross_entropy(gan.discriminator(made), asked))


def test_bagans_codes_have_mean_and_covariance_of_their_class():
    torch.manual_seed(0)
    gan = GAN("bagan", **SMALL)
    gan.to_code.weight.data.normal_()  # so that codes spread
    real, labels = images(3, 60), torch.tensor([0] * 40 + [1] * 3 + [2] * 17)
    gan.fit_codes(list(real.split(7)), labels)
    assert gan.training
    with torch.no_grad():
        known = gan.eval().to_code(gan.discriminator.body(real))
    for label in range(3):  # of the second class there are fewer images than entries
        of_class = known[labels == label]
        assert torch.allclose(gan.means[label], of_class.mean(dim=0), atol=1e-5)
        factor = gan.factors[label]
        assert torch.allclose(factor @ factor.T, torch.cov(of_class.T), rtol=1e-3, atol=1e-5)
    drawn = gan.codes(torch.full((20000,), 2), torch.Generator().manual_seed(0))
    assert torch.allclose(torch.cov(drawn.T), torch.cov(known[labels == 2].T), rtol=0.1, atol=0.02 * known.var().item())


def test_the_class_is_part_of_acgans_code():
    gan = GAN("acgan", **SMALL)
    codes = gan.codes(LABELS, torch.Generator().manual_seed(0))
    assert codes.shape == (4, 8)
    assert torch.equal(codes[:, 5:], F.one_hot(LABELS, 3).float())


def test_images_are_the_same_for_the_same_generator_and_change_no_state():
    gan = GAN("acgan", **SMALL)
    before = {name: value.clone() for name, value in gan.state_dict().items()}
    first, again = (gan.images(LABELS, torch.Generator().manual_seed(7)) for _ in range(2))
    assert first.dtype == torch.uint8
    assert first.shape == (4, 1, 8, 8)
    assert torch.equal(first, again)
    assert not torch.equal(first, gan.images(LABELS, torch.Generator().manual_seed(8)))
    assert gan.training
    assert all(torch.equal(value, before[name]) for name, value in gan.state_dict().items())


def test_both_families_of_layers_make_the_same():
    own, torchs = (GAN("acgan", **SMALL, layers=layers).eval() for layers in ("custom", "torch"))
    torchs.load_state_dict(own.state_dict())
    drawn = [gan(LABELS, torch.Generator().manual_seed(0)) for gan in (own, torchs)]
    assert torch.allclose(*drawn, atol=1e-6)
    scores = [gan.discriminator(images(5)) for gan in (own, torchs)]
    assert torch.allclose(*scores, atol=1e-6)


def test_the_frechet_distance_of_gaussians_is_the_formulas():
    drawn = torch.Generator().manual_seed(0)
    points = torch.randn(4000, 3, generator=drawn, dtype=torch.float64)
    points = (points - points.mean(dim=0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(points.T))).T  # N(0, I)
    moved = 2 * points + torch.tensor([1.0, -2.0, 0.5])  # covariance 4 I
    assert frechet_distance(points, points) == pytest.approx(0.0, abs=1e-6)
    assert frechet_distance(points, moved) == pytest.approx(1 + 4 + 0.25 + 3 * (1 + 4 - 2 * 2), rel=1e-6)
