"""Twenty-five uses of a plain Lightning Trainer: everything that its users know works with ImageClassifier."""

from __future__ import annotations

import csv
import math
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import (
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
    StochasticWeightAveraging,
)
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from pytorch_lightning.tuner import Tuner
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.data import DataLoader, TensorDataset

from repronet import ImageClassifier, ImageDataModule
from repronet.data.splits import ImageDataset, Split
from repronet.session.console import quiet_lightning
from repronet.training.schedules import Watching

STEPS = 11  # of an epoch: 88 images in batches of 8


@pytest.fixture(autouse=True)
def _quiet():
    quiet_lightning()


def images(count: int, seed: int) -> Split:
    """Bright and dark noise in three classes, so that something can be learned."""
    drawn = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    pixels = torch.rand(count, 1, 28, 28, generator=drawn) * 120 + labels[:, None, None, None] * 60
    return Split(pixels.to(torch.uint8), labels)


@pytest.fixture
def data() -> ImageDataModule:
    dataset = ImageDataset("noise", images(88, 0), images(30, 1), images(30, 2), ("dark", "grey", "bright"))
    return ImageDataModule(dataset, image_size=32, batch_size=8, eval_batch_size=10, batches_per_chunk=4)


def classifier(**options) -> ImageClassifier:
    torch.manual_seed(0)
    values = {"optimizer": {"name": "sgd", "lr": 0.02, "weight_decay": 0.0}, **options}
    from repronet import models

    return ImageClassifier(models.create("lenet5", num_classes=3, in_channels=1, layers="torch"), **values)


def trainer(tmp_path: Path, **options) -> pl.Trainer:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False, "accelerator": "cpu"}
    given = {"max_epochs": 2, "default_root_dir": tmp_path, "enable_checkpointing": False, "num_sanity_val_steps": 0}
    return pl.Trainer(**{**quiet, **given, **options})


def fitted(tmp_path: Path, data: pl.LightningDataModule, model: ImageClassifier | None = None, **options) -> pl.Trainer:
    made = trainer(tmp_path, **options)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
        made.fit(model or classifier(), datamodule=data)
    return made


def test_max_steps(tmp_path, data):
    assert fitted(tmp_path, data, max_steps=7, max_epochs=-1).global_step == 7


def test_fast_dev_run(tmp_path, data):
    assert fitted(tmp_path, data, fast_dev_run=True).global_step == 1


def test_limited_batches(tmp_path, data):
    assert fitted(tmp_path, data, limit_train_batches=5, limit_val_batches=2, max_epochs=1).global_step == 5


