"""Error messages of commands: one line each, after the traceback if ``debug=true``."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from repronet.errors import Fault, UserError, in_one_line

log = logging.getLogger("repronet.cli")  # at level DEBUG under debug=true


def say(error: BaseException) -> str:
    """Print one line that says what is wrong; returns it."""
    if log.isEnabledFor(logging.DEBUG):
        traceback.print_exception(error)
    reason = in_one_line(error)
    print(f"repronet: {reason}", file=sys.stderr)
    return reason


@contextmanager
def writing(key: str, path: str | Path) -> Iterator[Path]:
    """Give the path of the file that ``key`` names, with its folder made; a failed write becomes a UserError."""
    file = Path(path).expanduser()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield file
    except OSError as error:
        raise UserError(f"{key}={file}: cannot be written ({error.strerror})") from error
    except Fault as error:  # from write_whole, whose message names the file
        raise UserError(f"{key}={error}") from error
