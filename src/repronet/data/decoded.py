"""A cache of decoded images: a dataset's pixels and labels in one file, which later runs map into memory.

The file's name contains a key of its sources, so that changed sources make a new file. It is written under a temporary
name and then renamed, so that a run that is killed meanwhile leaves no incomplete file.
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

_VERSION = 1  # of the meaning of the tensors; a new version makes a new file


def key_of(files: Iterable[Path], root: Path) -> str:
    """A hash of the files' names below ``root``, sizes and modification times; their content is not read."""
    digest = hashlib.sha256(f"{_VERSION}".encode())
    for file in sorted(files):
        try:
            status = file.stat()
        except OSError:  # a broken link, or one to itself; reading it will raise the error
            status = file.lstat()
        digest.update(f"{file.relative_to(root)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def decoded(folder: Path, name: str, key: str, decode: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors that ``decode`` returns, read from an earlier call's file in ``folder`` or computed and saved there.

    If the folder cannot be written to, the only cost is that every run decodes again.

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
    """Check that ``root`` is a folder.

    Raises:
        UserError: if it is not.
    """
    if not root.is_dir():
        raise UserError(f"data.root={root}: no such folder (make it to download there, or leave data.root out)")
