"""``repronet gan train``: train a GAN from a checked config into a run folder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from torch import Tensor

from repronet import runs
from repronet.config.build import plain, require_accelerator, written_config
from repronet.config.build_data import dataset
from repronet.config.compose import checked
from repronet.config.fields import default_of, keys_of
from repronet.config.schema_trainer import Trainer
from repronet.data.module import Enlarged, ImageDataModule, fitted_splits
from repronet.data.preprocessing import PixelMap
from repronet.data.splits import Split
from repronet.errors import UserError
from repronet.gan.callbacks import GANHistory, Sheets, sheet
from repronet.gan.module import GAN
from repronet.gan.score import Judge
from repronet.runs.environment import environment
from repronet.runs.stopping import StopSwitch
from repronet.session.console import log_to_file, quiet_lightning, remembered
from repronet.session.faults import explained
from repronet.session.run import newest_whole, take_threads, with_absolute_root, write_config
from repronet.session.run_summary import data_hashes
from repronet.session.trainer import Resumed, make_loggers, require_loggers
from repronet.training import classifier
from repronet.training.callbacks.checkpoints import BestAndLast
from repronet.training.callbacks.figure_files import save_figure
from repronet.training.callbacks.steps import CountedSeeds
from repronet.training.callbacks.tensorboard import tolerant
from repronet.training.checkpoints import AtomicCheckpointIO, read_checkpoint

log = logging.getLogger("repronet.train")
USED = ("accelerator", "limit_train_batches", "log_every_n_steps", "max_epochs")  # keys of `trainer` for the Trainer
ALSO = ("threads", "save_minutes", "enable_progress_bar")
PLAYERS = ("generator", "discriminator")
MNIST, ITS_JUDGE = ("mnist", "mnist5k"), "repronet/lenet5-mnist"
AUTOENCODER_EPOCHS = 5


def train(config: DictConfig, console: Console) -> dict[str, Any]:
    """Train the GAN of ``config`` in a new run folder; returns the content of ``result.json`` plus ``run_dir``.

    Raises:
        UserError, Fault, KeyboardInterrupt: as :func:`repronet.session.run.train`.
    """
    switch = StopSwitch()
    with switch.listening():
        with remembered() as said:
            require_loggers(config)
            config = _settled(with_absolute_root(config))
            parts = _assemble(config)
        folder = runs.folder_for(config.run_dir, f"{config.kind}-{config.data.name}", config.seed)
        write_config(config, folder)
        return _run(config, *parts, folder, console, switch, said)


def resume(folder: Path, console: Console) -> dict[str, Any]:
    """Resume the run in ``folder`` from its latest undamaged checkpoint, or from the start if it has none.

    Raises:
        UserError: if the folder holds no run of a GAN, the run has ended, or another process is running it.
        Fault, KeyboardInterrupt: as :func:`train`.
    """
    if (folder / runs.RESULT).exists():
        raise UserError(f"resume={folder}: the run has ended; its results are in {runs.RESULT}")
    switch = StopSwitch()
    with switch.listening():
        with remembered() as said:
            resumed = newest_whole(folder)
            if resumed is None:
                config = written_config(runs.require_run(folder, runs.CONFIG, "resume"), "gan_train")
            elif "kind" not in resumed.config:
                raise UserError(f"resume={folder}: the run of a classifier; repronet train resume={folder}")
            else:
                config = checked("gan_train", OmegaConf.create(resumed.config))
                take_threads(resumed.threads, config)
            parts = _assemble(config)
        return _run(config, *parts, folder, console, switch, said, resumed)


def _settled(config: DictConfig) -> DictConfig:
    """Fill in the config's values that depend on its other values, after refusing those that have no effect here."""
    usual = {item.name: default_of(item) for item in keys_of(Trainer)}
    for key, value in plain(config.trainer).items():
        if key not in (*USED, *ALSO) and value != usual[key]:
            raise UserError(f"trainer.{key}={value}: has no effect on a GAN; leave it out")
    if config.data.balance not in ("none", "sampler"):
        raise UserError(f"data.balance={config.data.balance}: is for classifiers; a GAN takes sampler, or none")
    if config.data.workers is not None:
        raise UserError(f"data.workers={config.data.workers}: has no effect on a GAN, whose images are in memory")
    found: dict[str, Any] = {}
    if config.kind == "bagan":
        found["autoencoder_epochs"] = config.autoencoder_epochs or AUTOENCODER_EPOCHS
        if found["autoencoder_epochs"] >= config.trainer.max_epochs:
            spent = f"the autoencoder takes {found['autoencoder_epochs']} of them"
            raise UserError(f"trainer.max_epochs={config.trainer.max_epochs}: {spent}; give more")
    if config.judge is None and config.data.name in MNIST:
        found["judge"] = ITS_JUDGE
    return OmegaConf.merge(config, found)  # type: ignore[return-value]


