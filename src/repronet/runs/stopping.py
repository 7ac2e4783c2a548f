"""Stop a run by a signal: between two steps while it trains, immediately otherwise."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from repronet.errors import Terminated

log = logging.getLogger("repronet.train")

# SLURM and others send SIGUSR1 some time before a job's time limit, if asked to, and SIGTERM at the limit.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopRequested(Exception):
    """Raised between two steps after a signal, once the run is saved."""


class StopSwitch:
    """Turns signals into a request that the training checks between its steps.

    Outside of :meth:`deferring`, a signal stops the program immediately. A second Ctrl-C always does.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._deferring = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle the signals within the context; does nothing outside the main thread, where Python forbids it."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def deferring(self) -> Iterator[None]:
        """Within the context, only note a signal in ``received``."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = number == signal.SIGINT and self.received == signal.SIGINT
        self.received = self.received or number
        if again or not self._deferring:
            raise self.interruption()
        if number == signal.SIGINT:
            log.info("stopping after this step; Ctrl-C again stops at once")

    def interruption(self, hint: str = "interrupted") -> KeyboardInterrupt:
        """The exception for the signal that was received."""
        by_hand = self.received in (signal.SIGINT, None)
        return KeyboardInterrupt(hint) if by_hand else Terminated(hint)


def ignore_signals() -> None:
    """Ignore the signals in a loader process; the main process handles those sent to the process group."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
