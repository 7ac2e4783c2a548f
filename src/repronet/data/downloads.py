"""Downloads through torchvision, which knows the addresses and the checksums: all files or none."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from repronet.errors import UserError

log = logging.getLogger(__name__)


def fetch(name: str, megabytes: int, folder: Path, download: Callable[[str], object], copy: str) -> None:
    """Download into a temporary folder, and move the files to ``folder`` when all of them have arrived.

    A failure leaves nothing behind.

    Args:
        download: called with the folder to download to.
        copy: what ``data.root`` may point to instead, for the error message.

    Raises:
        UserError: if the download fails, with the reason.
    """
    log.info("data=%s: no copy under %s; downloading it (%s MB)", name, folder, f"{megabytes:,}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder) as draft:
            download(draft)
            for part in Path(draft).iterdir():
                target = folder / part.name
                if part.is_dir() and target.is_dir():
                    shutil.copytree(part, target, dirs_exist_ok=True)
                else:
                    shutil.move(part, target)
    except Exception as error:  # urllib, ssl, zlib, tarfile and torchvision each raise their own kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"data={name}: no copy under {folder} and the download failed ({reason}); point data.root at {copy}, "
            "or use data=mnist5k, which needs no network"
        ) from error
