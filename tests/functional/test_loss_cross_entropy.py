"""Cross-entropy and negative log-likelihood."""

import math

import pytest
import torch
from torch.nn import functional as F

import oracles
from differential import assert_proved, assert_rejected_alike, assert_same, assert_transforms, random
from repronet.functional import cross_entropy, log_softmax, nll_loss, softmax

NAN, INF = float("nan"), float("inf")
SHAPES = [(4, 3), (3,), (4, 3, 2), (2, 3, 2, 5), (2, 3, 2, 2, 2), (4, 1), (1, 3)]
REDUCTIONS = ["none", "mean", "sum"]
BOTH = pytest.mark.parametrize(("ours", "theirs"), [(cross_entropy, F.cross_entropy), (nll_loss, F.nll_loss)])


def labels_of(shape, seed=0):
    """Labels for an input of this shape, every class among them."""
    classes, places = (shape[0], ()) if len(shape) == 1 else (shape[1], (shape[0], *shape[2:]))
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(classes, places, generator=generator)


def class_weight(shape):
    return random(shape[0] if len(shape) == 1 else shape[1], seed=9).abs()


def probabilities(shape):
    return softmax(random(*shape, seed=3), 0 if len(shape) == 1 else 1)


@BOTH
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignore_index", [-100, 0, 1])
def test_labels_same_as_torch(ours, theirs, shape, reduction, weighted, ignore_index):
    how = {"reduction": reduction, "ignore_index": ignore_index}
    labels, weight = labels_of(shape), class_weight(shape) if weighted else None
    some_count = bool((labels != ignore_index).any())  # else torch's second derivatives are no numbers
    assert_same(
        lambda x: ours(x, labels, weight, **how),
        lambda x: theirs(x, labels, weight, **how),
        random(*shape),
        second=some_count,
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.1, 1])
@pytest.mark.parametrize("weighted", [False, True])
def test_smoothed_labels_same_as_torch(shape, reduction, smoothing, weighted):
    labels, weight = labels_of(shape), class_weight(shape) if weighted else None
    for ignored in (-100, 2):
        how = {"reduction": reduction, "label_smoothing": smoothing, "ignore_index": ignored}
        assert_same(
            lambda x, how=how: cross_entropy(x, labels, weight, **how),
            lambda x, how=how: F.cross_entropy(x, labels, weight, **how),
            random(*shape),
            second=bool((labels != ignored).any()),
        )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_probabilities_same_as_torch(shape, reduction, smoothing):
    """Every argument has a gradient here."""
    how = {"reduction": reduction, "label_smoothing": smoothing}
    inputs = (random(*shape), probabilities(shape), class_weight(shape))
    assert_same(lambda *t: cross_entropy(*t, **how), lambda *t: F.cross_entropy(*t, **how), *inputs)
    assert_same(lambda *t: cross_entropy(*t, **how), lambda *t: F.cross_entropy(*t, **how), *inputs[:2])


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gradients_are_proved(reduction):
    x, labels, w = random(4, 3, 2), labels_of((4, 3, 2)), class_weight((4, 3, 2))
    for how in ({}, {"label_smoothing": 0.2}, {"ignore_index": 1}, {"weight": w}):
        assert_proved(lambda x, how=how: cross_entropy(x, labels, reduction=reduction, **how), x)
    assert_proved(lambda x: nll_loss(x, labels, w, reduction=reduction, ignore_index=1), x)
    assert_proved(
        lambda *t: cross_entropy(*t, reduction=reduction, label_smoothing=0.2), x, probabilities((4, 3, 2)), w
    )


def test_same_as_the_loops():
    x, t, w = random(4, 3), probabilities((4, 3)), class_weight((4, 3))
    torch.testing.assert_close(cross_entropy(x, t, w, reduction="none"), oracles.cross_entropy(x, t, w))
    labels = labels_of((4, 3))
    hard, even = torch.eye(3).double()[labels], torch.ones(3)
    torch.testing.assert_close(cross_entropy(x, labels), oracles.cross_entropy(x, hard, even).mean())
    torch.testing.assert_close(
        cross_entropy(x, labels, label_smoothing=0.3), oracles.cross_entropy(x, 0.7 * hard + 0.1, even).mean()
    )
    torch.testing.assert_close(nll_loss(log_softmax(x, 1), labels), oracles.cross_entropy(x, hard, even).mean())


