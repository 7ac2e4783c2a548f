"""What all activations have in common: against torch's and the loops."""

import math

import pytest
import torch
from torch.nn import functional as F

import oracles
from differential import assert_proved, assert_rejected_alike, assert_same, assert_transforms, derivatives, random
from repronet import functional as R
from repronet.functional.elementwise import exp_of

NAN, INF = float("nan"), float("inf")


def _hardsigmoid(x):
    """torch's own has no second derivative."""
    return F.hardtanh(x / 6 + 0.5, 0, 1)


OPERATORS = {
    "relu": (R.relu, F.relu),
    "relu own": (lambda x: R.relu(x, algorithm="own"), F.relu),
    "relu vendor": (lambda x: R.relu(x, algorithm="vendor"), F.relu),
    "relu6": (R.relu6, F.relu6),
    "leaky_relu": (R.leaky_relu, F.leaky_relu),
    "leaky_relu 0": (lambda x: R.leaky_relu(x, 0), lambda x: F.leaky_relu(x, 0)),
    "leaky_relu 1.5": (lambda x: R.leaky_relu(x, 1.5), lambda x: F.leaky_relu(x, 1.5)),
    "leaky_relu -0.5": (lambda x: R.leaky_relu(x, -0.5), lambda x: F.leaky_relu(x, -0.5)),
    "elu": (R.elu, F.elu),
    "elu 0.3": (lambda x: R.elu(x, 0.3), lambda x: F.elu(x, 0.3)),
    "elu 0": (lambda x: R.elu(x, 0), lambda x: F.elu(x, 0)),
    "elu -2": (lambda x: R.elu(x, -2.0), lambda x: F.elu(x, -2.0)),
    "sigmoid": (R.sigmoid, torch.sigmoid),
    "tanh": (R.tanh, torch.tanh),
    "scaled_tanh": (R.scaled_tanh, lambda x: 1.7159 * torch.tanh(x * (2 / 3))),
    "silu": (R.silu, F.silu),
    "hardsigmoid": (R.hardsigmoid, _hardsigmoid),
    "hardswish": (R.hardswish, F.hardswish),
    "softmax": (lambda x: R.softmax(x, -1), lambda x: F.softmax(x, -1)),
    "log_softmax": (lambda x: R.log_softmax(x, -1), lambda x: F.log_softmax(x, -1)),
}
IN_PLACE = {
    "relu": (R.relu, F.relu),
    "relu6": (R.relu6, F.relu6),
    "leaky_relu": (R.leaky_relu, F.leaky_relu),
    "elu": (R.elu, F.elu),
    "silu": (R.silu, F.silu),
    "hardsigmoid": (R.hardsigmoid, lambda x, inplace=False: x.copy_(_hardsigmoid(x)) if inplace else _hardsigmoid(x)),
    "hardswish": (R.hardswish, F.hardswish),
}
FLOATING_ONLY = ["leaky_relu", "elu", "silu", "hardsigmoid", "hardswish", "softmax", "log_softmax"]

every_operator = pytest.mark.parametrize(("ours", "theirs"), OPERATORS.values(), ids=OPERATORS.keys())
every_in_place = pytest.mark.parametrize(("ours", "theirs"), IN_PLACE.values(), ids=IN_PLACE.keys())


@every_operator
@pytest.mark.parametrize("shape", [(), (5,), (2, 3, 4), (2, 3, 4, 5), (0, 3), (3, 0)])
def test_same_as_torch(ours, theirs, shape):
    assert_same(ours, theirs, random(*shape) * 3)


@every_operator
def test_gradients_are_proved(ours, theirs):
    assert_proved(ours, random(3, 4))


@pytest.mark.parametrize(
    ("ours", "oracle"),
    [
        (R.relu, oracles.relu),
        (R.tanh, oracles.tanh),
        (R.sigmoid, oracles.sigmoid),
        (R.leaky_relu, lambda x: oracles.leaky_relu(x, 0.01)),
        (lambda x: R.elu(x, 0.7), lambda x: oracles.elu(x, 0.7)),
        (R.silu, lambda x: x * oracles.sigmoid(x)),
        (lambda x: R.scaled_tanh(x, 2.0, 0.5), lambda x: 2 * oracles.tanh(x * 0.5)),
        (lambda x: R.softmax(x, 1), oracles.softmax),
        (lambda x: R.log_softmax(x, 1), lambda x: oracles.softmax(x).log()),
    ],
)
def test_same_as_the_loops(ours, oracle):
    x = random(3, 4) * 3
    torch.testing.assert_close(ours(x), oracle(x))


@every_operator
def test_memory_layouts(ours, theirs):
    x = random(2, 3, 4, 5)
    for view in (
        x.transpose(1, 3),
        x[:, ::2],
        x.contiguous(memory_format=torch.channels_last),
        x[:1].expand(3, 3, 4, 5),
    ):
        assert_same(ours, theirs, view)


