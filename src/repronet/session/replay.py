"""Repeat the first steps of a recorded run and compare them bit by bit."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from repronet.config.build import assemble
from repronet.config.compose import checked
from repronet.reproduction.record import Record
from repronet.runs.environment import environment
from repronet.runs.processes import Place
from repronet.runs.stopping import StopSwitch
from repronet.session.console import interruptible, quiet_lightning
from repronet.session.run_summary import data_hashes
from repronet.session.trainer import Session, make_session
from repronet.training.callbacks.fingerprint import STEPS, layers_of, parting

COMPARED = ("train_loss", "train_error", "val_loss", "val_error")  # without the learning rate, which is no result


@dataclass(frozen=True)
class Replay:
    """The outcome of a replay."""

    steps: int  # number of steps compared
    layers: int  # number of layers of the network
    parted: str  # the step and layer where the two first differ, in words; "" if all recorded values agree
    reasons: tuple[str, ...]  # differences between here and where the record was made, the most likely cause first
    fingerprint: dict[str, Any]  # the fingerprint of the steps here


class _EnoughSteps(Exception):
    """Ends the training after the steps to compare."""


class _Stop(pl.Callback):
    """Stops the training after ``steps`` steps, or if None, after the first epoch."""

    def __init__(self, session: Session, steps: int | None) -> None:
        self.session, self.steps = session, steps

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs, batch, batch_idx) -> None:
        if self.steps is not None and self.session.fingerprint.steps >= self.steps:
            raise _EnoughSteps

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.session.history.rows:
            raise _EnoughSteps


def config_of(record: Record, data_root: str | None, threads: int | None, run_dir: Path) -> DictConfig:
    """The recorded config, which has no paths, with the paths of this machine; without loggers."""
    plain = {**record["config"], "seed": record["seed"], "run_dir": str(run_dir), "logger": {}}
    plain["data"] = {**plain["data"], "root": data_root}
    plain["trainer"] = {
        **plain["trainer"],
        "threads": threads or record["hardware"]["torch_threads"],
        "board": "none",
        "enable_progress_bar": True,
    }
    return checked("train", OmegaConf.create(plain))


def replay(record: Record, data_root: str | None, threads: int | None, console: Console) -> Replay:
    """Repeat the first :data:`~repronet.training.callbacks.fingerprint.STEPS` steps and compare them; if the record has
    no fingerprint, its first epoch.

    Raises:
        UserError: if the data cannot be had, or this version does not accept the config.
    """
    kept = record.get("fingerprint")
    with tempfile.TemporaryDirectory() as folder:
        root = None if data_root is None else str(Path(data_root).expanduser().resolve())
        config = config_of(record, root, threads, Path(folder))
        parts = assemble(config)
        quiet_lightning()
        session = make_session(config, parts, Path(folder), console, StopSwitch(), Place())
        session.trainer.callbacks.append(_Stop(session, STEPS if kept else None))  # type: ignore[attr-defined]
        with closing(parts.data), interruptible(), suppress(_EnoughSteps):
            session.trainer.fit(parts.task, datamodule=parts.data)
        hashes, layers = data_hashes(parts.data), list(layers_of(parts.task.network))
    found = session.fingerprint.content
    parted = _parted(kept, found, layers) if kept else _parted_epoch(record["history"][0], session.history.rows[0])
    steps = session.fingerprint.steps if kept else record["history"][0]["step"]
    reasons = tuple(_reasons(record, {**environment(), "data_sha256": hashes})) if parted else ()
    return Replay(steps, len(layers), parted, reasons, found)


def _parted(kept: dict[str, Any], found: dict[str, Any], layers: Sequence[str]) -> str:
    at = parting(kept, found, layers)
    if at is None:
        return ""
    if at.losses is None:
        return f"before the first step, at {at.where}"
    where = f"at {at.where}" if at.where else "in a layer that was not kept of this step"
    there, here = at.losses
    losses = "the loss is still the same" if there == here else f"loss {there:.9g} recorded, {here:.9g} here"
    return f"step {at.step}, {where}; {losses}"


def _parted_epoch(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    key = next((key for key in COMPARED if there.get(key) != here.get(key)), None)
    return f"the first epoch: {key} {there.get(key)!r} recorded, {here.get(key)!r} here" if key else ""


def _reasons(record: Record, here: Mapping[str, Any]) -> Iterator[str]:
    """The differences between the record and here, the most likely cause of different bits first."""
    if record.get("data_sha256", {}).get("train") not in (None, here["data_sha256"]["train"]):
        yield "other training images"
    hardware, ours = record["hardware"], here["hardware"]
    if hardware["torch_threads"] != ours["torch_threads"]:
        count = f"{hardware['torch_threads']} recorded, {ours['torch_threads']} here"
        yield f"another number of threads ({count}): sums are added in another order"
    if hardware["gpu"] != ours["gpu"]:
        yield f"another device ({hardware['gpu'] or 'CPU'} recorded, {ours['gpu'] or 'CPU'} here)"
    if hardware["processor"] != ours["processor"]:
        there = f"{hardware['processor']} recorded, {ours['processor']} here"
        yield f"another processor ({there}): kernels are chosen by its instructions"
    for name, version in record["versions"].items():
        if here["versions"].get(name) != version:
            yield f"another {name} ({version} recorded, {here['versions'].get(name)} here)"
    if here["git_commit"] != record["commit"]:
        yield f"another commit ({record['commit'][:9]} recorded, {(here['git_commit'] or 'unknown')[:9]} here)"
    if here["git_commit"] == record["commit"] and hardware == ours:
        yield "nothing that a record holds: perhaps a kernel chosen by timing, or different memory alignment"