def test_by_hand():
    x = torch.tensor([[math.log(3.0), 0.0]], requires_grad=True)  # p = 3/4, 1/4
    loss = cross_entropy(x, torch.tensor([1]))
    loss.backward()
    assert loss.item() == pytest.approx(math.log(4))
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.tensor([[0.75, -0.75]]))  # softmax − target


def test_a_network_that_knows_nothing_loses_the_logarithm_of_the_classes():
    """CS231n: 2.3 for ten classes."""
    assert cross_entropy(torch.zeros(5, 10), torch.arange(5)).item() == pytest.approx(2.302585, abs=1e-6)


def test_the_weighted_mean_divides_by_the_weights():
    x, w = torch.zeros(2, 2), torch.tensor([1.0, 3.0])
    assert cross_entropy(x, torch.tensor([0, 1]), w).item() == pytest.approx(math.log(2))
    assert cross_entropy(x, torch.tensor([0, 1]), w, reduction="sum").item() == pytest.approx(4 * math.log(2))
    assert nll_loss(torch.tensor([[-1.0, -2.0], [-3.0, -4.0]]), torch.tensor([0, 1]), w).item() == -(-1 - 12) / 4


def test_large_scores_do_not_overflow():
    x = torch.tensor([[1e4, 0.0], [-1e4, 0.0]], requires_grad=True)
    loss = cross_entropy(x, torch.tensor([1, 0]), reduction="sum")
    loss.backward()
    assert loss.item() == 2e4
    assert x.grad is not None
    assert x.grad.tolist() == [[1, -1], [-1, 1]]


@BOTH
@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 2), (2, 3, 0), (0, 3, 2, 2)])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_nothing(ours, theirs, shape, reduction):
    labels = labels_of(shape)
    assert_same(
        lambda x: ours(x, labels, reduction=reduction),
        lambda x: theirs(x, labels, reduction=reduction),
        random(*shape),
        second=False,
    )


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0), (2, 3, 0)])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_nothing_with_probabilities(shape, reduction):
    how = {"reduction": reduction, "label_smoothing": 0.1}
    tensors = (random(*shape), random(*shape))
    assert_same(lambda *t: cross_entropy(*t, **how), lambda *t: F.cross_entropy(*t, **how), *tensors, second=False)


@BOTH
def test_what_is_ignored_may_be_no_number(ours, theirs):
    x, labels = torch.tensor([[NAN, INF], [1.0, 2.0]]), torch.tensor([-100, 1])
    for reduction in REDUCTIONS:
        torch.testing.assert_close(ours(x, labels, reduction=reduction), theirs(x, labels, reduction=reduction))
    torch.testing.assert_close(
        cross_entropy(x, labels, label_smoothing=0.1), F.cross_entropy(x, labels, label_smoothing=0.1)
    )


@BOTH
@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 2.0, 3.0]).double()])
def test_the_mean_is_no_number_if_all_are_ignored(ours, theirs, weight):
    """And the gradient is zero, which leaves a network as it is."""
    labels = torch.tensor([7, 7])
    x = random(2, 3).requires_grad_()
    loss = ours(x, labels, weight, ignore_index=7)
    assert loss.isnan()
    assert theirs(x, labels, weight, ignore_index=7).isnan()
    (gradient,) = torch.autograd.grad(loss, x)
    assert not gradient.any()


@BOTH
def test_memory_layouts(ours, theirs):
    x, labels = random(2, 3, 4, 5), labels_of((2, 3, 4, 5))
    for view in (x.contiguous(memory_format=torch.channels_last), random(5, 4, 3, 2).permute(3, 2, 1, 0)):
        # torch's nll_loss has no gradient there without the copy
        assert_same(lambda x: ours(x, labels), lambda x: theirs(x.contiguous(), labels), view)
    strided = labels.transpose(1, 2).contiguous().transpose(1, 2)
    assert_same(lambda x: ours(x, strided), lambda x: theirs(x, strided), x)


