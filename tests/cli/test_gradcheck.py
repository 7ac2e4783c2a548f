import pytest
import torch

from repronet.algorithms import CONVOLUTIONS
from repronet.functional import conv


def test_a_layer_is_proved_case_by_case(repronet):
    outcome = repronet("gradcheck", "layer=max_pool2d")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    rows = lines[lines.index("max_pool2d") + 1 : lines.index("")]
    assert len(rows) >= 4
    assert all(row.split()[-1] == "ok" for row in rows)
    assert f"all {len(rows)} cases ok" in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_details_name_every_gradient(repronet):
    outcome = repronet("gradcheck", "layer=linear", "details=true")
    rows = [line.split()[0] for line in outcome.out.splitlines() if line.startswith("    ∂")]
    assert rows == ["∂input", "∂weight", "∂bias"] * 2  # a batch, and further dimensions


def test_a_wrong_gradient_is_found_and_fails(repronet, monkeypatch):
    right = conv.conv2d_bias_gradient
    monkeypatch.setattr(conv, "conv2d_bias_gradient", lambda grad: right(grad) * 1.001)
    outcome = repronet("gradcheck", "layer=conv2d", "algorithm=im2col")
    assert outcome.code == 1
    assert "WRONG" in outcome.out
    assert "8 of 8 cases wrong" in outcome.out


@pytest.mark.parametrize("model", ["lenet5", "lenet5_1998"])
def test_a_network_is_compared_parameter_by_parameter(repronet, model):
    outcome = repronet("gradcheck", f"model={model}", "batch=2")
    assert outcome.code == 0
    assert "logits" in outcome.out
    assert "WRONG" not in outcome.out
    assert "gradients ok" in outcome.out


def test_a_wrong_layer_in_a_network_is_found(repronet, monkeypatch):
    monkeypatch.setattr(conv, "conv2d_bias_gradient", lambda grad: torch.zeros(grad.shape[1], dtype=grad.dtype))
    outcome = repronet("gradcheck", "model=lenet5", "batch=2", "algorithm=im2col")
    assert outcome.code == 1
    assert "2 of 11 gradients wrong" in outcome.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["layer=conv"], "layer=conv: no such layer; nearest: conv2d (`repronet gradcheck` checks all"),
        (["layer=BatchNorm2d"], "layer=BatchNorm2d: no such layer; nearest: batch_norm ("),
        (["conv2d"], "conv2d: not KEY=VALUE; write for example layer=conv2d"),
        (["batch=2"], "batch=2: has no effect without model="),
        (["model=lenet5", "details=true"], "details=true: has no effect beside model=lenet5"),
        (["model=lenet"], "model=lenet: no such model; nearest: lenet5"),
        (["layer=conv2d", "model=lenet5"], "layer=conv2d: check a layer or a network; leave out model=lenet5"),
        (
            ["model=lenet5", "algorithm=winograd"],
            "model=lenet5: algorithm='winograd' does not apply: it is written for 3",
        ),
        (["algorithm=fast"], "algorithm=fast: must be one of auto, own"),
        (["layers=conv2d"], "layers=conv2d: no such key; nearest: layer"),
    ],
)
def test_mistakes(repronet, words, message):
    outcome = repronet("gradcheck", *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_every_layer_is_proved(repronet):
    """Whatever repronet.functional computes has its cases, and all of them are right."""
    from repronet import functional

    outcome = repronet("gradcheck")
    assert outcome.code == 0
    assert max(map(len, outcome.out.splitlines())) <= 80
    for algorithm in CONVOLUTIONS:
        assert f"  {algorithm}, padding" in outcome.out
    headings = [line.strip() for line in outcome.out.splitlines() if line[:1].isalpha()]
    assert len(headings) == len(set(headings))
    random = {"dropout", "dropout2d"}  # differences would need the same mask twice
    parts = {"local_contrast_norm"}  # subtractive_norm, then divisive_norm
    assert set(functional.__all__) - set(headings) == random | parts
