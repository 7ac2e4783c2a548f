"""Images decoded once: a dataset's pixels and labels in one file, which later runs map into memory.

The file's name holds a key of what it was made from, so that changed sources make another file. It is written beside
its place and renamed, so that a run that is killed meanwhile leaves no half file.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from repronet.errors import UserError

log = logging.getLogger(__name__)

_VERSION = 1  # of what the tensors mean; another one makes another file


def key_of(files: Iterable[Path], root: Path) -> str:
    """A hash of the files' names below ``root``, sizes and times of change: what is known of them unread."""
    digest = hashlib.sha256(f"{_VERSION}".encode())
    for file in sorted(files):
        try:
            status = file.stat()
        except OSError:  # a link to nothing, or to itself; who reads it will say so
            status = file.lstat()
        digest.update(f"{file.relative_to(root)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def decoded(folder: Path, name: str, key: str, decode: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of ``decode``, out of the file that an earlier call left in ``folder``, or else made and kept there.

    A folder that cannot be written to costs the decoding at every run and nothing else.

    Raises:
        Whatever ``decode`` raises.
    """
    file = folder / f"{name}-{key}.safetensors"
    if file.exists():
        try:
            return load_file(file)
        except (SafetensorError, OSError) as error:
            log.info("%s is damaged (%s); decoding the images again", file, str(error).splitlines()[0])
    tensors = decode()
    draft = file.with_name(f".{secrets.token_hex(3)}.{file.name}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            save_file(tensors, draft)
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
    except (OSError, SafetensorError) as error:
        log.info("%s cannot be written (%s); the images will be decoded at every run", file, error)
    return tensors


def require_folder(root: Path) -> None:
    """Refuse a root that is no folder.

    Raises:
        UserError: for such a root.
    """
    if not root.is_dir():
        raise UserError(f"data.root={root}: no such folder (make it to download there, or leave data.root out)")
