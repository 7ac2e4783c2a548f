"""Send messages to the terminal and to the run's log, and silence some messages of the libraries."""

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
    """Print log records as plain lines on a rich console, above Lightning's progress bar if there is one."""

    def __init__(self, console: Console):
        super().__init__()
        self.console = console

    def emit(self, record: logging.LogRecord) -> None:
        bars = sys.modules.get("tqdm")  # imported by Lightning if it shows a progress bar
        with bars.tqdm.external_write_mode(self.console.file) if bars else nullcontext():
            self.console.print(wrapped(record.getMessage()), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _handled(handler: logging.Handler, *names: str) -> Iterator[None]:
    """Within the context, also send the messages of the loggers of these names to ``handler``."""
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
    """The run's log; ignores write errors, which would otherwise fill the terminal."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        return


def tracked(items: Sequence[Item], what: str, console: Console) -> Iterable[Item]:
    """Iterate over the items, with a progress bar on a terminal; the bar disappears afterwards."""
    from rich.progress import track  # imported here since most commands do not need it

    return track(items, what, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def remembered() -> Iterator[list[logging.LogRecord]]:
    """Within the context, collect the messages of repronet, for the log of a run that has no folder yet."""
    handler = BufferingHandler(capacity=sys.maxsize)
    with _handled(handler, "repronet"):
        yield handler.buffer


@contextmanager
def log_to_file(path: Path, before: Sequence[logging.LogRecord] = ()) -> Iterator[None]:
    """Append the records ``before``, then all messages of repronet and Lightning in the context, with their times."""
    handler = LogFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%Y-%m-%d %H:%M:%S"))
    for record in before:
        handler.handle(record)
    with closing(handler), _handled(handler, "repronet", "pytorch_lightning"):
        yield


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt after Ctrl-C, although Lightning turns it into a SystemExit.

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
    # A GAN has no validation step: its judge scores it after each epoch.
    warnings.filterwarnings("ignore", message=".*have no `validation_step`.*")
    # A teacher is always in evaluation mode, and a frozen stage until it is unfrozen.
    warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")
    # The curves have a point at the end of every epoch, even if it has few steps.
    warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
    # Metrics are summed over the processes before they are logged, and buffers where they are evaluated.
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")
    warnings.filterwarnings("ignore", message=".broadcast_buffers. is deprecated.*")
    # Between Lightning and a newer torch; a user cannot do anything about it.
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
