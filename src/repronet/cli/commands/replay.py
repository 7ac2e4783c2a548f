"""``repronet replay``: whether this machine reproduces a record bit by bit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from repronet import zoo
from repronet.errors import UserError
from repronet.reproduction import record as records
from repronet.reproduction.record import Record
from repronet.session.replay import replay
from repronet.training.callbacks.fingerprint import STEPS


def run(config: DictConfig, console: Console, words: Sequence[str]) -> bool:
    """Replay the one record among ``words`` and print the outcome; returns whether the bits are the same."""
    record = named(words, "replay")
    begins = f"{record['experiment']}, seed {record['seed']}"
    if "fingerprint" in record:
        console.print(f"{begins}: its first {STEPS} steps", highlight=False)
    else:
        console.print(f"{begins}: no fingerprint, repeating the first epoch", highlight=False)
    found = replay(record, config.data_root, config.threads, console)
    if not found.parted:
        what = f"every loss and {found.layers} layers" if "fingerprint" in record else "losses and errors"
        console.print(f"bit-identical: {found.steps} steps, {what}", highlight=False)
        return True
    for line in f"first difference: {found.parted}".split("; "):
        console.print(line, highlight=False, soft_wrap=True)
    for reason in found.reasons:
        console.print(f"  {reason}", highlight=False, soft_wrap=True)
    return False


def named(words: Sequence[str], command: str) -> Record:
    """The record of the one word without an equals sign: a file, or a name of the zoo."""
    places = [word for word in words if "=" not in word]
    if len(places) != 1:
        raise UserError(f"{command}: takes one record, results/lenet5_mnist/paper-seed0.json for instance")
    if zoo.is_named(places[0]):
        zoo.path_of(places[0])
        return zoo.record_of(places[0])
    return records.read(Path(places[0]).expanduser())
