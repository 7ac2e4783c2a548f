"""Where words go: the terminal, the run's log, and what of the libraries' chatter is kept out of both."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console


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


class LogFile(logging.FileHandler):
    """The run's log; that it cannot be written any more is no reason to fill the terminal with it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        return


class _Memory(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def remembered() -> Iterator[list[logging.LogRecord]]:
    """What repronet says meanwhile, for the log of a run that has no folder yet."""
    handler, logger = _Memory(), logging.getLogger("repronet")
    logger.addHandler(handler)
    try:
        yield handler.records
    finally:
        logger.removeHandler(handler)


@contextmanager
def log_to_file(path: Path, before: Sequence[logging.LogRecord] = ()) -> Iterator[None]:
    """What was said ``before``, and all that repronet and Lightning say meanwhile, is appended with its time."""
    handler = LogFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%Y-%m-%d %H:%M:%S"))
    for record in before:
        handler.handle(record)
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
def interruptible() -> Iterator[None]:
    """Ctrl-C stays a KeyboardInterrupt, which Lightning turns into an exit of its own.

    Raises:
        KeyboardInterrupt: after Ctrl-C.
    """
    try:
        yield
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from stop
        raise


def quiet_lightning() -> None:
    """Silence what Lightning says on every run whatever the user did."""
    for name in ("pytorch_lightning", "lightning_fabric", "pytorch_lightning.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # The batches come out of memory, so the advice to add loader workers does not apply.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    # A teacher is in evaluation mode for good, and a frozen stage until its time comes.
    warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")
    # The last step of an epoch is logged however short the epoch is.
    warnings.filterwarnings("ignore", message=".*is smaller than the logging interval.*")
    # Between Lightning and a torch newer than it; nothing that a user could act on.
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
