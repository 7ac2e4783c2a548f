"""What the rectifiers have of their own: algorithms, slopes, learnt slopes."""

import pytest
import torch
from torch.nn import functional as F

import oracles
from differential import assert_proved, assert_rejected_alike, assert_same, assert_transforms, random
from repronet.functional.rectifier import elu, leaky_relu, prelu, relu, relu6, relu_input_gradient

INF = float("inf")


def gradient(operator, values, incoming):
    x = torch.tensor(values, requires_grad=True)
    return torch.autograd.grad(operator(x), x, torch.tensor(incoming))[0].tolist()


@pytest.mark.parametrize("algorithm", ["auto", "vendor"])
def test_relu_gradient_at_zero_is_zero(algorithm):
    assert gradient(lambda x: relu(x, algorithm=algorithm), [-1.0, 0.0, 2.0], [INF, 5.0, 7.0]) == [0, 0, 7]


def test_own_relu_gradient_at_zero_is_zero_if_finite():
    """0·∞ is not a number."""
    found = gradient(lambda x: relu(x, algorithm="own"), [-1.0, 0.0, 2.0, -1.0], [3.0, 5.0, INF, INF])
    assert found[:3] == [0, 0, INF]
    assert found[3] != found[3]


def test_where_relu_is_not_a_number():
    """The vendor's gradient lets through, ours does not."""
    nan = float("nan")
    assert gradient(relu, [nan], [5.0]) == [5]
    assert gradient(lambda x: relu(x, algorithm="own"), [nan], [5.0]) == [0]


def test_relu_refuses_an_unknown_algorithm():
    with pytest.raises(ValueError, match=r"algorithm must be one of .*, got 'fast'"):
        relu(torch.ones(1), algorithm="fast")


def test_the_own_gradient_of_relu_is_called():
    """ "own" must not be answered by the vendor: the two differ in 0·∞ alone."""
    output = torch.tensor([0.0, 2.0])
    assert relu_input_gradient(torch.tensor([3.0, 4.0]), output).tolist() == [0, 4]


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [
        (relu6, [-1.0, 0.0, 1.0, 5.999, 6.0, 7.0], [0, 0, 1, 1, 0, 0]),
        (lambda x: leaky_relu(x, 0.25), [-1.0, -0.0, 0.0, 2.0], [0.25, 0.25, 0.25, 1]),
        (lambda x: elu(x, 2.0), [0.0, 1.0], [2, 1]),
        (lambda x: prelu(x, torch.tensor(0.5)), [-1.0, 0.0, 1.0], [0.5, 0.5, 1]),
    ],
)
def test_gradients_by_hand(operator, values, expected):
    assert gradient(operator, values, [1.0] * len(values)) == expected


@pytest.mark.parametrize("operator", [leaky_relu, elu])
def test_in_place_refuses_a_negative_slope(operator):
    def descend(function):
        y = torch.ones(2, requires_grad=True) * 1
        function(y, -0.5, inplace=True).sum().backward()

    assert_rejected_alike(lambda: descend(operator), lambda: descend(getattr(F, operator.__name__)))
    y = random(3)
    torch.testing.assert_close(operator(y.clone(), -0.5, inplace=True), operator(y, -0.5))


@pytest.mark.parametrize("operator", [leaky_relu, elu])
@pytest.mark.parametrize("slope", ["0.1", None, [0.1]])
def test_the_slope_is_a_number(operator, slope):
    assert_rejected_alike(operator, getattr(F, operator.__name__), torch.ones(2), slope)


PRELU = [
    ((2, 3, 4, 5), (3,)),
    ((2, 3, 4, 5), (1,)),
    ((2, 3, 4, 5), ()),
    ((4, 3), (3,)),
    ((4, 3, 2), (3,)),
    ((4,), (1,)),
    ((), (1,)),
    ((), ()),
    ((2, 1, 3), (1,)),
    ((0, 3, 2), (3,)),
    ((2, 3, 0), (3,)),
]


@pytest.mark.parametrize(("shape", "weight"), PRELU)
def test_prelu_is_torchs(shape, weight):
    assert_same(prelu, F.prelu, random(*shape), random(*weight, seed=5))


@pytest.mark.parametrize(("shape", "weight"), [((2, 3, 2), (3,)), ((2, 3), (1,)), ((4,), ())])
def test_prelu_gradients_are_proved(shape, weight):
    assert_proved(prelu, random(*shape), random(*weight, seed=5))


@pytest.mark.parametrize("weight", [(3,), (1,)])
def test_prelu_is_the_loops(weight):
    x, w = random(2, 3, 4), random(*weight, seed=5)
    torch.testing.assert_close(prelu(x, w), oracles.prelu(x, w))


def test_prelu_weight_gradient_by_hand():
    x = torch.tensor([[-1.0, -2.0], [3.0, -4.0]])
    w = torch.tensor([0.5, 0.5], requires_grad=True)
    prelu(x, w).sum().backward()
    assert w.grad is not None
    assert w.grad.tolist() == [-1, -6]


def test_prelu_memory_layouts():
    x, w = random(2, 4, 4, 5), random(4, seed=5)
    for view in (x.transpose(1, 2), x.contiguous(memory_format=torch.channels_last), x[:1].expand(3, 4, 4, 5)):
        assert_same(prelu, F.prelu, view, w)


def test_prelu_goes_through_transforms():
    def reference(x, w):  # torch's own warns of its vmap
        return torch.where(x > 0, x, x * w[:, None])

    assert_transforms(prelu, reference, random(2, 3, 4), random(3, seed=5))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_prelu_dtypes(dtype):
    tolerance = 4 * torch.finfo(dtype).eps
    x, w = random(5, 3, dtype=dtype), random(3, dtype=dtype, seed=5)
    assert_same(prelu, F.prelu, x, w, second=False, rtol=tolerance, atol=tolerance)


def test_prelu_under_autocast():
    x, w = random(2, 3, dtype=torch.float32), random(3, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, expected = prelu(x, w), F.prelu(x, w)
        assert found.dtype == expected.dtype
        torch.testing.assert_close(found, expected)
        assert_rejected_alike(prelu, F.prelu, x.double(), w)


@pytest.mark.parametrize(
    "arguments",
    [
        (torch.ones(2, 3), torch.ones(2)),
        (torch.ones(2, 3), torch.ones(0)),
        (torch.ones(2, 3), torch.ones(3, 1)),
        (torch.ones(3), torch.ones(3)),
        (torch.ones(()), torch.ones(3)),
        (torch.ones(2, 3), torch.ones(3).double()),
        (torch.ones(2, 3).long(), torch.ones(3).long()),
        (torch.ones(2, 3), 0.5),
        (0.5, torch.ones(3)),
    ],
)
def test_prelu_refuses_what_torch_refuses(arguments):
    assert_rejected_alike(prelu, F.prelu, *arguments)
