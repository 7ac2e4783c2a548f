"""The record of a reproducing run, a file in ``results/`` that reveals later changes to it. Needs no torch.

``results/<experiment>/<budget>-seed<n>.json`` holds the figures of the run, its config without paths and processor
settings, every epoch, hashes of its images, the deviations from the paper, and a hash over all of that.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repronet.errors import UserError
from repronet.runs.atomic import write_whole

Record = dict[str, Any]
HASH = "sha256"
# Keys that do not define the experiment: paths, monitoring and hardware; the seed has its own field in the record.
NOT_ASKED = (
    *("run_dir", "seed", "data.root", "data.workers", "data.memory"),
    *("trainer.threads", "trainer.accelerator", "trainer.board", "trainer.profiler", "trainer.channels_last"),
    *("trainer.save_minutes", "trainer.log_every_n_steps", "trainer.num_sanity_val_steps", "trainer.detect_anomaly"),
    *("trainer.enable_progress_bar", "trainer.enable_model_summary", "trainer.benchmark", "logger"),
)


def asked(config: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """The part of a resolved config that a result depends on."""
    kept = {key: value for key, value in config.items() if f"{path}{key}" not in NOT_ASKED}
    return {key: asked(value, f"{path}{key}.") if isinstance(value, Mapping) else value for key, value in kept.items()}


def hardware(record: Record) -> str:
    """The accelerator, or without one the processor, of a record's run."""
    return record["hardware"]["gpu"] or record["hardware"]["processor"]


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of the content as JSON with sorted keys and no spaces."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def recipe(record: Record) -> str:
    """The hash of the config without ``algorithm``; null keys do not count, since old records lack them."""
    return digest(_without_nulls({**record["config"], "algorithm": None}))


def _without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    known = {key: value for key, value in values.items() if value is not None}
    return {key: _without_nulls(value) if isinstance(value, dict) else value for key, value in known.items()}


def sealed(content: Mapping[str, Any]) -> Record:
    """The content with its hash added."""
    return {**content, HASH: digest(content)}


def place(results: Path, experiment: str, budget: str, seed: int, machine: str = "") -> Path:
    """The path of a run's record; with ``machine``, that of a second record of the same seed from another machine."""
    on = f"-on-{'-'.join(re.findall('[a-z0-9]+', machine.lower()))}" if machine else ""
    return results / experiment / f"{budget}-seed{seed}{on}.json"


def prepare(results: Path, experiment: str, budget: str, seed: int) -> None:
    """Check before a long run that its record can be written and that an existing one is intact."""
    path = place(results, experiment, budget, seed)
    _make(path.parent, results)
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"results={results}: {path.parent} cannot be written to; name another folder")
    if path.exists():
        _placed(path)


def _make(folder: Path, results: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"results={results}: cannot be made ({error.strerror}); name another folder") from error


def write(results: Path, record: Record) -> Path:
    """Write the record to its place; returns the path.

    Raises:
        UserError: if the folder cannot be made.
        Fault: if the record cannot be written.
    """
    path = place(results, record["experiment"], record["budget"], record["seed"])
    _make(path.parent, results)
    write_whole(path, (json.dumps(record, indent=1, allow_nan=False) + "\n").encode())
    return path


def read(path: Path) -> Record:
    """Read the record at ``path``; raises UserError if it is damaged or was changed."""
    try:
        record = json.loads(path.read_text("utf-8"))
        wrong = _contradiction(record)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise UserError(f"{path}: is not a record of a run ({type(error).__name__}: {error})") from error
    if wrong:
        raise UserError(
            f"{path}: is not what its run wrote: {wrong}; restore it, or remove it and reproduce the experiment again"
        )
    return record


def _contradiction(record: Record) -> str | None:
    """The first contradiction between parts of the record; None if there is none."""
    content = {key: value for key, value in record.items() if key != HASH}
    if record[HASH] != digest(content):
        return f"its hash is {digest(content)[:12]}…, it says {record[HASH][:12]}…"
    if record["config_sha256"] != digest(record["config"]):
        return "its config has another hash"
    asked_for = (record["config"].get("experiment"), record["config"].get("budget", "paper"))  # old configs have none
    if asked_for != (record["experiment"], record["budget"]):
        return f"its config is of {asked_for[0]}, {asked_for[1]}"
    history = record["history"]
    best, last = min(history, key=lambda row: row["val_error"]), history[-1]
    found = {
        "best_epoch": best["epoch"],
        "best_val_error": best["val_error"],
        "last_val_error": last["val_error"],
        "last_train_error": last["train_error"],
        "epochs": len(history),
        "steps": last["step"],
    }
    for key, value in found.items():
        if record[key] != value:
            return f"{key} {record[key]}, but its epochs have {value}"
    for kind in ("error", "error_top5"):
        share = record.get(f"test_{kind}")  # old records have no top-5 error
        if share is None:
            continue
        wrong = share * record["test_images"]
        if abs(wrong - round(wrong)) > 1e-6:
            return f"test_{kind} {share} is not a count out of {record['test_images']} images"
        if share > record["test_error"]:
            return f"test_{kind} {share} above test_error {record['test_error']}"
        if record["protocol"] == "center" and share != record[f"center_{kind}"]:
            return f"test_{kind} {share}, but center_{kind} {record[f'center_{kind}']}"
    return None


def read_all(results: Path) -> dict[Path, Record]:
    """Read every record below ``results``, by file, in the order of their names.

    Raises:
        UserError: for the first record that was changed, or that is of another run than its name says.
    """
    return {path: _placed(path) for path in sorted(results.glob("*/*.json"))}


def _placed(path: Path) -> Record:
    """Read the record at ``path``; raises UserError if a record of its run does not belong there."""
    record = read(path)
    run = path.parents[1], record["experiment"], record["budget"], record["seed"]
    if path not in (place(*run), place(*run, hardware(record))):
        said = f"it is of {record['experiment']}, {record['budget']}, seed {record['seed']}"
        raise UserError(f"{path}: is not what its run wrote: {said}; restore it, or move it to its place")
    return record