@BOTH
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_dtypes(ours, theirs, dtype, tolerance, reduction):
    labels, weight = labels_of((50, 7)), class_weight((50, 7)).to(dtype)
    x = random(50, 7, dtype=dtype)
    x = x if ours is cross_entropy else F.log_softmax(x, 1)
    for w in (None, weight):
        assert_same(
            lambda x, w=w: ours(x, labels, w, reduction=reduction),
            lambda x, w=w: theirs(x, labels, w, reduction=reduction),
            x,
            second=False,
            rtol=tolerance,
            atol=tolerance,
        )


@pytest.mark.parametrize("dtypes", [("float32", "float64"), ("float64", "float32"), ("bfloat16", "float32")])
def test_probabilities_of_another_dtype(dtypes):
    x, t = random(4, 3).to(getattr(torch, dtypes[0])), probabilities((4, 3)).to(getattr(torch, dtypes[1]))
    assert_same(cross_entropy, F.cross_entropy, x, t, second=False, rtol=1e-2, atol=1e-2)


@BOTH
def test_labels_of_uint8(ours, theirs):
    x, labels = random(4, 3), labels_of((4, 3)).to(torch.uint8)
    torch.testing.assert_close(ours(x, labels), theirs(x, labels))


def test_torch_func_transforms():
    labels, weight = labels_of((4, 3)), class_weight((4, 3))
    for how in ({}, {"ignore_index": 1}, {"label_smoothing": 0.1}, {"weight": weight}):
        assert_transforms(
            lambda x, how=how: cross_entropy(x, labels, **how),
            lambda x, how=how: F.cross_entropy(x, labels, **how),
            random(4, 3),
        )
    assert_transforms(cross_entropy, F.cross_entropy, random(4, 3), probabilities((4, 3)), weight)
    assert_transforms(lambda x: nll_loss(x, labels, weight), lambda x: F.nll_loss(x, labels, weight), random(4, 3))


@BOTH
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_vmap_over_the_labels(ours, theirs, reduction):
    x, labels = random(4, 3), torch.stack([labels_of((4, 3), seed) for seed in range(5)])

    def mapped(loss):
        def gradient(labels):
            return torch.func.grad(lambda x: loss(x, labels, reduction=reduction).sum())(x)

        return torch.func.vmap(gradient)(labels)

    torch.testing.assert_close(mapped(ours), mapped(theirs))


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_autocast(ours, theirs, dtype):
    x, labels = random(4, 3, dtype=dtype), labels_of((4, 3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, expected = ours(x, labels), theirs(x, labels)
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found, expected)


def test_torch_compile_traces_it():
    x, labels = random(4, 3, dtype=torch.float32), labels_of((4, 3))
    compiled = torch.compile(cross_entropy, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, labels), cross_entropy(x, labels))


X, LABELS = random(2, 3), torch.tensor([0, 2])


@BOTH
@pytest.mark.parametrize(
    ("arguments", "how"),
    [
        ((X, torch.tensor([0, 3])), {}),
        ((X, torch.tensor([0, -1])), {}),
        ((X, torch.tensor([-100, 3])), {}),
        ((X, torch.tensor([-100, 3])), {"ignore_index": 3}),
        ((X, torch.tensor([0, 3])), {"reduction": "none"}),
        ((X[0], torch.tensor(3)), {}),
        ((random(2, 3, 4), torch.full((2, 4), 3)), {}),
        ((random(2, 3, 4, 5), torch.full((2, 4, 5), -1)), {}),
        ((random(2, 0), LABELS), {}),
        ((X, torch.tensor([0, 1, 2])), {}),
        ((X, LABELS[:, None]), {}),
        ((X, LABELS[0]), {}),
        ((X[0], LABELS), {}),
        ((X[0], LABELS[None]), {}),
        ((random(2, 3, 4), LABELS), {}),
        ((random(2, 3, 4), torch.zeros(2, 5).long()), {}),
        ((random(2, 3, 4, 5), torch.zeros(2, 5, 4).long()), {}),
        ((X[0, 0], LABELS[0]), {}),
        ((X, LABELS.int()), {}),
        ((X, LABELS.bool()), {}),
        ((X, LABELS.double()), {}),
        ((X.long(), LABELS), {}),
        ((X.to(torch.complex64), LABELS), {}),
        ((X, LABELS, random(2)), {}),
        ((X, LABELS, random(1, 3)), {}),
        ((X, LABELS, random(3).float()), {}),
        ((X, LABELS, random(3).requires_grad_()), {}),
        ((X, LABELS, [1.0, 2.0, 3.0]), {}),
        ((X, LABELS, 2.0), {}),
        ((X, LABELS), {"reduction": "average"}),
        ((X, LABELS), {"reduction": None}),
        ((X, LABELS), {"reduction": ["mean"]}),
        ((X, LABELS), {"ignore_index": None}),
        ((X, LABELS), {"ignore_index": 1.5}),
        ((X, LABELS), {"ignore_index": True}),
        ((X, LABELS), {"surplus": 1}),
        (([1.0, 2.0], LABELS), {}),
        ((X, None), {}),
        ((X,), {}),
    ],
)
def test_refuses_what_torch_refuses(ours, theirs, arguments, how):
    assert_rejected_alike(ours, theirs, *arguments, **how)


