"""Where messages go: the terminal, the run's log; and which of the libraries' messages are silenced."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from repronet.terminal import wrapped

Item = TypeVar("Item")


class ConsoleHandler(logging.Handler):
    """Log records as plain lines on a rich console; above Lightning's progress bar when there is one."""

    def __init__(self, console: Console):
        super().__init__()
        self.console = console

    def emit(self, record: logging.LogRecord) -> None:
        bars = sys.modules.get("tqdm")  # Lightning's, where it shows one
        with bars.tqdm.external_write_mode(self.console.file) if bars else nullcontext():
            self.console.print(wrapped(record.getMessage()), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _handled(handler: logging.Handler, *names: str) -> Iterator[None]:
    """What the loggers of these names say meanwhile goes to ``handler``, too."""
    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


@contextmanager
def speaking_to(console: Console) -> Iterator[None]:
    """Show the project's messages on ``console``."""
    logger = logging.getLogger("repronet")
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        with _handled(ConsoleHandler(console), "repronet"):
            yield
    finally:
        logger.setLevel(before)


class LogFile(logging.FileHandler):
    """The run's log; that it cannot be written any more is no reason to fill the terminal with it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        return


def tracked(items: Sequence[Item], what: str, console: Console) -> Iterable[Item]:
    """The items, under a progress bar on a terminal that is gone afterwards."""
    from rich.progress import track  # which most commands do without

    return track(items, what, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def remembered() -> Iterator[list[logging.LogRecord]]:
    """The messages of repronet meanwhile, for the log of a run that has no folder yet."""
    handler = BufferingHandler(capacity=sys.maxsize)
    with _handled(handler, "repronet"):
        yield handler.buffer


@contextmanager
def log_to_file(path: Path, before: Sequence[logging.LogRecord] = ()) -> Iterator[None]:
    """What was said ``before``, and all that repronet and Lightning say meanwhile, is appended with its time."""
    handler = LogFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%Y-%m-%d %H:%M:%S"))
    for record in before:
        handler.handle(record)
    with closing(handler), _handled(handler, "repronet", "pytorch_lightning"):
        yield


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
    """Silence messages that Lightning prints on every run."""
    for name in ("pytorch_lightning", "lightning_fabric", "pytorch_lightning.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # The batches come out of memory, so the advice to add loader workers does not apply.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    # A GAN is scored by its judge after each epoch.
    warnings.filterwarnings("ignore", message=".*have no `validation_step`.*")
    # A teacher is in evaluation mode for good, and a frozen stage until its time comes.
    warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")
    # The curves have a point at every epoch's end, however few steps it has.
    warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
    # Figures are summed over the processes before they are logged, and buffers are where they are evaluated.
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")
    warnings.filterwarnings("ignore", message=".broadcast_buffers. is deprecated.*")
    # Between Lightning and a torch newer than it; nothing that a user could act on.
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
