"""Half precision with torch's gradient scaler, which runs on a CPU too: an overflow skips a step and stops nothing."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.precision import MixedPrecision
from torch import nn
from torch.utils.data import DataLoader

from repronet import ImageClassifier, models
from repronet.errors import UserError
from repronet.session.console import quiet_lightning
from repronet.training.callbacks.nonfinite import StopAtNonFinite

STEPS = 8


class Changes(pl.Callback):
    """Whether each step changed the weights."""

    def __init__(self) -> None:
        self.found: list[bool] = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self.before = pl_module.network.c1.weight.detach().clone()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.found.append(not torch.equal(self.before, pl_module.network.c1.weight))


def train(network: nn.Module, scale: float) -> list[bool]:
    quiet_lightning()
    drawn = torch.Generator().manual_seed(0)
    images, labels = torch.randn(4, 1, 32, 32, generator=drawn), torch.randint(10, (4,), generator=drawn)
    changes, loader = Changes(), DataLoader([(images, labels)], batch_size=None)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale, backoff_factor=2.0**-8)  # type: ignore[attr-defined]
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    pl.Trainer(
        max_epochs=1,
        enable_checkpointing=False,
        plugins=[MixedPrecision("16-mixed", "cpu", scaler)],
        callbacks=[StopAtNonFinite(), changes],
        **quiet,
    ).fit(ImageClassifier(network), DataLoader([(images, labels)] * STEPS, batch_size=None), loader)
    return changes.found


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step:UserWarning")
def test_an_overflow_skips_its_step_and_the_training_goes_on():
    torch.manual_seed(0)
    changed = train(models.create("lenet5"), scale=2.0**40)
    assert changed[0] is False
    assert changed[-1] is True
    assert changed == sorted(changed)  # skipped until the scale has fallen, and never after


def test_a_loss_that_is_no_number_stops_under_a_scaler_too():
    network = models.create("lenet5")
    with torch.no_grad():
        network.c1.weight.fill_(float("inf"))
    with pytest.raises(UserError, match=r"the loss is no longer finite at step 1: c1\.weight is not finite"):
        train(network, scale=2.0**8)
