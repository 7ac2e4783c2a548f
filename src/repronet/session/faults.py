"""Explain an error that ends a run in one line, with the command that resumes it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from omegaconf import DictConfig

from repronet import runs
from repronet.config import plugins
from repronet.config.build_data import usual_processes
from repronet.data.streaming import LOST_WORKER, lost_worker
from repronet.errors import Fault
from repronet.runs.stopping import StopRequested, StopSwitch


def command(folder: Path, config: DictConfig) -> str:
    """The command that resumes the run in ``folder``."""
    trains = "gan train" if "kind" in config else "train"
    return f"repronet {trains} resume={shlex.quote(str(folder))}{plugins.words(config)}"


@contextmanager
def explained(config: DictConfig, folder: Path, switch: StopSwitch) -> Iterator[None]:
    """Turn an exception that ends training early into a message that the user can act on.

    Raises:
        KeyboardInterrupt: after Ctrl-C, SIGTERM or SIGUSR1.
        Fault: if memory runs out, a loader process was killed, or a file cannot be written.
    """
    again = f"resume with: {command(folder, config)}"
    try:
        yield
    except StopRequested as stop:
        raise switch.interruption(f"interrupted; {again}") from stop
    except KeyboardInterrupt as stop:
        raise type(stop)(f"interrupted; {again}") from stop
    except SystemExit as stop:  # Lightning turns a KeyboardInterrupt and SIGTERM into it
        if switch.received is None and not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        raise switch.interruption(f"interrupted; {again}") from stop
    except Fault as fault:
        raise Fault(f"{fault}; {again}") from fault
    except (RuntimeError, MemoryError) as error:
        if LOST_WORKER in str(error):  # raised by a signal, at any moment, for a worker nobody waits for
            lost = lost_worker(config.data.workers or usual_processes())
            raise Fault(f"{lost}; {again}") from error
        out_of_memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not (out_of_memory or "can't allocate memory" in str(error) or "not enough memory" in str(error)):
            raise
        raise Fault(_smaller_batch(config, folder)) from error


def _smaller_batch(config: DictConfig, folder: Path) -> str:
    batch, parts = config.data.batch_size, config.trainer.accumulate_grad_batches
    if "kind" in config:  # a GAN, which accumulates no gradients
        return f"out of memory with data.batch_size={batch}; take a smaller one, or less width"
    if batch == 1:
        return f"out of memory with data.batch_size=1; {config.model.name} is too large for this machine"
    smaller = 2 ** ((batch - 1).bit_length() - 1)  # the next power of two below
    done = f"; what is done so far stays in {folder}" if (folder / runs.LAST).exists() else ""
    parts *= math.ceil(batch / smaller)
    return (
        f"out of memory with data.batch_size={batch}; use data.batch_size={smaller}, and "
        f"trainer.accumulate_grad_batches={parts} for the same steps{done}"
    )
