import pytest
import torch
from torch.nn import functional as F

import oracles
from differential import assert_proved, assert_rejected_alike, assert_same, assert_transforms, random
from repronet.functional import (
    divisive_norm,
    local_contrast_norm,
    local_response_norm,
    local_response_norm_krizhevsky,
    local_response_norm_within_maps,
    subtractive_norm,
)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("shape", [(2, 6, 3), (2, 6, 3, 2), (1, 6, 2, 2, 2)])
def test_as_torchs(size, shape):
    x = 3 * random(*shape)
    how = {"alpha": 0.3, "beta": 0.6, "k": 1.5}
    assert_same(lambda x: local_response_norm(x, size, **how), lambda x: F.local_response_norm(x, size, **how), x)
    assert_same(lambda x: local_response_norm(x, size), lambda x: F.local_response_norm(x, size), x)


def test_the_papers_alpha_is_torchs_times_the_size():
    x = 3 * random(2, 6, 3, 2)
    ours = local_response_norm_krizhevsky(x, 5, alpha=0.1)
    torch.testing.assert_close(ours, F.local_response_norm(x, 5, alpha=0.5, k=2.0))
    assert not torch.allclose(ours, F.local_response_norm(x, 5, alpha=0.1, k=2.0))


@pytest.mark.parametrize("size", [3, 4, 5])
def test_same_as_the_loops(size):
    x = 3 * random(2, 6, 2, 2)
    expected = oracles.local_response_norm(x, size, 0.1, 0.75, 2.0)
    torch.testing.assert_close(local_response_norm_krizhevsky(x, size, alpha=0.1), expected)
    torch.testing.assert_close(local_response_norm(x, size, alpha=0.1 * size, k=2.0), expected)


def test_gradients_are_proved():
    for size in (2, 5):
        assert_proved(lambda x, n=size: local_response_norm_krizhevsky(x, n, alpha=0.3), 2 * random(1, 6, 2, 2))


