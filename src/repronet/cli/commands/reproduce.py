"""``repronet reproduce``: run a paper's experiment, resume it after interruptions, and record it in ``results/``."""

from __future__ import annotations

import json
import logging
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from repronet import runs
from repronet.cli.commands.eval import run as evaluate
from repronet.cli.commands.sweep import listed
from repronet.cli.failures import say
from repronet.config.build import recorded_config, written_config
from repronet.config.compose import compose
from repronet.config.fields import flat
from repronet.config.groups import choices, own_folder
from repronet.errors import UserError, nearest
from repronet.figures.charts import read_history
from repronet.papers import NETWORKS, datasets
from repronet.papers.experiments import EXPERIMENTS
from repronet.reproduction import record as records
from repronet.reproduction.page import published, shown_error, shown_ours
from repronet.reproduction.record import Record
from repronet.runs import environment
from repronet.session.run import resume, train

log = logging.getLogger("repronet.train")
RUNS = Path("runs") / "reproduced"
# The test protocols of papers and their names here; for any other, the center crop.
PROTOCOLS = {
    **{"10-crop": "ten_crop", "144-crop": "crops_144"},
    **{"dense": "dense", "multi-scale dense": "dense_multi_scale"},
}
FROM_RESULT = (
    *("epochs", "steps", "parameters", "best_epoch", "best_val_error", "last_val_error", "last_train_error"),
    *("test_error", "test_images", "val_images", "train_seconds", "finished", "versions", "hardware"),
)


def run(config: DictConfig, console: Console, words: Sequence[str]) -> bool:
    """Run each experiment among ``words`` with every seed and record the results; returns whether all succeeded."""
    names = list(dict.fromkeys(word for word in words if "=" not in word))
    known = choices("experiment")
    if not names:
        raise UserError("reproduce: needs an experiment; `repronet list experiment` names all, resnet20_cifar10 is one")
    for name in names:
        if name not in known:
            raise UserError(f"reproduce {name}: no such experiment{nearest(name, known)} (`repronet list experiment`)")
    seeds = listed(config.seeds)
    budgets = {name: _budget(name, config.budget) for name in names}
    wanted = {name: [_wanted(name, config, budgets[name], seed) for seed in seeds] for name in names}
    results = Path(config.results).expanduser()
    _prepare(wanted, config, results)
    succeeded = True
    try:
        for name, its in wanted.items():
            done = []
            for job in its:
                log.info(f"{name}, seed {job.seed}, budget={budgets[name]}")
                record = _attempt(job, results, console)
                if record is not None:
                    done.append(record)
            if done:
                short = "" if budgets[name] == "paper" else f" with budget={budgets[name]}, too short for a comparison"
                paper = "" if short else f"paper {shown_error(published(name))}, "
                console.print(f"\n{name}: {paper}here {shown_ours(done)}{short}")
            for deviation in dict.fromkeys(deviation for record in done for deviation in record["deviations"]):
                console.print(f"  differs: {deviation}", markup=False, soft_wrap=True)
            succeeded &= len(done) == len(seeds)
    except KeyboardInterrupt as stop:
        raise type(stop)(f"interrupted; to continue, run: {shlex.join(_command(names, config))}") from stop
    return succeeded


def _command(names: Sequence[str], config: DictConfig) -> list[str]:
    """The command line, without keys at their defaults."""
    plain = compose("reproduce", [])
    said = {key: config[key] for key in config if config[key] != plain[key]}
    if OmegaConf.is_list(said.get("seeds")):
        said["seeds"] = ",".join(map(str, config.seeds))
    own = own_folder()
    files = ["--config-dir", str(own)] if own is not None else []
    return ["repronet", "reproduce", *names, *(f"{key}={value}" for key, value in said.items()), *files]


def _budget(name: str, budget: str) -> str:
    """The budget to use: ``paper`` if the given one covers all epochs."""
    known = EXPERIMENTS.get(name)
    epochs = {"minutes": known.minutes, "hour": known.hour}.get(budget) if known else None
    if epochs is None:
        return budget
    whole = compose("train", [f"experiment={name}"]).trainer.max_epochs
    if epochs < whole:
        return budget
    log.info(f"{name}: budget={budget} is long enough for all {whole} epochs, so it runs as budget=paper")
    return "paper"


def _prepare(wanted: Mapping[str, Sequence[DictConfig]], config: DictConfig, results: Path) -> None:
    """Check in advance what would otherwise fail at the end of a run, or be missing in its record."""
    if config.data_root is not None and not Path(config.data_root).expanduser().is_dir():
        raise UserError(f"data_root={config.data_root}: no such folder; name the one with the data, or leave it out")
    for name, its in wanted.items():
        for run in its:
            records.prepare(results, name, run.budget, run.seed)
    if environment.git_commit() is None:
        log.info(
            "note: the records will have no commit, as this repronet is a copy (pip install -e records its commit)"
        )


def _wanted(name: str, config: DictConfig, budget: str, seed: int) -> DictConfig:
    """The config of one run, in a folder with a fixed name, so that it is found again."""
    folder = RUNS / name / budget / f"seed{seed}"
    words = [f"experiment={name}", f"seed={seed}", f"budget={budget}", f"run_dir={folder}"]
    machine = {"data.root": config.data_root, "trainer.threads": config.threads, "algorithm": config.algorithm}
    own = [f"{key}={value}" for key, value in machine.items() if value is not None]
    return compose("train", [*words, *own])


