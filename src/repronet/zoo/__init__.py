"""Weights trained with this suite, such as ``repronet/lenet5-mnist``, each with the record of its run.

``NAME.safetensors`` holds the network, preprocessing and weights, ``NAME.json`` the record: config, seed, commit, every
epoch and the SHA-256 of the weights. `repronet reproduce publish` writes both. Needs no torch.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from repronet.errors import UserError, nearest
from repronet.reproduction import record as records

PREFIX = "repronet/"
FOLDER = Path(__file__).parent
MOST = 1_500_000  # the greatest size of a weights file in bytes


def is_named(source: object) -> bool:
    """Whether ``source`` is a name in the zoo and not an existing folder or file."""
    return isinstance(source, str) and source.startswith(PREFIX) and not Path(source).exists()


def names() -> list[str]:
    """All names in the zoo, with their prefix."""
    return [f"{PREFIX}{path.stem}" for path in sorted(FOLDER.glob("*.safetensors"))]


@cache
def path_of(name: str) -> Path:
    """The path of the weights file, after its hash was compared with its record.

    Raises:
        UserError: if there are no weights of that name, or the file is damaged.
    """
    if name not in names():
        there = f" (choices: {', '.join(names())})" if names() else ""
        raise UserError(f"weights={name}: no such weights{nearest(name, names())}{there}")
    path, said = FOLDER / f"{name.removeprefix(PREFIX)}.safetensors", record_of(name)["weights"]["sha256"]
    if sha256(path) != said:
        raise UserError(f"weights={name}: damaged, {path.name} has not the SHA-256 of its record; install it again")
    return path


def record_of(name: str) -> records.Record:
    """The record of the run that trained the weights.

    Raises:
        UserError: if the record is damaged or was changed.
    """
    return records.read(FOLDER / f"{name.removeprefix(PREFIX)}.json")


def config_of(name: str) -> dict[str, Any]:
    """The config of that run, without the paths of its machine."""
    record = record_of(name)
    return {**record["config"], "seed": record["seed"]}


def command(record: records.Record) -> str:
    """The command that trains the weights again."""
    budget = "" if record["budget"] == "paper" else f" budget={record['budget']}"
    seeds = "" if record["seed"] == 0 else f" seeds=[{record['seed']}]"
    threads, algorithm = record["hardware"]["torch_threads"], record["config"].get("algorithm", "auto")
    computed = f" threads={threads}" + (f" algorithm={algorithm}" if algorithm != "auto" else "")
    return f"repronet reproduce {record['experiment']}{budget}{seeds}{computed}"


def sha256(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
