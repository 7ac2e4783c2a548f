"""Run folders: one folder per run, with everything that is known about it. Needs no torch.

::

    runs/<experiment or model-data>/<date>_<time>-seed<seed>-<unique>/
        config.yaml            the resolved config
        checkpoints/best.ckpt  the best on validation
        checkpoints/last.ckpt  the latest state, to resume from
        history.csv            one row per epoch
        result.json            the figures, once the run has ended
        confusion.csv          the confusion matrix of the test images
        per_class.csv          precision, recall and the like of each class
        answers.csv            the prediction for each test image, with its probability
        thumbnails.png         some of those images, for the report
        pictures/              curves, inputs, mistakes and the like, and the figures of `repronet visualize`
        train.log              the printed messages
        events.out.tfevents.*  TensorBoard's curves and images
        hparams.yaml           written by Lightning's TensorBoardLogger
        projector/             the features of validation images, for TensorBoard's projector
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from repronet.errors import UserError
from repronet.runs.atomic import remove_drafts, write_whole

CONFIG, RESULT, HISTORY, LOG, LOCK = "config.yaml", "result.json", "history.csv", "train.log", "run.lock"
CONFUSION, PROFILE = "confusion.csv", "profile"
PER_CLASS, ANSWERS, THUMBNAILS, PICTURES = "per_class.csv", "answers.csv", "thumbnails.png", "pictures"
BEST, LAST = "checkpoints/best.ckpt", "checkpoints/last.ckpt"


def folder_for(run_dir: str | None, name: str, seed: int) -> Path:
    """The folder of a new run: ``run_dir``, or else a new one below runs/``name``."""
    if run_dir is not None:
        return claim_run_folder(Path(run_dir).expanduser())
    return new_run_folder(Path("runs") / name, seed)


def new_run_folder(parent: Path, seed: int) -> Path:
    """Make a folder below ``parent`` that no other run has, even if several start at the same moment."""
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


def claim_run_folder(folder: Path, key: str = "run_dir") -> Path:
    """Make ``folder``, the value of ``key``, or use it if it is empty."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_drafts(folder)  # left by a process that was killed before it had written its first file
        taken = next(folder.iterdir(), None)
    except OSError as error:
        raise UserError(f"{key}={folder}: cannot be made a run folder ({error.strerror})") from error
    if taken is not None:
        if (folder / CONFIG).exists():
            raise UserError(
                f"{key}={folder}: holds another run; name a new folder, or continue it with resume={folder}"
            )
        raise UserError(f"{key}={folder}: is not empty (it holds {taken.name}); name a new folder")
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Within the context, lock the run against other processes."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UserError(f"{folder}: another process is running it") from error
    except OSError as error:
        raise UserError(f"{folder}: the run cannot continue there ({error.strerror})") from error
    try:
        yield
    finally:
        lock.release()


def busy(folder: Path) -> bool:
    """Whether another process holds the run's lock."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except (Timeout, OSError):
        return folder.is_dir()
    lock.release()
    return False


def sweep(folder: Path) -> None:
    """Remove the half-written files of a killed process from the run folder."""
    for written in (folder, (folder / LAST).parent, folder / "projector"):
        remove_drafts(written)


def write_history(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write all epochs so far as CSV, the whole file each time, so that a resumed run has no row twice.

    A top-5 error that no epoch has gets no column.
    """
    if rows:
        # From the newest row: the first epochs of an old run may have no top-5 error.
        names = [name for name in rows[-1] if "top5" not in name or any(row.get(name) is not None for row in rows)]
        # No need to wait for the disk: every checkpoint has the rows too.
        write_table(folder / HISTORY, names, ([row.get(name) for name in names] for row in rows), False)


def write_confusion(folder: Path, classes: Sequence[str], counts: Sequence[Sequence[int]]) -> None:
    """Write the confusion matrix of the test split: one row per true class, one column per predicted class."""
    rows = [[name, *row] for name, row in zip(classes, counts, strict=True)]
    write_table(folder / CONFUSION, ["true \\ answer", *classes], rows)


def read_confusion(folder: Path) -> tuple[list[str], list[list[int]]]:
    """Read the classes and counts that :func:`write_confusion` wrote."""
    with (folder / CONFUSION).open(encoding="utf-8", newline="") as file:
        (_, *classes), *rows = csv.reader(file)
    return classes, [list(map(int, counts)) for _, *counts in rows]


def write_table(
    path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]], survives_power_cut: bool = True
) -> None:
    """Write comma-separated values; None becomes an empty cell."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(head)
    table.writerows(rows)
    write_whole(path, text.getvalue().encode("utf-8", "backslashreplace"), survives_power_cut)


def write_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Write ``result.json``, readable by people and programs, with null for numbers that are not finite."""
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in result.items()}
    write_whole(folder / RESULT, (json.dumps(finite, indent=2, allow_nan=False) + "\n").encode())


def read_result(folder: Path) -> dict[str, Any]:
    """Read the result that :func:`write_result` wrote."""
    return json.loads((folder / RESULT).read_text("utf-8"))


def require_run(folder: Path, needed: str, key: str) -> Path:
    """The path of the file ``needed`` in the run folder; raises UserError if it is absent."""
    if not (folder / CONFIG).is_file() and not (folder / needed).is_file():
        raise UserError(f"{key}={folder}: no run there; give the folder that holds {CONFIG}")
    if not (folder / needed).is_file():
        of_gan = re.search("^kind:", (folder / CONFIG).read_text("utf-8", "replace"), re.MULTILINE)
        command = f"repronet {'gan ' if of_gan else ''}train resume={folder}"
        raise UserError(f"{key}={folder}: the run has no {needed}; resume it: {command}")
    return folder / needed
