"""Where words go: the terminal, the run's log, and what of the libraries' chatter is kept out of both."""

from __future__ import annotations

import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytorch_lightning as pl
from rich.console import Console

from repronet.errors import Terminated


class ConsoleHandler(logging.Handler):
    """Log records as plain lines on a rich console; above a progress bar when there is one."""

    def __init__(self, console: Console):
        super().__init__()
        self.console = console

    def emit(self, record: logging.LogRecord) -> None:
        self.console.print(record.getMessage(), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def speaking_to(console: Console) -> Iterator[None]:
    """Show the project's messages on ``console``; its progress lines only where no bar is drawn instead."""
    handler, bar = ConsoleHandler(console), console.is_terminal and not console.is_dumb_terminal
    handler.addFilter(lambda record: not (bar and record.name == "repronet.progress"))
    logger = logging.getLogger("repronet")
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


@contextmanager
def log_to_file(path: Path) -> Iterator[None]:
    """Everything that repronet and Lightning say meanwhile is appended to ``path``, with the time."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%Y-%m-%d %H:%M:%S"))
    loggers = [logging.getLogger(name) for name in ("repronet", "pytorch_lightning")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()


@contextmanager
def interruptible(trainer: pl.Trainer, hint: str = "interrupted") -> Iterator[None]:
    """Ctrl-C stays a KeyboardInterrupt, which Lightning turns into an exit of its own; ``hint`` says how to go on.

    SIGUSR1 is taken for SIGTERM, at which Lightning ends the training after the batch at hand.

    Raises:
        Terminated: after SIGTERM or SIGUSR1.
        KeyboardInterrupt: after Ctrl-C.
    """
    try:
        with _usr1_as_term():
            yield
    except SystemExit as stop:
        if trainer.received_sigterm:
            raise Terminated(hint) from stop
        if trainer.interrupted:
            raise KeyboardInterrupt(hint) from stop
        raise


@contextmanager
def _usr1_as_term() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # no other may set handlers
        yield
        return
    before = signal.signal(signal.SIGUSR1, lambda number, frame: os.kill(os.getpid(), signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


def quiet_lightning() -> None:
    """Silence what Lightning says on every run whatever the user did."""
    for name in ("pytorch_lightning", "lightning_fabric", "pytorch_lightning.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # The batches come out of memory, so the advice to add loader workers does not apply.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    # Between Lightning and a torch newer than it; nothing that a user could act on.
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
