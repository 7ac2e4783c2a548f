"""Run folders: one folder a run, which holds all that is known of it.

::

    runs/<experiment or model-data>/<date>_<time>-seed<seed>-<unique>/
        config.yaml            the resolved config
        checkpoints/best.ckpt  lowest validation error
        checkpoints/last.ckpt  the latest state, to go on from
        history.csv            one row an epoch
        algorithms.json        how each layer computed, where algorithm=auto chose
        result.json            the figures, once the run has ended
        confusion.csv          what the test images of each class were taken for
        pictures/              what `repronet visualize` drew
        train.log              what was printed
        events.out.tfevents.*  TensorBoard's curves and pictures
        hparams.yaml           written by Lightning's TensorBoardLogger
        projector/             TensorBoard's, the features of validation images
"""

from __future__ import annotations

import csv
import io
import json
import math
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from repronet.errors import UserError
from repronet.runs.atomic import remove_drafts, write_whole

CONFIG, RESULT, HISTORY, LOG, LOCK = "config.yaml", "result.json", "history.csv", "train.log", "run.lock"
ALGORITHMS, CONFUSION, PROFILE = "algorithms.json", "confusion.csv", "profile"
BEST, LAST = "checkpoints/best.ckpt", "checkpoints/last.ckpt"


def new_run_folder(parent: Path, seed: int) -> Path:
    """Make a folder below ``parent`` that no other run has, however many start at the same moment.

    Raises:
        UserError: when nothing can be made there.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{parent}: cannot be made ({error.strerror}); name a folder with run_dir=") from error
    while True:
        moment = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        folder = parent / f"{moment}-seed{seed}-{secrets.token_hex(3)}"
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(f"{folder}: cannot be made ({error.strerror}); name a folder with run_dir=") from error
        return folder


def claim_run_folder(folder: Path) -> Path:
    """Make ``folder``, or take it when it is empty.

    Raises:
        UserError: when it holds anything: two runs never share a folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_drafts(folder)  # of a process that was killed before it had written its first file
        taken = next(folder.iterdir(), None)
    except OSError as error:
        raise UserError(f"run_dir={folder}: cannot be made a run folder ({error.strerror})") from error
    if taken is not None:
        if (folder / CONFIG).exists():
            raise UserError(f"run_dir={folder}: holds another run; name a new folder, or go on with resume={folder}")
        raise UserError(f"run_dir={folder}: is not empty (it holds {taken.name}); name a new folder")
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other process out of the run meanwhile.

    Raises:
        UserError: when another process has it, or nothing can be written in ``folder``.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UserError(f"{folder}: another process is at work on this run") from error
    except OSError as error:
        raise UserError(f"{folder}: the run cannot go on there ({error.strerror})") from error
    try:
        yield
    finally:
        lock.release()


def sweep(folder: Path) -> None:
    """Remove what a killed process left half-written in the run folder."""
    remove_drafts(folder)
    remove_drafts((folder / LAST).parent)
    remove_drafts(folder / "projector")


def write_text(path: Path, text: str) -> None:
    """Write ``text`` so that ``path`` is at every moment whole: the old content or the new.

    Raises:
        Fault: when it cannot be written.
    """
    write_whole(path, text.encode())


def write_history(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """All epochs so far as comma-separated values; rewritten whole, so that a resumed run has no row twice.

    A top-5 error that no epoch counted has no column.
    """
    if not rows:
        return
    text = io.StringIO()
    # Of the newest: the first epochs of a run may be from before there was a top-5 error.
    names = [name for name in rows[-1] if "top5" not in name or any(row.get(name) is not None for row in rows)]
    table = csv.DictWriter(text, fieldnames=names, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    # Nobody need wait for the disk here: the rows stand in every checkpoint.
    write_whole(folder / HISTORY, text.getvalue().encode(), survives_power_cut=False)


def write_confusion(folder: Path, classes: Sequence[str], counts: Sequence[Sequence[int]]) -> None:
    """How often each class of the test split was taken for each: a row a true class, a column an answer."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["true \\ answer", *classes])
    for name, row in zip(classes, counts, strict=True):
        table.writerow([name, *row])
    write_whole(folder / CONFUSION, text.getvalue().encode("utf-8", "backslashreplace"))


def write_result(folder: Path, result: Mapping[str, Any]) -> None:
    """``result.json``, readable by a person and a program; null for a loss that is not finite."""
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in result.items()}
    write_text(folder / RESULT, json.dumps(finite, indent=2, allow_nan=False) + "\n")


def read_result(folder: Path) -> dict[str, Any]:
    """What :func:`write_result` wrote."""
    return json.loads((folder / RESULT).read_text("utf-8"))


def require_run(folder: Path, needed: str, key: str) -> Path:
    """The file ``needed`` in the run folder.

    Raises:
        UserError: when ``folder`` is no run folder, or the file is not there yet.
    """
    if not (folder / CONFIG).is_file() and not (folder / needed).is_file():
        raise UserError(f"{key}={folder}: no run there; give the folder that holds {CONFIG}")
    if not (folder / needed).is_file():
        raise UserError(f"{key}={folder}: the run has no {needed}; go on with it: repronet train resume={folder}")
    return folder / needed
