"""How commands fail: in one line each, after the traceback under ``debug=true``."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from repronet.errors import Fault, UserError

log = logging.getLogger("repronet.cli")  # at level DEBUG under debug=true


def say(error: BaseException) -> str:
    """Print the one line that says what is wrong; returns it."""
    if log.isEnabledFor(logging.DEBUG):
        traceback.print_exception(error)
    if isinstance(error, UserError | Fault | KeyboardInterrupt):
        reason = str(error) or "interrupted"
    else:
        reason = f"{type(error).__name__}: {error} (debug=true shows where)"
    reason = " ".join(reason.split())
    print(f"repronet: {reason}", file=sys.stderr)
    return reason


@contextmanager
def writing(key: str, path: str | Path) -> Iterator[Path]:
    """Where to write the file that ``key`` names; its folder is made.

    Raises:
        UserError: when that fails, or what is done meanwhile.
    """
    file = Path(path).expanduser()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield file
    except OSError as error:
        raise UserError(f"{key}={file}: cannot be written ({error.strerror})") from error
    except Fault as error:  # of write_whole, which names the file
        raise UserError(f"{key}={error}") from error
