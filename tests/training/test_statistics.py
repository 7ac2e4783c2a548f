"""Batch norm in the last epochs."""

from __future__ import annotations

from types import SimpleNamespace

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from repronet import ImageClassifier
from repronet.session.console import quiet_lightning
from repronet.training.callbacks.statistics import FrozenStatistics


class Statistics(pl.Callback):
    """The running mean and the gain at the end of every epoch."""

    def __init__(self):
        self.means, self.gains = [], []

    def on_train_epoch_end(self, trainer, pl_module):
        norm = pl_module.network[1]
        self.means.append(norm.running_mean.clone())
        self.gains.append(norm.weight.detach().clone())


def test_statistics_stay_in_the_last_epochs_alone_while_gains_learn():
    quiet_lightning()
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(12), nn.Linear(12, 3))
    data = DataLoader(TensorDataset(torch.randn(16, 3, 2, 2) + 1, torch.arange(16) % 3), batch_size=8)
    seen = Statistics()
    trainer = pl.Trainer(
        max_epochs=4,
        callbacks=[FrozenStatistics(2), seen],
        **dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False),
    )
    trainer.fit(ImageClassifier(network, 3, optimizer={"name": "sgd", "lr": 0.1, "weight_decay": 0.0}), data, data)
    first, second, third, fourth = seen.means
    assert not torch.equal(first, second)  # they move while they may, past the validation that ends each epoch
    assert torch.equal(second, third)
    assert torch.equal(third, fourth)
    assert not torch.equal(seen.gains[1], seen.gains[3])


def test_a_run_that_is_resumed_within_an_epoch_freezes_before_its_first_step():
    for epoch, trains in ((1, True), (2, False)):
        network = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1)).train()
        FrozenStatistics(2).on_train_start(SimpleNamespace(max_epochs=4, current_epoch=epoch), network)
        assert [part.training for part in network] == [trains, True]
