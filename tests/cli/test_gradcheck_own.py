"""Layers of somebody's own under `repronet gradcheck`: right ones pass, wrong ones are found with the element."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from repronet.analysis import own_layer
from repronet.analysis.own_layer import build, fitting, prove

MINE = """
import torch
from torch import nn

class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x ** 3

    @staticmethod
    def backward(ctx, grad):
        gradient = 3 * ctx.saved_tensors[0] ** 2 * grad
        gradient.view(-1)[5] = 0
        return gradient

class Wrong(nn.Module):
    def forward(self, x):
        return Cube.apply(x)

class Right(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, 2, 3)

    def forward(self, x):
        return self.conv(x).tanh()
"""


@pytest.fixture(autouse=True)
def without_compiler(monkeypatch):
    """Which takes seconds a layer; a test of its own has it."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)


def rows(out: str) -> dict[str, str]:
    return {line.split("  ")[0]: line.split()[-1] for line in out.splitlines() if line.split()[-1:] != []}


def test_a_right_layer_passes(repronet, mine):
    outcome = repronet("gradcheck", "mine.py:Right", "args=[4]", "shape=[2,4,5,5]")
    assert outcome.code == 0, outcome.out
    found = rows(outcome.out)
    for label in ("∂input", "∂conv.weight", "∂²/∂input", "not contiguous", "channels last", "jvp", "vmap", "float32"):
        assert found[label] == "ok", label
    assert "checks ok" in outcome.out


def test_a_wrong_backward_is_found_and_its_element_named(repronet, mine):
    outcome = repronet("gradcheck", "mine.py:Wrong", "shape=[2,4]")
    assert outcome.code == 1
    assert rows(outcome.out)["∂input"] == "WRONG"
    assert "∂input: at [1, 1]: 0, differences give" in outcome.out  # the sixth of eight


class Contiguous(nn.Module):
    def forward(self, x):
        return x.view(-1).view(x.shape) * 2


class Detached(nn.Module):
    """Right at first, but its gradient is a constant to autograd."""

    def forward(self, x):
        return Squared.apply(x)


class Squared(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        with torch.no_grad():
            return 2 * ctx.saved_tensors[0] * grad


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x * self.calls


class OneAnswer(nn.Module):
    def forward(self, x):
        return x.sum(0, keepdim=True).expand(1, *x.shape[1:])


@pytest.mark.parametrize(
    ("layer", "label"),
    [
        (Contiguous, "not contiguous"),
        (Detached, "∂²/∂input"),
        (Counting, "a second time"),
        (OneAnswer, "an empty batch"),
    ],
)
def test_what_is_wrong_is_found(layer, label):
    findings = {finding.label: finding for finding in prove(fitting(layer(), (2, 3), 0), 0)}
    assert not findings[label].passed


@pytest.mark.parametrize(
    "layer", [nn.Linear, nn.Conv2d, nn.BatchNorm2d, nn.Dropout, nn.GELU, nn.LayerNorm], ids=lambda layer: layer.__name__
)
def test_torchs_layers_are_right_with_what_is_tried_for_them(layer):
    torch.manual_seed(0)
    args = [[6]] if layer is nn.LayerNorm else None
    wrong = [finding for finding in prove(fitting(build(layer, args), None, 0), 0) if not finding.passed]
    assert wrong == []


def test_large_tensors_are_looked_at_in_part(monkeypatch):
    monkeypatch.setattr(own_layer, "ELEMENTS", 5)
    assert all(finding.passed for finding in prove(fitting(nn.Linear(40, 30), (2, 40), 0), 0))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mine.py:Wrog"], "mine.py:Wrog: mine.py has no class Wrog; nearest: Wrong"),
        (["nobody.Layer"], "nobody: no such module; give a module's name or the path of a .py file"),
        (["mine.py:Right", "args=[4]", "shape=[2,3]"], "Right: takes no input [2, 3] (RuntimeError"),
        (["mine.py:Right", "args=[4,5]"], "Right: cannot be made with args=[4, 5]: TypeError"),
        (["mine.py:Right", "layer=conv2d"], "mine.py:Right: one thing at a time"),
        (["shape=[2,3]"], "shape=[2, 3]: is for a class of your own"),
    ],
)
def test_mistakes(repronet, mine, words, message):
    outcome = repronet("gradcheck", *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
