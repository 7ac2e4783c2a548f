"""What callbacks do to weights and gradients: each against a training loop written out."""

from __future__ import annotations

import copy

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from repronet import ImageClassifier, models
from repronet.data.randomness import counter_seed
from repronet.models.dropout import set_dropout
from repronet.session.console import quiet_lightning
from repronet.training.averaging import AverageWeights
from repronet.training.callbacks.steps import CapFilters, CountedSeeds, cap_filters, filters_of

LR = 0.05
SIZES = (8, 8, 8, 8, 8, 5)


def batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Six batches, the last one smaller."""
    drawn = torch.Generator().manual_seed(0)
    return [(torch.randn(n, 1, 32, 32, generator=drawn), torch.randint(10, (n,), generator=drawn)) for n in SIZES]


def network() -> nn.Module:
    torch.manual_seed(3)
    return models.create("lenet5")


def trained(*callbacks: pl.Callback, net: nn.Module | None = None, **options) -> ImageClassifier:
    sgd = {"name": "sgd", "lr": LR, "momentum": 0.9, "weight_decay": 0.0}
    task = ImageClassifier(net or network(), optimizer=sgd, channels_last=options.pop("channels_last", False))
    quiet_lightning()
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    made = pl.Trainer(max_epochs=1, enable_checkpointing=False, callbacks=list(callbacks), **quiet, **options)
    made.fit(task, DataLoader(batches(), batch_size=None), DataLoader(batches()[:1], batch_size=None))
    return task


def by_hand(after_step=lambda net, step: None, net: nn.Module | None = None, seed: int | None = None) -> nn.Module:
    """The same training, written out."""
    net = net or network()
    optimizer = torch.optim.SGD(net.parameters(), lr=LR, momentum=0.9)
    for step, (images, labels) in enumerate(batches()):
        if seed is not None:
            torch.manual_seed(counter_seed("dropout", seed, step + 1))
        optimizer.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        optimizer.step()
        after_step(net, step)
    return net


def assert_same(one: nn.Module, other: nn.Module, **tolerance) -> None:
    for (name, ours), theirs in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, msg=lambda text, name=name: f"{name}: {text}", **tolerance)


def test_without_callbacks_it_is_the_plain_loop():
    assert_same(trained().network, by_hand())


def weights_by_step() -> list[dict[str, torch.Tensor]]:
    seen: list[dict[str, torch.Tensor]] = []
    by_hand(lambda net, step: seen.append(copy.deepcopy(net.state_dict())))
    return seen


def test_the_exponential_mean_is_the_formula_and_stays_in_the_network():
    seen = weights_by_step()
    mean = seen[0]
    for weights in seen[1:]:
        mean = {name: 0.9 * mean[name] + 0.1 * weights[name] for name in mean}
    for name, weight in trained(AverageWeights(decay=0.9)).network.state_dict().items():
        torch.testing.assert_close(weight, mean[name], rtol=1e-5, atol=1e-6)


def test_the_plain_mean_begins_where_it_is_told_to():
    seen, averaging = weights_by_step(), AverageWeights(decay=None, start=0.5)
    task = trained(averaging)
    assert int(averaging._average_model.n_averaged) == 3
    for name, weight in task.network.state_dict().items():
        torch.testing.assert_close(weight, torch.stack([s[name] for s in seen[3:]]).mean(0), rtol=1e-5, atol=1e-6)


def test_before_the_first_mean_the_network_itself_is_validated():
    images, labels = batches()[0]
    task = trained(AverageWeights(decay=None, start=1.0))
    assert_same(task.network, by_hand())
    error = (by_hand().eval()(images).argmax(1) != labels).float().mean().item()
    assert task.evaluation.compute()["error"] == pytest.approx(error)


def test_the_average_is_validated_and_the_training_does_not_notice():
    images, labels = batches()[0]
    seen = weights_by_step()
    averaged = network()
    averaged.load_state_dict({name: torch.stack([s[name] for s in seen]).mean(0) for name in seen[0]})
    loss = F.cross_entropy(averaged.eval()(images), labels).item()
    assert trained(AverageWeights()).evaluation.compute()["loss"] == pytest.approx(loss, rel=1e-4)


def test_after_a_fit_the_best_checkpoint_is_tested_with_its_average(tmp_path):
    averaging, data = AverageWeights(decay=0.5), DataLoader(batches(), batch_size=None)
    keeper = ModelCheckpoint(tmp_path, monitor="val/loss")
    task = ImageClassifier(network(), optimizer={"name": "sgd", "lr": LR})
    quiet_lightning()
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    made = pl.Trainer(max_epochs=2, callbacks=[averaging, keeper], **quiet)
    made.fit(task, data, data)
    made.test(task, data, ckpt_path=keeper.best_model_path, verbose=False, weights_only=True)
    kept = torch.load(keeper.best_model_path, weights_only=True)
    assert torch.equal(task.network.c1.weight, kept["state_dict"]["network.c1.weight"])
    assert not torch.equal(task.network.c1.weight, kept["current_model_state"]["network.c1.weight"])


def test_filters_are_capped_after_every_step():
    cap = 0.05

    def capped(net: nn.Module, step: int) -> None:
        with torch.no_grad():
            for weight in (net.c1.weight, net.c3.weight):
                for kernel in weight:
                    rms = kernel.square().mean().sqrt()
                    if rms > cap:
                        kernel.mul_(cap / rms)

    task = trained(CapFilters(cap))
    assert_same(task.network, by_hand(capped), rtol=1e-5, atol=1e-7)
    roots = torch.cat([weight.flatten(1).square().mean(1).sqrt() for weight in filters_of(task.network)])
    assert roots.max() <= cap * (1 + 1e-6)
    assert (roots > 0.99 * cap).any()


def test_a_filter_of_zeros_stays_one():
    weight = torch.zeros(2, 1, 3, 3)
    weight[1] = 3.0
    cap_filters([weight], 0.1)
    assert (weight[0] == 0).all()
    assert weight[1].flatten().tolist() == pytest.approx([0.1] * 9)


def test_channels_last_changes_the_layout_and_no_number():
    task = trained(channels_last=True)
    assert task.network.c3.weight.is_contiguous(memory_format=torch.channels_last)
    assert_same(task.network, by_hand(), rtol=1e-4, atol=1e-5)


def test_dropout_is_a_function_of_seed_and_step():
    def dropping() -> nn.Module:
        net = network()
        set_dropout(net, 0.5)
        return net

    task = trained(CountedSeeds(7), net=dropping())
    assert_same(task.network, by_hand(net=dropping(), seed=7))
    other = trained(CountedSeeds(8), net=dropping())
    assert not torch.equal(task.network.output.weight, other.network.output.weight)


def test_a_clipped_gradient_is_torchs():
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=LR, momentum=0.9)
    for images, labels in batches():
        optimizer.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 0.1)
        optimizer.step()
    assert_same(trained(gradient_clip_val=0.1).network, net)