@pytest.mark.parametrize(
    ("arguments", "how"),
    [
        ((X, LABELS), {"label_smoothing": 1.5}),
        ((X, LABELS), {"label_smoothing": None}),
        ((X, LABELS), {"label_smoothing": "0.1"}),
        ((X, X.long()), {}),
        ((X, X.to(torch.complex64)), {}),
        ((X, X), {"ignore_index": 1}),
        ((X, X), {"reduction": "average"}),
        ((X, X, random(2)), {}),
        ((X, X, random(1)), {}),
        ((X.long(), X), {}),
        ((X[0, 0], X[0, 0]), {}),
        ((X, torch.tensor([0, 3])), {"label_smoothing": 0.1}),
        ((X, LABELS, random(3).requires_grad_()), {"label_smoothing": 0.1}),
    ],
)
def test_cross_entropy_refuses_what_torch_refuses(arguments, how):
    assert_rejected_alike(cross_entropy, F.cross_entropy, *arguments, **how)


def test_messages_name_the_offending_value():
    with pytest.raises(IndexError, match="cross_entropy needs labels from 0 to 2, got 7"):
        cross_entropy(X, torch.tensor([1, 7]))
    with pytest.raises(IndexError, match="got -3"):
        nll_loss(X, torch.tensor([-100, -3]))
    with pytest.raises(RuntimeError, match=r"from 0 to 1, got -0\.1"):  # torch takes it for 0
        cross_entropy(X, LABELS, label_smoothing=-0.1)
    with pytest.raises(TypeError):  # torch's deprecated size_average stands here
        cross_entropy(X, LABELS, None, True)


def test_a_weight_may_require_grad_where_no_gradient_is_asked_for():
    with torch.no_grad():
        assert cross_entropy(X, LABELS, random(3).requires_grad_()).isfinite()


@pytest.mark.parametrize("kind", ["labels", "smoothed", "shares"])
@pytest.mark.parametrize("size", [1.0, 0.6, 0.5, 0.3])
def test_scores_near_the_end_of_a_half_type_give_finite_losses_where_torchs_are(kind, size):
    scores = torch.tensor([[1, 0, -1], [1, 1, 1], [-1, 1, 0.5]]) * torch.finfo(torch.float16).max * size
    target = torch.full((3, 3), 1 / 3).half() if kind == "shares" else torch.tensor([0, 1, 2])
    smoothing = 0.1 if kind == "smoothed" else 0.0
    for reduction in ("mean", "sum", "none"):
        found = []
        for function in (cross_entropy, torch.nn.functional.cross_entropy):
            x = scores.half().requires_grad_()
            loss = function(x, target, reduction=reduction, label_smoothing=smoothing)
            found.append((loss, *torch.autograd.grad(loss.sum(), x)))
        for ours, theirs in zip(*found, strict=True):
            finite = theirs.isfinite()
            torch.testing.assert_close(ours[finite], theirs[finite], rtol=1e-2, atol=1e-3)
