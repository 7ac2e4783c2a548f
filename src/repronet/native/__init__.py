"""Kernels in C for `algorithm=native`, compiled for this processor when they are first used.

They are optional: without a C compiler, `missing` says so, and every other algorithm computes the same. The compiled
library is kept in the user's cache (``REPRONET_CACHE``, else the platform's), under a name that depends on the sources,
the compiler and the processor, so that a library of an older version or of another machine is never used.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared", "-std=gnu11")
OPTIONAL = ("-fopenmp", "-mprefer-vector-width=512")  # dropped if the compiler does not know them, as clang on macOS
SANITIZED = ("-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_SOURCES = ("kernels.c", "norm.h", "conv.h", "winograd.h")
_TOO_LONG = 120.0  # seconds after which a compiler is stopped


class Missing(Exception):
    """The reason why there is no library, in one line."""


def compiler() -> list[str]:
    """The command of the C compiler: from ``CC``, else cc, gcc or clang.

    Raises:
        Missing: if there is none.
    """
    named = shlex.split(os.environ.get("CC", ""))
    for command in [named] if named else [["cc"], ["gcc"], ["clang"]]:
        if shutil.which(command[0]):
            return command
    sought = named[0] if named else "cc, gcc, clang"
    raise Missing(f"there is no C compiler here ({sought}); install one, or set CC")


def compiled(target: Path, more: Sequence[str] = ()) -> Path:
    """Compile the kernels to ``target``, which is written completely or not at all.

    Args:
        more: further flags, such as those of a sanitizer.

    Raises:
        Missing: if there is no compiler, or it fails.
    """
    command = compiler()
    source = str(Path(__file__).with_name("kernels.c"))
    said = ""
    with tempfile.TemporaryDirectory(prefix=".native-", dir=target.parent) as folder:
        draft = Path(folder) / target.name
        for optional in (OPTIONAL, OPTIONAL[:1], ()):
            words = [*command, *FLAGS, *optional, *more, source, "-o", str(draft), "-lm"]
            try:
                done = subprocess.run(words, capture_output=True, text=True, timeout=_TOO_LONG, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise Missing(f"{command[0]} cannot be run ({error})") from error
            if done.returncode == 0:
                draft.replace(target)
                return target
            said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip())
    raise Missing(f"{command[0]} does not compile the kernels ({said})")


def _place() -> Path:
    """The path of the library for these sources, this compiler and this processor."""
    from platformdirs import user_cache_path

    made_of = hashlib.sha256(repr((FLAGS, OPTIONAL, compiler(), _version(), _processor())).encode())
    for name in _SOURCES:
        made_of.update(Path(__file__).with_name(name).read_bytes())
    folder = Path(os.environ.get("REPRONET_CACHE") or user_cache_path("repronet")) / "native"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / f"{made_of.hexdigest()[:20]}.so"


def _version() -> str:
    done = subprocess.run([*compiler(), "--version"], capture_output=True, text=True, timeout=_TOO_LONG, check=False)
    return done.stdout.partition("\n")[0]


def _processor() -> str:
    """The instruction sets that this processor has, on which -march=native depends."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() + platform.machine()
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(dict.fromkeys(line for line in lines if line.startswith(("flags", "Features", "model name"))))


@cache
def library() -> ctypes.CDLL:
    """The kernels, compiled if necessary. Calls release the GIL, and their threads are torch's own.

    Raises:
        Missing: if they cannot be compiled or loaded.
    """
    try:
        place = _place()
        return ctypes.CDLL(str(place if place.exists() else compiled(place)))
    except OSError as error:
        raise Missing(f"the compiled kernels cannot be loaded ({error})") from error


@cache
def missing() -> str | None:
    """The reason why there are no kernels here; None if there are."""
    try:
        library()
    except Missing as reason:
        return str(reason)
    return None
