"""A loss that is no longer a number stops the run at its step and names what went bad."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from repronet import models
from repronet.training.callbacks.nonfinite import explain, first_bad_output


def images() -> torch.Tensor:
    return torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))


class Sick(nn.MaxPool2d):
    """Divides by zero."""

    def forward(self, input):
        return super().forward(input) / 0


def test_a_healthy_network_has_no_bad_output():
    network = models.create("lenet5")
    assert first_bad_output(network, images()) is None
    assert explain(network, images()) == "every layer's output is finite"


@pytest.mark.parametrize("layers", ["custom", "torch"])
def test_the_first_bad_output_is_named_and_hooks_are_gone(layers):
    network = models.create("lenet5", layers=layers)
    names = [name for name, layer in network.named_modules() if isinstance(layer, nn.MaxPool2d)]
    network.set_submodule(names[1], Sick(2))
    assert first_bad_output(network, images()) == f"{names[1]} (Sick)"
    assert explain(network, images()) == f"the first non-finite output is that of {names[1]} (Sick)"
    assert not any(layer._forward_hooks for layer in network.modules())


def test_weights_and_images_are_looked_at_first():
    network = models.create("lenet5")
    with torch.no_grad():
        network.c3.weight[0, 0, 0, 0] = math.inf
    assert explain(network, images()) == "c3.weight is not finite after the previous update"
    assert explain(network, images() / 0) == "the images are not finite"


LATER = [pytest.param(step, marks=pytest.mark.slow) for step in (2, 15, 17, 33, 54, 55, 70)]


@pytest.mark.parametrize("step", [1, 16, 56, *LATER])
def test_nan_is_caught_at_its_step(repronet, tmp_path, monkeypatch, step):
    passes = []

    def counted(self, input):
        output = nn.functional.linear(input, self.weight, self.bias)
        if self.training and self.out_features == 10:  # once a step
            passes.append(1)
            return output * (math.nan if len(passes) == step else 1)
        return output

    monkeypatch.setattr("torch.nn.Linear.forward", counted)
    outcome = repronet("train", "layers=torch", "trainer.max_epochs=2", "run_dir=run")
    assert outcome.code == 2
    assert f"the loss is no longer finite at step {step}: " in outcome.err
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").exists() == (step > 55)
