import pytest
import torch
from torch.nn import functional as F

import oracles
import repronet.functional
from differential import assert_proved, assert_rejected_alike, assert_same, assert_transforms, random
from repronet.functional import group_norm, layer_norm


@pytest.mark.parametrize(("shape", "dims"), [((4,), 1), ((3, 4), 1), ((2, 3, 4), 2), ((2, 3, 4, 5), 3), ((2, 1), 1)])
def test_layer_norm_as_torchs(shape, dims):
    normalized = shape[-dims:]
    x, w, b = random(*shape), random(*normalized, seed=1), random(*normalized, seed=2)
    for count in (1, 2, 3):
        assert_same(
            lambda x, *wb: layer_norm(x, normalized, *wb, eps=0.1),
            lambda x, *wb: F.layer_norm(x, normalized, *wb, eps=0.1),
            *(x, w, b)[:count],
        )


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("shape", [(3, 4), (2, 4, 5), (2, 4, 3, 5)])
def test_group_norm_as_torchs(groups, shape):
    x, w, b = random(*shape), random(4, seed=1), random(4, seed=2)
    for count in (1, 2, 3):
        assert_same(
            lambda x, *wb: group_norm(x, groups, *wb, eps=0.1),
            lambda x, *wb: F.group_norm(x, groups, *wb, eps=0.1),
            *(x, w, b)[:count],
        )


def test_bias_without_weight():
    x, b = random(3, 4), random(4)
    assert_same(
        lambda x, b: layer_norm(x, (4,), None, b), lambda x, b: F.layer_norm(x, (4,), None, b), x, b, second=False
    )
    assert_proved(lambda x, b: layer_norm(x, (4,), None, b), x, b)


def test_gradients_are_proved():
    assert_proved(lambda *t: layer_norm(t[0], (2, 3), *t[1:]), random(2, 2, 3), random(2, 3), random(2, 3))
    assert_proved(lambda *t: group_norm(t[0], 2, *t[1:]), random(2, 4, 3), random(4), random(4))


