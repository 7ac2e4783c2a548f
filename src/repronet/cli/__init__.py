"""The command line: reads the words, calls a module of commands/ with them, and reports any failure in one line."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from repronet import __version__
from repronet.cli.failures import log, say
from repronet.errors import Terminated, UserError, nearest

BUSY = 1.5  # load average per core above which the machine counts as busy
EXIT_CODES = {UserError: 2, Terminated: 143, KeyboardInterrupt: 130, Exception: 1}  # the first matching class counts


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code: 0 done, 1 failed, 2 bad input, 130 Ctrl-C, 143 SIGTERM."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")  # characters that a console cannot show appear as \uNNNN
    _wait_asleep_where_it_is_busy()
    # torch reads this when imported: an operator that Apple's GPU lacks runs on the CPU, with one warning by torch.
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    try:
        code = _dispatch(_without_debug(sys.argv[1:] if words is None else words))
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        sys.stderr.close()
        code = 1
    except (Exception, KeyboardInterrupt) as error:
        say(error)
        code = next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))
    sys.exit(code)


def _wait_asleep_where_it_is_busy() -> None:
    """Let torch's threads sleep, not spin, while they wait for each other, if other programs need the processor.

    A spinning thread occupies a core that the awaited thread needs: on two cores with a load of nine, a ResNet-18
    trained at 3 images per second, and with sleeping threads at 16. On an idle machine, spinning is faster, by a tenth
    to a third. The results do not change. OpenMP reads the setting when torch is imported.
    """
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > BUSY * (os.cpu_count() or 1):
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _without_debug(words: Sequence[str]) -> list[str]:
    """Set the log level by ``debug=…``; returns the other words, since this key is not part of a run."""
    log.setLevel(logging.NOTSET)
    for word in words:
        if word.startswith("debug="):
            if word not in ("debug=true", "debug=false"):
                raise UserError(f"{word}: must be true or false")
            log.setLevel(logging.DEBUG if word == "debug=true" else logging.NOTSET)
    return [word for word in words if not word.startswith("debug=")]


def _dispatch(words: list[str]) -> int:
    from repronet.cli.help import command_page, overview
    from repronet.config.schema import COMMANDS

    if any(word in ("--shell-completion", "-sc") for word in words):
        from repronet.cli.completion import answer

        print(answer(words))
        return 0
    known = list(dict.fromkeys(command.words.split()[0] for command in COMMANDS.values()))
    if not words or words[0] in ("-h", "--help", "help"):
        print(command_page(words[1:]) if len(words) > 1 and words[1] in known else overview())
        return 0
    if words[0] in ("-V", "--version"):
        print(f"repronet {__version__}")
        return 0
    if words[0] not in known:
        raise UserError(f"{words[0]}: no such command{nearest(words[0], known)} (commands: {', '.join(known)})")
    if "-h" in words or "--help" in words:
        print(command_page(words))
        return 0
    for name, command in sorted(COMMANDS.items(), key=lambda one: -len(one[1].words.split())):  # the longest first
        spoken = command.words.split()
        if words[: len(spoken)] == spoken:
            from repronet.cli.run import run  # which imports Hydra
            from repronet.runs.memory import keep_memory

            keep_memory()
            return run(name, words[len(spoken) :])
    wanted = [command.words for command in COMMANDS.values() if command.words.startswith(f"{words[0]} ")]
    near = nearest(" ".join(words[:2]), wanted, at_least=0.8)
    raise UserError(f"{' '.join(words[:2])}: needs a second word{near}, one of: {', '.join(wanted)}")
