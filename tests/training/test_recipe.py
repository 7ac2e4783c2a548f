"""What a recipe does to weights and gradients: each against a loop written out."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn import functional as F

from repronet import models
from repronet.data.randomness import counter_seed
from repronet.models.dropout import set_dropout
from repronet.session.console import quiet_lightning
from repronet.training.losses import LOSSES
from repronet.training.module import ImageClassifier
from repronet.training.optimizers import OPTIMIZERS
from repronet.training.recipe import Averaging, Recipe, cap_filters, filters_of
from repronet.training.schedules import by_share, constant

LR = 0.05


class Data(pl.LightningDataModule):
    """Six batches in two chunks, the last one smaller."""

    def __init__(self):
        super().__init__()
        drawn = torch.Generator().manual_seed(0)
        sizes = (8, 8, 8, 8, 8, 5)
        self.batches = [
            (torch.randn(n, 1, 32, 32, generator=drawn), torch.randint(10, (n,), generator=drawn)) for n in sizes
        ]
        self.loader = Loader([self.batches[:4], self.batches[4:]])

    def train_dataloader(self):
        return self.loader

    def val_dataloader(self):
        return Loader(self.batches[:1])

    def leave_out(self, batches: int) -> None:
        assert batches == 0


class Loader(list):
    steps = 6


def network() -> nn.Module:
    torch.manual_seed(3)
    return models.create("lenet5")


def trained(recipe: Recipe, net: nn.Module | None = None, epochs: int = 1, **trainer) -> ImageClassifier:
    sgd = OPTIMIZERS["sgd"](lr=LR, momentum=0.9, weight_decay=0.0, nesterov=False)
    task = ImageClassifier(net or network(), 10, LOSSES["cross_entropy"], sgd, by_share(constant()), recipe)
    quiet_lightning()
    pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **trainer,
    ).fit(task, datamodule=Data())
    return task


def by_hand(after_step=lambda net, step: None, net: nn.Module | None = None, seed: int | None = None) -> nn.Module:
    """The same training, written out."""
    net = net or network()
    optimizer = torch.optim.SGD(net.parameters(), lr=LR, momentum=0.9)
    for step, (images, labels) in enumerate(Data().batches):
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


def test_without_a_recipe_it_is_the_plain_loop():
    assert_same(trained(Recipe()).network, by_hand())


@pytest.mark.parametrize("parts", [2, 3, 8, 100])
def test_parts_add_up_to_the_whole_batch(parts):
    # The sums are taken in another order; the last batch of five is cut unevenly.
    assert_same(trained(Recipe(parts=parts)).network, by_hand(), rtol=1e-4, atol=1e-5)


def test_parts_count_as_one_step_with_one_loss():
    whole, cut = trained(Recipe()), trained(Recipe(parts=4))
    assert cut.trainer.global_step == whole.trainer.global_step == 6


def test_the_exponential_mean_is_the_formula_and_is_what_is_judged():
    seen: list[dict[str, torch.Tensor]] = []
    by_hand(lambda net, step: seen.append(copy.deepcopy(net.state_dict())))
    mean = seen[0]
    for weights in seen[1:]:
        mean = {name: 0.9 * mean[name] + 0.1 * weights[name] for name in mean}
    task = trained(Recipe(averaging=Averaging(decay=0.9)))
    assert task.averaged is not None
    assert task.judged is task.averaged.module
    for name, weight in task.judged.state_dict().items():
        torch.testing.assert_close(weight, mean[name], rtol=1e-5, atol=1e-6)
    assert_same(task.network, by_hand())  # the training itself knows nothing of it


def test_the_plain_mean_begins_where_it_is_told_to():
    seen: list[dict[str, torch.Tensor]] = []
    by_hand(lambda net, step: seen.append(copy.deepcopy(net.state_dict())))
    task = trained(Recipe(averaging=Averaging(decay=None, start=0.5)))
    assert task.averaged is not None
    assert int(task.averaged.n_averaged) == 3
    for name, weight in task.judged.state_dict().items():
        torch.testing.assert_close(weight, torch.stack([s[name] for s in seen[3:]]).mean(0), rtol=1e-5, atol=1e-6)


def test_before_the_first_mean_the_network_itself_is_judged():
    sgd = OPTIMIZERS["sgd"](lr=LR, momentum=0.9, weight_decay=0.0, nesterov=False)
    averaging = Recipe(averaging=Averaging(None, 0.5))
    task = ImageClassifier(network(), 10, LOSSES["cross_entropy"], sgd, by_share(constant()), averaging)
    assert task.judged is task.network


def test_filters_are_capped_after_every_step():
    cap = 0.05

    def capped(net: nn.Module, step: int) -> None:
        with torch.no_grad():
            for weight in (net.c1.weight, net.c3.weight):
                for kernel in weight:
                    rms = kernel.square().mean().sqrt()
                    if rms > cap:
                        kernel.mul_(cap / rms)

    task = trained(Recipe(filter_rms=cap))
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
    task = trained(Recipe(channels_last=True))
    assert task.network.c3.weight.is_contiguous(memory_format=torch.channels_last)
    assert_same(task.network, by_hand(), rtol=1e-4, atol=1e-5)


def test_dropout_is_a_function_of_seed_and_step():
    def dropping() -> nn.Module:
        net = network()
        set_dropout(net, 0.5)
        return net

    task = trained(Recipe(seed=7), dropping())
    assert_same(task.network, by_hand(net=dropping(), seed=7))
    other = trained(Recipe(seed=8), dropping())
    assert not torch.equal(task.network.output.weight, other.network.output.weight)


def test_a_clipped_gradient_is_torchs():
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=LR, momentum=0.9)
    for images, labels in Data().batches:
        optimizer.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 0.1)
        optimizer.step()
    assert_same(trained(Recipe(clip_norm=0.1)).network, net)


def test_a_scaled_gradient_is_unscaled_before_it_is_cut():
    """What 16-mixed does on a GPU, with a scaler that only notes its calls."""
    calls = []
    task = ImageClassifier(network(), 10, LOSSES["cross_entropy"], None, None, Recipe(clip_norm=0.1))  # type: ignore
    task._scaler = SimpleNamespace(unscale_=calls.append)
    optimizer = torch.optim.SGD(task.network.parameters(), lr=LR)
    images, labels = Data().batches[0]
    loss = F.cross_entropy(task.network(images), labels)
    loss.backward()
    assert task._checked_gradients(optimizer, loss.detach()) == 0
    assert calls == [optimizer]
    norm = nn.utils.get_total_norm([weight.grad for weight in task.network.parameters()])
    assert norm.item() == pytest.approx(0.1, rel=1e-3)
