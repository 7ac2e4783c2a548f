"""``repronet reproduce publish``: add the weights of a recorded run, with their record, to the zoo."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from repronet import runs, weights, zoo
from repronet.cli.commands.replay import named
from repronet.cli.commands.reproduce import RUNS
from repronet.cli.failures import writing
from repronet.errors import UserError
from repronet.reproduction import record as records
from repronet.reproduction.record import Record
from repronet.runs.atomic import write_whole
from repronet.session.replay import replay
from repronet.training.classifier import of_run

log = logging.getLogger("repronet.train")


def run(config: DictConfig, console: Console, words: Sequence[str]) -> Path:
    """Write ``NAME.safetensors`` and ``NAME.json`` from the record among ``words`` and its run folder."""
    record = named(words, "reproduce publish")
    place = RUNS / record["experiment"] / record["budget"] / f"seed{record['seed']}"
    folder = place if config.run is None else Path(config.run).expanduser()
    runs.require_run(folder, runs.RESULT, "run")
    result = runs.read_result(folder)
    differing = [key for key in ("test_error", "best_val_error", "steps", "finished") if result[key] != record[key]]
    if differing:
        key = differing[0]
        raise UserError(f"run={folder}: has {key} {result[key]}, its record {record[key]}; these are different runs")
    record = _with_fingerprint(record, config.data_root, console)
    classifier = of_run(folder)
    target = zoo.FOLDER if config.zoo is None else Path(config.zoo).expanduser()
    with writing("zoo", target / f"{config.to}.safetensors") as path:
        weights.save(classifier.network, path, classifier.transform.to_json())
        size = path.stat().st_size
        if size > zoo.MOST:
            path.unlink()
            raise UserError(f"to={config.to}: {size:,} bytes, and the zoo takes {zoo.MOST:,} at most")
        content = {key: value for key, value in record.items() if key != records.HASH}
        said = {"sha256": zoo.sha256(path), "bytes": size, "test_loss": result["test_loss"]}
        text = json.dumps(records.sealed({**content, "weights": said}), indent=1, allow_nan=False) + "\n"
        write_whole(path.with_suffix(".json"), text.encode())
    console.print(f"{path}: {size:,} bytes, test error {record['test_error']:.2%}", highlight=False, soft_wrap=True)
    return path


def _with_fingerprint(record: Record, data_root: str | None, console: Console) -> Record:
    """The record with the fingerprint of its first steps; for an older record, its first epoch is run again."""
    if "fingerprint" in record:
        return record
    log.info(f"{record['experiment']}: has no fingerprint; its first epoch is run again")
    found = replay(record, data_root, None, console)
    if found.parted:
        raise UserError(
            f"{record['experiment']}: not bit-identical on this machine ({found.parted}); publish it where it is"
        )
    return {**record, "fingerprint": found.fingerprint}