def _assemble(config: DictConfig) -> tuple[GAN, ImageDataModule, Judge | None]:
    """Build the GAN, with weights drawn from its seed, its data and its judge."""
    require_accelerator(config.trainer.accelerator)
    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)
    images = fitted_splits(dataset(config, config.size), config.size, config.data.get("fit"))
    if not isinstance(images.train, Split) or not isinstance(images.val, Split) or images.multilabel:
        raise UserError(f"data={config.data.name}: a GAN needs images of one size with one label each, in memory")
    pl.seed_everything(config.seed, workers=True, verbose=False)
    channels = images.train.channels
    gan = GAN(
        config.kind,
        len(images.classes),
        channels,
        config.size,
        latent=config.latent,
        width=config.width,
        norm=config.norm,
        dropout=config.dropout,
        layers=config.layers,
        lr=config.lr,
        beta1=config.beta1,
        autoencoder_epochs=config.autoencoder_epochs or 0,
    )
    judge = None
    if config.judge not in (None, "none"):
        judge = Judge(classifier.of_source(config.judge), images.val.images, images.classes, config.seed)
    data = ImageDataModule(
        images,
        pixel_map=Enlarged(PixelMap.scale(-1.0, 1.0, channels), config.size),
        image_size=config.size,
        pad=config.data.get("fit") == "pad",
        batch_size=config.data.batch_size,
        eval_batch_size=config.data.eval_batch_size,
        batches_per_chunk=config.data.batches_per_chunk,
        balanced=config.data.balance == "sampler",
        seed=config.seed,
    )
    return gan, data, judge


def _run(
    config: DictConfig,
    gan: GAN,
    data: ImageDataModule,
    judge: Judge | None,
    folder: Path,
    console: Console,
    switch: StopSwitch,
    said: Sequence[logging.LogRecord],
    resumed: Resumed | None = None,
) -> dict[str, Any]:
    with runs.locked(folder), log_to_file(folder / runs.LOG, said):
        runs.sweep(folder)
        quiet_lightning()
        sizes = {name: sum(map(Tensor.numel, getattr(gan, name).parameters())) for name in PLAYERS}
        of_each = ", ".join(f"{name} {count:,}" for name, count in sizes.items())
        log.info(f"{config.kind} ({config.layers} layers), parameters: {of_each}")
        log.info(f"{config.data.name}: {len(data.train):,} training images as {gan.size}×{gan.size} pixels")
        log.info(f"run folder {folder}")
        history = GANHistory(folder, judge)
        with explained(config, folder, switch), closing(data), switch.deferring():
            trainer = _trainer(config, folder, console, history, switch, resumed)
            if resumed is not None:
                log.info(str(resumed))
            trainer.fit(gan, datamodule=data, ckpt_path=resumed and resumed.path, weights_only=True)
        gan.load_state_dict(read_checkpoint(folder / runs.BEST)["state_dict"])
        gan.to("cpu")
        save_figure(folder, "generated", lambda: sheet(gan, config.seed, data.classes, config.kind))
        best, last = history.best, history.rows[-1]
        result = {
            "name": f"{config.kind}-{config.data.name}",
            "kind": config.kind,
            "data": config.data.name,
            "layers": config.layers,
            "seed": config.seed,
            "device": trainer.strategy.root_device.type,
            "frechet": best["frechet"],
            "recognized": best["recognized"],
            "recognized_by_class": judge.score(gan).by_class if judge else {},
            "best_epoch": best["epoch"],
            "last_frechet": last["frechet"],
            "epochs": last["epoch"],
            "steps": last["step"],
            "parameters": sizes,
            "data_sha256": data_hashes(data),
            "train_seconds": last["seconds"],
            "finished": datetime.now().astimezone().isoformat(timespec="seconds"),
            **environment(),
            "git_commits": history.commits,
        }
        runs.write_result(folder, result)
        log.info(f"\nbest after epoch {best['epoch']}; images: {folder / runs.PICTURES / 'generated.png'}")
        if gan.conditional:
            log.info(f"train with them:  repronet train augmentation.generator={folder}")
    if switch.received is not None:  # this run has ended, but the runs that would follow must stop
        raise switch.interruption("the run had just ended")
    return {**result, "run_dir": str(folder)}


def _trainer(
    config: DictConfig, folder: Path, console: Console, history: GANHistory, switch: StopSwitch, resumed: Resumed | None
) -> pl.Trainer:
    bar = console.is_terminal and not (console.is_dumb_terminal or console.quiet) and config.trainer.enable_progress_bar
    loggers = [tolerant(logger) for logger in make_loggers(config, folder, resumed)]
    return pl.Trainer(
        **{key: config.trainer[key] for key in USED},
        devices=1,
        limit_val_batches=0,  # the judge validates
        enable_progress_bar=bar,
        enable_model_summary=False,
        default_root_dir=folder,
        logger=loggers or False,
        plugins=[AtomicCheckpointIO()],
        callbacks=[
            CountedSeeds(config.seed),
            history,
            Sheets(config.seed),
            BestAndLast(folder, plain(config), history, switch, config.trainer.save_minutes),
        ],
    )