def test_by_hand():
    """Channels 1, 2, 2 with n = 3, α = 1, β = 1, k = 0: 1/(1 + 4), 2/(1 + 4 + 4), 2/(4 + 4)."""
    x = torch.tensor([1.0, 2.0, 2.0]).reshape(1, 3, 1)
    y = local_response_norm_krizhevsky(x, 3, alpha=1.0, beta=1.0, k=0.0)
    torch.testing.assert_close(y.flatten(), torch.tensor([1 / 5, 2 / 9, 2 / 8]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_dtypes(dtype):
    """torch's has no half types on the CPU, so its float64 is what ours is compared with."""
    x = random(2, 6, 3, 2, dtype=dtype)
    found, expected = local_response_norm(x, 5, 0.5), F.local_response_norm(x.double(), 5, 0.5)
    assert found.dtype == dtype
    tolerance = 2 * torch.finfo(dtype).eps
    torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=tolerance)


def test_layouts_transforms_and_empty_batches():
    x = random(2, 6, 3, 4)
    for view in (x.transpose(2, 3), x[:, ::2], x.contiguous(memory_format=torch.channels_last)):
        assert_same(lambda x: local_response_norm(x, 3), lambda x: F.local_response_norm(x, 3), view)
    assert_transforms(lambda x: local_response_norm(x, 3, 0.5), lambda x: F.local_response_norm(x, 3, 0.5), x)
    assert_same(lambda x: local_response_norm(x, 3), lambda x: F.local_response_norm(x, 3), x[:0], second=False)


@pytest.mark.parametrize(
    ("x", "size"),
    [
        (random(3, 4), 3),
        (random(3), 3),
        (random(2, 3, 4), 0),
        (random(2, 3, 4), -1),
        (random(2, 3, 4), 2.0),
    ],
)
def test_refuses_what_torch_refuses(x, size):
    assert_rejected_alike(local_response_norm, F.local_response_norm, x, size)


def test_krizhevskys_refuses_the_same():
    with pytest.raises(ValueError, match=r"local_response_norm_krizhevsky needs an input .*, got \(3, 4\)"):
        local_response_norm_krizhevsky(random(3, 4))
    with pytest.raises(NotImplementedError, match="written for real tensors"):
        local_response_norm_krizhevsky(random(2, 3, 4).to(torch.complex128))
    with pytest.raises(TypeError, match="needs a tensor, got list"):
        local_response_norm_krizhevsky([1.0])


@pytest.mark.parametrize("size", [2, 3, 5])
def test_within_maps_same_as_the_loops(size):
    x = 3 * random(2, 2, 4, 5)
    expected = oracles.local_response_norm_within_maps(x, size, 0.3, 0.75, 1.0)
    torch.testing.assert_close(local_response_norm_within_maps(x, size, alpha=0.3), expected)


@pytest.mark.parametrize("size", [2, 3])
def test_gradients_within_maps_are_proved(size):
    assert_proved(lambda x: local_response_norm_within_maps(x, size, alpha=0.9), 2 * random(1, 2, 3, 4))


def test_within_maps_by_hand():
    """Pixels 1, 2, 2 in a row with n = 3, α = 9, β = 1, k = 0: what lies above and below them counts as zeros."""
    x = torch.tensor([1.0, 2.0, 2.0]).reshape(1, 1, 1, 3)
    y = local_response_norm_within_maps(x, 3, alpha=9.0, beta=1.0, k=0.0)
    torch.testing.assert_close(y.flatten(), torch.tensor([1 / 5, 2 / 9, 2 / 8]))


def test_within_maps_other_maps_count_for_nothing():
    x = random(1, 3, 4, 4)
    torch.testing.assert_close(local_response_norm_within_maps(x)[:, :1], local_response_norm_within_maps(x[:, :1]))


def test_within_maps_needs_images():
    with pytest.raises(ValueError, match=r"needs an input \(N, C, H, W\), got \(2, 3, 4\)"):
        local_response_norm_within_maps(random(2, 3, 4))
    with pytest.raises(RuntimeError, match="needs a size of at least 1, got 0"):
        local_response_norm_within_maps(random(1, 2, 3, 4), 0)


def test_integers_are_refused():
    """torch takes them, and cuts the fractions off its means."""
    with pytest.raises(NotImplementedError, match=r"needs floating point, got torch\.int64"):
        local_response_norm(torch.arange(24).reshape(2, 4, 3), 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("shape", [(2, 4, 3), (2, 4, 3, 3), (2, 4, 3, 3, 2)])
def test_autocast_as_torchs(shape, dtype):
    x = random(*shape, dtype=dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, expected = local_response_norm(x, 3, 0.5), F.local_response_norm(x, 3, 0.5)
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=2e-2)


# Local contrast


def test_contrast_same_as_the_loops():
    x = random(2, 3, 6, 5)
    v, y = oracles.local_contrast_norm(x, 5, 1.25)
    torch.testing.assert_close(subtractive_norm(x, 5), v)
    torch.testing.assert_close(local_contrast_norm(x, 5), y)
    torch.testing.assert_close(divisive_norm(v, 5), y)


def test_contrast_gradients_are_proved():
    x = random(2, 2, 4, 3)
    for operator in (subtractive_norm, divisive_norm, local_contrast_norm):
        assert_proved(lambda x, f=operator: f(x, 3), x)


def test_a_constant_image_becomes_nothing_and_has_a_gradient():
    x = torch.full((1, 2, 6, 6), 7.0, dtype=torch.float64)
    assert subtractive_norm(x, 3).abs().max() < 1e-14
    zero = torch.zeros(1, 2, 6, 6, dtype=torch.float64, requires_grad=True)
    y = divisive_norm(zero, 3)
    assert torch.equal(y, torch.zeros_like(y))
    (gradient,) = torch.autograd.grad(y.sum(), zero)
    assert gradient.isfinite().all()


def test_contrast_does_not_depend_on_brightness_or_scale():
    x = random(1, 3, 9, 9)
    torch.testing.assert_close(local_contrast_norm(5 * x + 3), local_contrast_norm(x))


def test_contrast_under_vmap_and_in_half_precision():
    x = random(2, 1, 2, 5, 5)
    expected = torch.stack([local_contrast_norm(one, 3) for one in x])
    torch.testing.assert_close(torch.func.vmap(lambda one: local_contrast_norm(one, 3))(x), expected)
    assert local_contrast_norm(x[0].bfloat16(), 3).dtype == torch.bfloat16
    assert local_contrast_norm(x[0, :0], 3).shape == (0, 2, 5, 5)


@pytest.mark.parametrize(
    ("x", "how", "message"),
    [
        (random(2, 5, 5), {}, r"needs an input \(N, C, H, W\), got shape \(2, 5, 5\)"),
        (random(1, 2, 5, 5), {"size": 4}, "a window with a middle, got size=4"),
        (random(1, 2, 5, 5), {"size": 0}, "a size of at least 1, got 0"),
        (random(1, 2, 5, 5), {"deviation": 0.0}, "deviation must be above 0, got 0.0"),
    ],
)
def test_contrast_refuses_a_shape_or_a_window(x, how, message):
    for operator in (subtractive_norm, divisive_norm):
        with pytest.raises(RuntimeError, match=message):
            operator(x, **how)


def test_contrast_refuses_integers_and_what_is_no_tensor():
    for operator in (subtractive_norm, divisive_norm, local_contrast_norm):
        with pytest.raises(NotImplementedError, match=r"needs floating point, got torch\.int64"):
            operator(torch.ones(1, 2, 5, 5).long())
        with pytest.raises(TypeError, match="needs a tensor, got list"):
            operator([1.0])


@pytest.mark.parametrize(
    "layout", [lambda x: x.transpose(2, 3), lambda x: x[..., ::2], lambda x: x[:, :1].expand(-1, 3, -1, -1)]
)
def test_contrast_in_any_memory_layout(layout):
    x = layout(random(2, 3, 6, 8))
    assert_same(lambda x: local_contrast_norm(x, 3), lambda x: local_contrast_norm(x.contiguous(), 3), x)