def test_overfit_batches(tmp_path, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning says that it turns shuffling off
        made = trainer(tmp_path, overfit_batches=2, max_epochs=30)
        made.fit(classifier(), datamodule=data)
    assert made.global_step == 60
    assert made.callback_metrics["train/loss"] < 0.5
    seen = [images.double().sum().item() for images, _ in made.train_dataloader]
    assert seen == [images.double().sum().item() for images, _ in made.train_dataloader]


def test_validation_within_an_epoch(tmp_path, data):
    counted = []

    class Count(pl.Callback):
        def on_validation_end(self, trainer, pl_module):
            counted.append(trainer.global_step)

    fitted(tmp_path, data, val_check_interval=5, max_epochs=1, callbacks=[Count()])
    assert counted == [5, 10]


def test_accumulated_gradients_are_those_of_the_larger_batch(tmp_path, data):
    part, whole = classifier(), classifier()
    fitted(tmp_path, data, part, accumulate_grad_batches=2, limit_train_batches=10, max_epochs=1)
    data.batch_size = 16
    made = fitted(tmp_path, data, whole, limit_train_batches=5, max_epochs=1)
    assert made.global_step == 5
    for one, other in zip(part.network.parameters(), whole.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_warm_up_by_error_counts_steps_of_accumulated_gradients(tmp_path, data):
    model = classifier(schedule={"name": "constant", "warmup_error": 1e-9})
    fitted(tmp_path, data, model, accumulate_grad_batches=4, max_epochs=2)  # 3 steps an epoch, the last of 3 batches
    schedule = model.lr_schedulers()
    assert isinstance(schedule, Watching)
    assert (len(schedule.recent), schedule.parts) == (6, [])


@pytest.mark.parametrize("every", [1, 2])
def test_a_plateau_counts_epochs(tmp_path, data, every):
    model = classifier(schedule={"name": "plateau", "patience": 2, "least": 1.0})  # never as much better, but once
    fitted(tmp_path, data, model, max_epochs=4, check_val_every_n_epoch=every)
    schedule = model.lr_schedulers()
    assert isinstance(schedule, Watching)
    assert (schedule.factor, schedule.since) == (pytest.approx(0.1), 3 if every == 1 else 4)


def test_clipped_gradients(tmp_path, data):
    norms = []

    class Norms(pl.Callback):
        def on_before_zero_grad(self, trainer, pl_module, optimizer):
            grads = [weight.grad for weight in pl_module.parameters() if weight.grad is not None]
            if grads:
                norms.append(torch.nn.utils.get_total_norm(grads).item())

    fitted(tmp_path, data, gradient_clip_val=0.01, max_epochs=1, callbacks=[Norms()])
    assert len(norms) >= STEPS - 1
    assert max(norms) <= 0.01 * 1.001


def test_precision(tmp_path, data):
    model = classifier()
    fitted(tmp_path, data, model, precision="bf16-mixed", max_epochs=1)
    assert all(weight.dtype == torch.float32 for weight in model.parameters())
    assert math.isfinite(model.train_metrics.compute()["loss"])


def test_profiler(tmp_path, data):
    made = fitted(tmp_path, data, profiler="simple", max_epochs=1)
    assert "run_training_batch" in made.profiler.summary()


def test_deterministic_and_anomaly_detection(tmp_path, data):
    fitted(tmp_path, data, detect_anomaly=True, max_epochs=1, limit_train_batches=2)


def test_tensorboard_logger(tmp_path, data):
    fitted(tmp_path, data, logger=TensorBoardLogger(tmp_path, name="", version="run"), log_every_n_steps=5)
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    assert {"train/loss", "train/error", "val/loss", "val/error", "val/accuracy"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("train/loss")] == [4, 9, 10, 14, 19, 21]
    assert [event.step for event in events.Scalars("val/error")] == [10, 21]


def logged(tmp_path: Path) -> list[dict[str, str]]:
    with (tmp_path / "run" / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_csv_logger(tmp_path, data):
    fitted(tmp_path, data, logger=CSVLogger(tmp_path, name="", version="run"), log_every_n_steps=5, max_epochs=1)
    rows = logged(tmp_path)
    assert [row["step"] for row in rows if row["train/loss"]] == ["4", "9", "10"]
    assert [row["step"] for row in rows if row["val/error"]] == ["10"]


def test_callbacks_and_the_progress_bar_find_the_latest_point_within_an_epoch(tmp_path, data):
    seen = []

    class Look(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
            found = trainer.callback_metrics.get("train/loss"), trainer.callback_metrics.get("train/error")
            seen.append((*found, trainer.progress_bar_metrics.get("train/loss")))

    fitted(tmp_path, data, max_epochs=1, log_every_n_steps=4, callbacks=[Look()], logger=CSVLogger(tmp_path))
    written = csv.DictReader(next(tmp_path.rglob("metrics.csv")).read_text().splitlines())
    points = [(float(row["train/loss"]), float(row["train/error"])) for row in written if row["train/loss"]]
    assert len(points) == 3
    assert seen[:3] == [(None, None, None)] * 3
    for step, (loss, error) in ((3, points[0]), (6, points[0]), (7, points[1]), (9, points[1])):
        assert [float(value) for value in seen[step]] == pytest.approx([loss, error, loss])


def test_learning_rate_monitor(tmp_path, data):
    model = classifier(schedule={"name": "cosine"})
    logger = CSVLogger(tmp_path, name="", version="run")
    fitted(tmp_path, data, model, logger=logger, log_every_n_steps=1, callbacks=[LearningRateMonitor("step")])
    rates = [float(row["train/lr"]) for row in logged(tmp_path) if row["train/lr"]]
    assert rates == pytest.approx([0.01 * (1 + math.cos(math.pi * step / 22)) for step in range(22)])


def test_stochastic_weight_averaging(tmp_path, data):
    model = classifier()
    averaging = StochasticWeightAveraging(swa_lrs=0.01, swa_epoch_start=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the schedule that it replaces
        fitted(tmp_path, data, model, max_epochs=3, callbacks=[averaging])
    assert int(averaging.n_averaged) >= 1


def test_rich_progress_bar(tmp_path, data, capsys):
    fitted(tmp_path, data, enable_progress_bar=True, callbacks=[RichProgressBar()], max_epochs=1)
    assert "train/loss" in capsys.readouterr().out


@pytest.mark.parametrize("monitor", ["train/loss", "val/error"])
def test_early_stopping(tmp_path, data, monitor):
    model = classifier(optimizer={"name": "sgd", "lr": 1e-12})
    made = fitted(tmp_path, data, model, max_epochs=20, callbacks=[EarlyStopping(monitor, patience=2, min_delta=0.01)])
    assert made.current_epoch == 3


def test_model_checkpoint_keeps_the_best(tmp_path, data):
    keeper = ModelCheckpoint(tmp_path / "best", monitor="val/loss", save_top_k=2, filename="{epoch}")
    fitted(tmp_path, data, enable_checkpointing=True, callbacks=[keeper], max_epochs=4)
    assert len(list((tmp_path / "best").glob("*.ckpt"))) == 2
    assert keeper.best_model_score is not None


def test_model_checkpoint_by_steps(tmp_path, data):
    keeper = ModelCheckpoint(
        tmp_path / "steps", monitor="train/loss", every_n_train_steps=4, save_top_k=-1, filename="{step}"
    )
    fitted(tmp_path, data, enable_checkpointing=True, callbacks=[keeper], max_epochs=1, log_every_n_steps=2)
    assert {path.name for path in (tmp_path / "steps").glob("*.ckpt")} == {"step=4.ckpt", "step=8.ckpt"}


@pytest.mark.parametrize("step", [4, 15])
def test_resume_within_an_epoch_is_bit_equal(tmp_path, data, step):
    values = {"schedule": {"name": "one_cycle"}}
    keeper = ModelCheckpoint(tmp_path / "steps", every_n_train_steps=step, save_top_k=-1, filename="{step}")
    whole = classifier(**values)
    fitted(tmp_path, data, whole, enable_checkpointing=True, callbacks=[keeper])
    resumed = classifier(**values)
    torch.manual_seed(99)
    keeper = ModelCheckpoint(tmp_path / "steps", every_n_train_steps=step, save_top_k=-1, filename="{step}")
    made = trainer(tmp_path, enable_checkpointing=True, callbacks=[keeper])
    warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
    made.fit(resumed, datamodule=data, ckpt_path=tmp_path / "steps" / f"step={step}.ckpt", weights_only=True)
    assert made.global_step == 2 * STEPS
    for one, other in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert whole.train_metrics.compute() == resumed.train_metrics.compute()


def test_load_from_checkpoint_with_weights_only(tmp_path, data):
    model = classifier()
    made = fitted(tmp_path, data, model, max_epochs=1)
    made.save_checkpoint(tmp_path / "net.ckpt")
    loaded = ImageClassifier.load_from_checkpoint(tmp_path / "net.ckpt", weights_only=True)
    batch = torch.rand(4, 1, 32, 32)
    assert torch.equal(model.eval()(batch), loaded.eval()(batch))
    assert loaded.hparams["optimizer"]["lr"] == 0.02


def test_load_from_checkpoint_without_the_functions_it_was_trained_with(tmp_path, data):
    model = classifier(optimizer=torch.optim.SGD, loss=torch.nn.functional.cross_entropy)
    made = fitted(tmp_path, data, model, max_epochs=1)
    made.save_checkpoint(tmp_path / "net.ckpt")
    loaded = ImageClassifier.load_from_checkpoint(tmp_path / "net.ckpt", weights_only=True)
    batch = torch.rand(4, 1, 32, 32)
    assert torch.equal(model.eval()(batch), loaded.eval()(batch))


def test_every_way_to_give_a_network_knows_its_classes():
    from repronet import models

    with torch.device("meta"):
        given = models.create("resnet18")
    assert ImageClassifier(given).evaluation.confusion.num_classes == 1000
    assert ImageClassifier({"name": "resnet20"}, num_classes=7).network.fc.out_features == 7
    assert ImageClassifier("resnet20", num_classes=7).evaluation.confusion.num_classes == 7


def test_a_second_fit_trains_stages_that_the_first_left_frozen(tmp_path, data):
    model = classifier(finetune={"name": "head_then_all", "head_epochs": 1, "factor": 1.0})
    fitted(tmp_path, data, model, max_epochs=1)
    made = fitted(tmp_path, data, model, max_epochs=2)
    weights = [weight for group in made.optimizers[0].param_groups for weight in group["params"]]
    assert len(weights) == len(list(model.network.parameters()))


def test_validate_and_test_return_the_figures(tmp_path, data):
    made, model = trainer(tmp_path), classifier()
    (validated,) = made.validate(model, datamodule=data, verbose=False)
    (tested,) = made.test(model, datamodule=data, verbose=False)
    assert {"val/loss", "val/error", "val/accuracy"} <= validated.keys()
    assert tested["test/error"] + tested["test/accuracy"] == pytest.approx(1)


def test_predict(tmp_path, data):
    model = classifier()
    batches = trainer(tmp_path).predict(model, datamodule=data)
    probabilities = torch.cat(batches)
    assert probabilities.shape == (30, 3)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(30))


def test_plain_loaders(tmp_path):
    """Loaders of torch, without a data module, in training, validation and prediction."""
    x, y = torch.rand(40, 1, 32, 32), torch.arange(40) % 3
    loader, model = DataLoader(TensorDataset(x, y), batch_size=8), classifier(schedule="cosine")
    made = trainer(tmp_path, max_epochs=1, log_every_n_steps=2)
    made.fit(model, loader, loader)
    assert made.global_step == 5
    assert len(made.predict(model, DataLoader(x, batch_size=8))) == 5


def test_learning_rate_finder(tmp_path, data):
    model = classifier()
    found = Tuner(trainer(tmp_path)).lr_find(model, datamodule=data, min_lr=1e-4, max_lr=1, num_training=25)
    assert found is not None
    assert len(found.results["loss"]) >= 20
    assert model.lr == found.suggestion()


def test_batch_size_finder(tmp_path, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Tuner(trainer(tmp_path)).scale_batch_size(
            classifier(), datamodule=data, steps_per_trial=1, init_val=2, max_trials=4
        )
    assert data.batch_size == 16  # 2, 4, 8 and 16 fit


@pytest.mark.slow
def test_compiled(tmp_path, data):
    model = torch.compile(classifier())
    made = trainer(tmp_path, max_epochs=1, limit_train_batches=2)
    made.fit(model, datamodule=data)
    assert made.global_step == 2


@pytest.mark.slow
def test_two_processes_train_on_different_images(tmp_path):
    """Each image once an epoch, whichever process takes it."""
    script = textwrap.dedent(
        f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        import torch, pytorch_lightning as pl
        from test_plain_trainer import classifier, images, trainer
        from repronet import ImageDataModule
        from repronet.data.splits import ImageDataset

        class Note(pl.Callback):
            def on_train_start(self, trainer, pl_module):
                self.seen = []
            def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
                self.seen += batch[0].flatten(1).double().sum(1).tolist()
            def on_train_end(self, trainer, pl_module):
                Path({str(tmp_path)!r}, f"seen{{trainer.global_rank}}").write_text(repr(self.seen))

        if __name__ == "__main__":
            dataset = ImageDataset("noise", images(88, 0), images(30, 1), None, ("a", "b", "c"))
            data = ImageDataModule(dataset, image_size=32, batch_size=8)
            made = trainer(Path({str(tmp_path)!r}), max_epochs=1, devices=2, strategy="ddp", callbacks=[Note()])
            made.fit(classifier(), datamodule=data)
            assert made.global_step == 11
        """
    )
    (tmp_path / "two.py").write_text(script)
    process = subprocess.Popen([sys.executable, tmp_path / "two.py"], stderr=subprocess.PIPE, text=True)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said[-2000:]
    one, two = (eval((tmp_path / f"seen{rank}").read_text()) for rank in (0, 1))
    assert len(one) == len(two) == 44
    assert len(set(one) | set(two)) == 88