def test_same_as_the_loops():
    x, w, b = random(2, 4, 3) * 2 + 5, random(4, 3), random(4, 3, seed=1)
    torch.testing.assert_close(layer_norm(x, (4, 3), w, b, 1e-3), oracles.layer_norm(x, w, b, 2, 1e-3))
    w, b = random(4), random(4, seed=1)
    torch.testing.assert_close(group_norm(x, 2, w, b, 1e-3), oracles.group_norm(x, 2, w, b, 1e-3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("mixed", [True, False])
def test_dtypes(dtype, mixed):
    x = random(3, 4, 5, dtype=dtype)
    w, b = (random(4, 5, dtype=torch.float32 if mixed else dtype, seed=seed) for seed in (1, 2))
    tolerance = 8 * torch.finfo(dtype).eps
    how = {"second": False, "rtol": tolerance, "atol": tolerance}
    assert_same(
        lambda *t: layer_norm(t[0], (4, 5), *t[1:]), lambda *t: F.layer_norm(t[0], (4, 5), *t[1:]), x, w, b, **how
    )


def test_a_large_mean_does_not_cancel():
    x = random(4, 64, dtype=torch.float32) + 1e4
    torch.testing.assert_close(layer_norm(x, (64,)), layer_norm(x.double(), (64,)).float(), rtol=0, atol=5e-3)


@pytest.mark.parametrize(
    "layout", [lambda x: x.transpose(2, 3), lambda x: x[:, :, ::2], lambda x: x[:1].expand(3, -1, -1, -1)]
)
def test_memory_layouts(layout):
    x = layout(random(2, 4, 6, 5))
    assert_same(lambda x: group_norm(x, 2), lambda x: F.group_norm(x, 2), x)
    shape = x.shape[1:]
    assert_same(lambda x: layer_norm(x, shape), lambda x: F.layer_norm(x, shape), x)


@pytest.mark.parametrize("by", [(0,), (1,), (2,), (0, 2)])
def test_only_the_gradients_that_are_wanted(by):
    """Frozen parameters, as in fine-tuning."""
    found = []
    for operator in (layer_norm, F.layer_norm):
        x, w, b = operands = random(3, 4), random(4), random(4, seed=1)
        leaves = [operands[i].requires_grad_() for i in by]
        found.append(torch.autograd.grad(operator(x, (4,), w, b), leaves, random(3, 4, seed=2)))
    torch.testing.assert_close(found[0], found[1])


def test_the_operands_are_left_alone():
    """The fast formulas write into memory of their own."""
    x, w, b, g = random(3, 4).requires_grad_(), random(4), random(4, seed=1), random(3, 4, seed=2)
    kept = [t.detach().clone() for t in (x, w, b, g)]
    layer_norm(x, (4,), w, b).backward(g)
    with torch.no_grad():
        layer_norm(x, (4,), w, b)
    assert all(torch.equal(before, after) for before, after in zip(kept, (x, w, b, g), strict=True))


AUTOCAST = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")),
]


@pytest.mark.parametrize("device", AUTOCAST)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_as_torchs(device, dtype):
    x, w = random(2, 4, 4, dtype=dtype).to(device), random(4, dtype=torch.float32).to(device)
    with torch.autocast(device, dtype=torch.bfloat16):
        pairs = [(m.layer_norm(x, (4,), w), m.group_norm(x, 2, w)) for m in (repronet.functional, F)]
    torch.testing.assert_close(*pairs, rtol=2e-2, atol=2e-2)


def test_empty():
    x = random(0, 4, 3)
    assert_same(lambda x, w: group_norm(x, 2, w), lambda x, w: F.group_norm(x, 2, w), x, random(4), second=False)
    assert layer_norm(random(0, 4), (4,)).shape == (0, 4)


def test_torch_func_transforms():
    assert_transforms(
        lambda *t: layer_norm(t[0], (4,), *t[1:]),
        lambda *t: F.layer_norm(t[0], (4,), *t[1:]),
        random(3, 4),
        random(4),
        random(4, seed=1),
    )
    assert_transforms(
        lambda *t: group_norm(t[0], 2, *t[1:]), lambda *t: F.group_norm(t[0], 2, *t[1:]), random(3, 4, 2), random(4)
    )


X = random(2, 4, 3)


@pytest.mark.parametrize(
    ("shape", "parameters"),
    [
        ((4,), ()),
        ((), ()),
        ((2, 4, 3, 1), ()),
        ((3,), (random(4),)),
        ((3,), (random(3), random(4))),
        ((3,), (random(3).bfloat16(),)),
    ],
)
def test_layer_norm_refuses_what_torch_refuses(shape, parameters):
    assert_rejected_alike(layer_norm, F.layer_norm, X, shape, *parameters)


@pytest.mark.parametrize(
    ("x", "groups", "parameters"),
    [
        (X, 3, ()),
        (X, 0, ()),
        (X, 2, (random(3),)),
        (X, 2, (random(4), random(2))),
        (random(1, 4), 4, ()),
        (random(1, 1, 1), 1, ()),
        (random(4), 2, ()),
        (X.long(), 2, ()),
        (X[:, :, :0], 2, ()),
        (X, 1.5, ()),
        (X, True, ()),
    ],
)
def test_group_norm_refuses_what_torch_refuses(x, groups, parameters):
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        F.group_norm(x, groups, *parameters)
    with pytest.raises((theirs.type, RuntimeError)) as found:
        group_norm(x, groups, *parameters)
    assert "\n" not in str(found.value)


def test_others_are_refused():
    with pytest.raises(TypeError, match="layer_norm needs a tensor, got list"):
        layer_norm([1.0], (1,))
    with pytest.raises(NotImplementedError, match="written for real tensors"):
        layer_norm(X.to(torch.complex128), (3,))


def test_by_hand():
    """1, 3 has mean 2 and variance 1: −1, 1; then ·10 + 5."""
    x = torch.tensor([[1.0, 3.0]])
    assert layer_norm(x, (2,), torch.full((2,), 10.0), torch.full((2,), 5.0), eps=0.0).tolist() == [[-5, 15]]
    assert group_norm(x.reshape(1, 2, 1), 1, eps=0.0).flatten().tolist() == [-1, 1]