def _attempt(run: DictConfig, results: Path, console: Console) -> Record | None:
    """The record of the run, new or existing; None if the run failed, with the error printed."""
    try:
        folder = _finished(run, console)
        record = recorded(folder)
        earlier = records.place(results, record["experiment"], record["budget"], record["seed"])
        if earlier.exists():  # a different result is never replaced unasked
            there = records.read(earlier)
            before, now = there["test_error"], record["test_error"]
            if before != now:
                found = f"has a test error of {before:.2%}, of {there['finished'][:10]}, this run {now:.2%}"
                raise UserError(f"{earlier}: {found}; remove it to replace it")
            log.info(f"test error {now:.2%}, as recorded before")
        log.info(f"recorded in {records.write(results, record)}")
        return record
    except Exception as error:
        say(error)
        return None


def _finished(run: DictConfig, console: Console) -> Path:
    """The folder of the finished run: started, resumed, or already there."""
    folder = Path(run.run_dir)
    if not (folder / runs.CONFIG).exists():
        return Path(train(run, console)["run_dir"])
    there = written_config(folder / runs.CONFIG)
    differing = differences(asked(there), asked(run))
    if differing:
        raise UserError(
            f"{folder}: was started with another config ({differing}); remove it, or go back to that version"
        )
    if (folder / runs.RESULT).exists():
        log.info(f"already finished in {folder}")
    else:
        root = None if run.data.root is None else json.dumps(str(Path(run.data.root).expanduser().resolve()))
        resume(folder, console, [] if root is None else [f"data.root={root}"])  # where the data lie now
    return folder


def asked(config: DictConfig) -> dict[str, Any]:
    """The part of a config that a result depends on, as plain values."""
    return records.asked(OmegaConf.to_container(config, resolve=True))  # type: ignore[arg-type]


def differences(there: dict[str, Any], wanted: dict[str, Any]) -> str:
    """The first key that two configs differ in, with both values; empty if they agree."""
    old, new = dict(flat(there)), dict(flat(wanted))
    return next(
        (f"{key}={old.get(key)}, now {new.get(key)}" for key in {**old, **new} if old.get(key) != new.get(key)), ""
    )


def recorded(folder: Path) -> Record:
    """The record of the finished run in ``folder``, tested by the protocol of its paper."""
    result, config = runs.read_result(folder), written_config(folder / runs.CONFIG)
    name, plain = config.experiment, asked(config)
    _check(folder, result, plain)
    center = result["test_error"]
    if center is None:
        raise UserError(f"experiment={name}: its data has no test split, so there is nothing to compare with a paper")
    error = published(name)
    protocol = PROTOCOLS.get(error.protocol, "center") if error else "center"
    figures = {key: result[key] for key in FROM_RESULT}
    top5 = dict.fromkeys(("test_error_top5", "center_error_top5"), result.get("test_error_top5"))
    hashes = result.get("data_sha256", {})  # older runs have no hashes
    other_images = datasets.deviation(config.data.name, hashes.get("test"))
    if protocol != "center":
        again = compose("eval", [f"run={folder}", f"protocol={protocol}"])
        seen = evaluate(again, Console(quiet=True))
        figures["test_error"], top5["test_error_top5"] = seen["error"], seen.get("error_top5")
    return records.sealed(
        {
            "experiment": name,
            "budget": config.budget,
            "seed": config.seed,
            "config_sha256": records.digest(plain),
            "commit": ", ".join(result["git_commits"]),
            **figures,
            "protocol": protocol,
            "center_error": center,
            **{key: value for key, value in top5.items() if value is not None},
            "data_sha256": hashes,
            **({"fingerprint": fingerprint} if (fingerprint := result.get("fingerprint")) else {}),
            "deviations": [*deviations(config), *filter(None, [other_images])],
            "config": plain,
            "history": [
                {
                    key: int(value) if key in ("epoch", "step") else value
                    for key, value in row.items()
                    if not math.isnan(value)  # a top-5 error that was not counted
                }
                for row in read_history(folder / runs.HISTORY)
            ],
        }
    )


def _check(folder: Path, result: dict[str, Any], plain: dict[str, Any]) -> None:
    """Compare files that can be edited by hand with the checkpoint and the confusion matrix."""
    differing = differences(asked(recorded_config(folder / runs.BEST)), plain)
    if differing:
        raise UserError(f"{folder / runs.CONFIG}: is not what the run was trained with ({differing})")
    if result["test_error"] is None:
        return
    _, counts = runs.read_confusion(folder)
    wrong = sum(map(sum, counts)) - sum(row[at] for at, row in enumerate(counts))
    if wrong != round(result["test_error"] * result["test_images"]):
        said = f"test_error {result['test_error']}"
        raise UserError(f"{folder / runs.RESULT}: says {said}, but {runs.CONFUSION} has {wrong} wrong answers")


def deviations(config: DictConfig) -> list[str]:
    """How a run differs from its paper: deviations of its experiment, network and config."""
    known, facts = EXPERIMENTS.get(config.experiment), NETWORKS[config.model.name]
    found = [*(known.deviations if known else ()), *facts.deviations_with(config.normalization.name)]
    if config.budget != "paper":
        whole = compose("train", [f"experiment={config.experiment}"]).trainer.max_epochs
        found.insert(0, f"{config.trainer.max_epochs} of {whole} epochs")
    if config.budget == "smoke":
        found.insert(1, f"{config.data.per_class} training images of each class")
    if config.trainer.precision != "32-true":
        found.append(f"computed in {config.trainer.precision}")
    return list(dict.fromkeys(found))