@every_operator
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_dtypes(ours, theirs, dtype):
    tolerance = 2 * torch.finfo(dtype).eps
    assert_same(ours, theirs, random(50, dtype=dtype) * 3, second=False, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("operator", [R.silu, R.hardswish])
def test_the_halves_are_rounded_once(operator):
    """Value and gradient are those of float32, rounded."""
    x = random(200, dtype=torch.bfloat16) * 3
    found, expected = (derivatives(operator, (of,), second=False) for of in (x, x.float()))
    g = derivatives(lambda x: x, (x,), second=False)[1]  # the incoming gradient, rounded before
    of = x.float().requires_grad_()
    (gradient,) = torch.autograd.grad(operator(of), of, g.float())
    assert torch.equal(found[0], expected[0].bfloat16())
    assert torch.equal(found[1], gradient.bfloat16())


@every_operator
def test_autocast_keeps_the_dtype(ours, theirs):
    x = random(5, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for dtype in (torch.float32, torch.bfloat16, torch.float64):
            assert ours(x.to(dtype)).dtype == theirs(x.to(dtype)).dtype == dtype


@every_operator
def test_torch_func_transforms(ours, theirs):
    assert_transforms(ours, theirs, random(3, 4))


@every_operator
def test_vmap_with_one_gradient_for_all(ours, theirs):
    """What comes in is not mapped then."""
    x, g = random(5, 3, 4), random(3, 4, seed=1)
    found, expected = (torch.func.vmap(lambda x, f=f: torch.func.vjp(f, x)[1](g)[0])(x) for f in (ours, theirs))
    torch.testing.assert_close(found, expected)


@every_operator
def test_forward_and_jacobian_under_vmap(ours, theirs):
    x = random(5, 4)
    torch.testing.assert_close(torch.func.vmap(ours)(x), torch.func.vmap(theirs)(x))
    found, expected = (torch.func.vmap(torch.func.jacrev(f))(x) for f in (ours, theirs))
    torch.testing.assert_close(found, expected)


SPECIAL = [NAN, INF, -INF, 0.0, -0.0, 1e-300, -1e-300, 1e-9, 19.0, 21.0, -21.0, 700.0, -800.0, 1e300, -1e300]
# A product in place of a selection, in the gradient of: own ReLU, ELU and hard swish.
DIFFERS = {
    "relu own": [NAN],
    **{name: [NAN] for name in ("elu", "elu 0.3", "elu 0", "elu -2")},
    "hardswish": [NAN, INF, -INF],
    "leaky_relu 0": [-INF],  # of which torch makes 0·∞, not a number
}


@pytest.mark.parametrize("name", OPERATORS)
def test_special_values(name):
    ours, theirs = OPERATORS[name]
    values = [value for value in SPECIAL if value not in DIFFERS.get(name, [])]
    x = torch.tensor(values, dtype=torch.float64)
    assert_same(ours, theirs, x[:, None], second=False)


@every_operator
def test_not_a_number_stays(ours, theirs):
    assert ours(torch.tensor([NAN])).isnan().all()


@every_operator
def test_refuses_what_is_no_real_tensor(ours, theirs):
    with pytest.raises(TypeError, match="needs a tensor"):
        ours(5)
    with pytest.raises(NotImplementedError, match=r"real .*got torch.complex64"):
        ours(torch.tensor([1j]))


@pytest.mark.parametrize("name", FLOATING_ONLY)
@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.uint8])
def test_refuses_integers_as_torch_does(name, dtype):
    ours, theirs = OPERATORS[name]
    assert_rejected_alike(ours, getattr(F, name) if "soft" not in name else theirs, torch.ones(3, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_integers(dtype):
    x = torch.tensor([0, 1, 2, 9], dtype=dtype) - (0 if dtype == torch.uint8 else 2)
    torch.testing.assert_close(R.relu(x), F.relu(x))
    torch.testing.assert_close(R.tanh(x), torch.tanh(x))
    torch.testing.assert_close(R.sigmoid(x), torch.sigmoid(x))
    if dtype != torch.uint8:  # of which torch says that it has no negative numbers
        torch.testing.assert_close(R.relu6(x), F.relu6(x))


@pytest.mark.parametrize(("ours", "theirs"), [(R.tanh, torch.tanh), (R.sigmoid, torch.sigmoid)])
def test_bool_counts_as_0_and_1(ours, theirs):
    torch.testing.assert_close(ours(torch.tensor([True, False])), theirs(torch.tensor([True, False])))


@every_in_place
def test_in_place_writes_and_returns_its_input(ours, theirs):
    for layout in (random(3, 4), random(3, 8)[:, ::2], random(4, 3).t()):
        x, expected = layout, theirs(layout)
        assert ours(x, inplace=True) is x
        torch.testing.assert_close(x, expected)


@every_in_place
def test_in_place_has_the_same_gradient(ours, theirs):
    w = random(3, 4) * 3
    for operator in (
        lambda f: lambda x: f(x * w, inplace=True) * x,
        lambda f: lambda x: f((x * w)[:, 1:3], inplace=True),
    ):
        assert_same(operator(ours), operator(theirs), random(3, 4, seed=3))


@every_in_place
def test_in_place_on_part_of_a_tensor(ours, theirs):
    def whole(operator):
        def apply(x):
            y = x * 1.0
            operator(y[1:], inplace=True)
            return y.square()

        return apply

    assert_same(whole(ours), whole(theirs), random(3, 4))


@every_in_place
def test_in_place_goes_through_transforms(ours, theirs):
    assert_transforms(lambda x: ours(x * 2, inplace=True), lambda x: theirs(x * 2, inplace=True), random(3, 4))


@every_in_place
def test_in_place_is_seen_by_autograd(ours, theirs):
    x = random(3).requires_grad_()
    y = torch.exp(x)  # keeps its output for the gradient
    ours(y, inplace=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@every_in_place
def test_in_place_refuses_what_torch_refuses(ours, theirs):
    leaf = torch.full((2, 2), -1.0, requires_grad=True)
    for target in (leaf, leaf[0], torch.ones(1).expand(3), (leaf * 1).unbind(0)[0]):
        assert_rejected_alike(ours, theirs, target, inplace=True)
    assert leaf.tolist() == [[-1, -1], [-1, -1]]
    with torch.no_grad():
        ours(leaf, inplace=True)
    torch.testing.assert_close(leaf.detach(), theirs(torch.full((2, 2), -1.0)))


@every_in_place
def test_in_place_keeps_the_type_of_the_halves(ours, theirs):
    for dtype in (torch.float16, torch.bfloat16):
        x = random(9, dtype=dtype)
        expected = theirs(x)
        torch.testing.assert_close(ours(x, inplace=True), expected)


@pytest.mark.parametrize("operator", [R.relu, R.relu6, R.elu, R.leaky_relu])
def test_in_place_keeps_nothing_but_its_output(operator):
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        x = random(5).requires_grad_() * 1
        kept.clear()
        operator(x, inplace=True)
    assert [t.data_ptr() for t in kept] == [x.data_ptr()]


def test_without_gradients_nothing_is_recorded():
    x = random(3).requires_grad_()
    with torch.no_grad():
        assert not R.relu(x).requires_grad
    with torch.inference_mode():
        assert torch.equal(R.relu(x), F.relu(x))
        assert R.relu(y := random(3), inplace=True) is y


def test_tanh_keeps_every_digit():
    """Near zero tanh x ≈ x, where (e^2x − 1) formed by subtraction has no digits left."""
    for value in (1e-20, 1e-8, 0.01, 0.5, 3.0, 15.0):
        x = torch.tensor(value, dtype=torch.float64)
        assert math.isclose(R.tanh(x).item(), math.tanh(value), rel_tol=4e-16)
        assert R.tanh(-x) == pytest.approx(-math.tanh(value), rel=4e-16, abs=0)


def test_elu_keeps_every_digit():
    for value in (-1e-20, -1e-8, -0.5):
        assert R.elu(torch.tensor(value, dtype=torch.float64)).item() == pytest.approx(
            math.expm1(value), rel=4e-16, abs=0
        )


def test_powers_are_as_exact_as_their_argument():
    x = torch.linspace(-80, 80, 999)
    error = (exp_of(x).double() / x.double().exp() - 1).abs()
    assert (error <= (2 + x.abs()) * torch.finfo(torch.float32).eps).all()


def test_the_scaled_tanh_keeps_one():
    """LeCun 1998, appendix A: f(1) = 1 and f(−1) = −1, to the digits of its two numbers."""
    found = R.scaled_tanh(torch.tensor([-1.0, 0.0, 1.0, 100.0]))
    torch.testing.assert_close(found, torch.tensor([-1.0, 0.0, 1.0, 1.7159]), atol=1e-4, rtol=0)


def test_hardsigmoid_is_torchs():
    assert_same(R.hardsigmoid, F.hardsigmoid, random(20) * 3, second=False)


@pytest.mark.parametrize("operator", [R.relu, R.relu6])
def test_rectifiers_refuse_bool_as_torch_does(operator):
    assert_rejected_alike(operator, getattr(F, operator.__name__), torch.tensor([True]))


def test_by_hand():
    x = torch.tensor([-2.0, 0.0, 3.0])
    assert R.relu(x).tolist() == [0, 0, 3]
    assert R.leaky_relu(x, 0.5).tolist() == [-1, 0, 3]
    assert R.sigmoid(torch.zeros(1)).tolist() == [0.5]
    assert R.hardsigmoid(x.double()).tolist() == [1 / 6, 0.5, 1]
    assert R.hardswish(torch.tensor([-4.0, -3.0, 0.0, 3.0, 5.0])).tolist() == [0, 0, 0, 3, 5]


@pytest.mark.parametrize("how", [{"amplitude": "1"}, {"slope": None}])
def test_the_scaled_tanh_wants_numbers(how):
    with pytest.raises(TypeError, match="must be a number"):
        R.scaled_tanh(torch.ones(1), **how)


def test_the_scaled_tanh_wants_an_amplitude():
    with pytest.raises(ValueError, match="amplitude must not be 0, got 0"):
        R.scaled_tanh(torch.ones(1), amplitude=0)
