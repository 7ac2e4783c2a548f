"""Atomic writes: at every moment a file has either its old content or all of the new."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from repronet.errors import Fault

DRAFT = ".draft"


def write_whole(path: Path, data: bytes | memoryview, survives_power_cut: bool = True) -> None:
    """Write ``data`` to a draft beside ``path``, flush it to the disk, and rename it to ``path``.

    The draft is in the target's own folder, since a rename is atomic only within one file system.

    Args:
        survives_power_cut: wait for the disk, which takes too long for files that can be made again from others.

    Raises:
        Fault: if the file cannot be written; the old one is then unchanged.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(3)}{DRAFT}")
    try:
        with draft.open("wb") as file:
            file.write(data)
            if survives_power_cut:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
        if survives_power_cut:  # flush the folder's entry too
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise Fault(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):  # the folder has become read-only, as the Fault already says
            draft.unlink(missing_ok=True)


def remove_drafts(folder: Path) -> None:
    """Remove the half-written files of a killed process from ``folder``; no other process may be writing there."""
    for draft in folder.glob(f".*{DRAFT}"):
        with suppress(OSError):
            draft.unlink(missing_ok=True)
