"""Atomic files: at every moment a file has its old content or all of the new."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from repronet.errors import Fault

DRAFT = ".draft"


def write_whole(path: Path, data: bytes | memoryview, survives_power_cut: bool = True) -> None:
    """Write ``data`` beside ``path``, have the disk take it up, and give it the name.

    The draft lies in the target's own folder, since a rename is whole only within one file system.

    Args:
        survives_power_cut: wait for the disk, which is dear for what can be made again from other files.

    Raises:
        Fault: when it cannot be written; what stood there before still does.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(3)}{DRAFT}")
    try:
        with draft.open("wb") as file:
            file.write(data)
            if survives_power_cut:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
        if survives_power_cut:  # the name in the folder too
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise Fault(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):  # the folder has become read-only, which was said
            draft.unlink(missing_ok=True)


def remove_drafts(folder: Path) -> None:
    """Remove what a killed process left half-written in ``folder``; nobody else may be at work there."""
    for draft in folder.glob(f".*{DRAFT}"):
        with suppress(OSError):
            draft.unlink(missing_ok=True)
