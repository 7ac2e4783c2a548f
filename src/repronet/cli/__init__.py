"""The command line: reads the words, hands them to a file of commands/, and turns every failure into one line."""

from __future__ import annotations

import argparse
import io
import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from repronet import __version__
from repronet.cli.failures import log, say
from repronet.errors import Terminated, UserError, nearest

EXIT_CODES = {UserError: 2, Terminated: 143, KeyboardInterrupt: 130, Exception: 1}  # the first that an error is one of


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(message)


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code: 0 done, 1 failed, 2 bad input, 130 Ctrl-C, 143 SIGTERM."""
    _print_everything()
    try:
        code = _dispatch(_without_debug(sys.argv[1:] if words is None else words))
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        sys.stderr.close()
        code = 1
    except (Exception, KeyboardInterrupt) as error:
        say(error)
        code = next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))
    sys.exit(code)


def _print_everything() -> None:
    """Show what a console has no character for as \\uNNNN; the work is not lost for the want of it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _without_debug(words: Sequence[str]) -> list[str]:
    """The words without ``debug=…``, which is about this program and not about a run."""
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

    known = list(dict.fromkeys(command.words.split()[0] for command in COMMANDS.values()))
    if not words or words[0] in ("-h", "--help", "help"):
        print(command_page(words[1]) if len(words) > 1 and words[1] in known else overview())
        return 0
    if words[0] in ("-V", "--version"):
        print(f"repronet {__version__}")
        return 0
    if words[0] not in known:
        raise UserError(f"{words[0]}: no such command{nearest(words[0], known)} (commands: {', '.join(known)})")
    if "-h" in words or "--help" in words:
        print(command_page(words[0]))
        return 0
    for name, command in COMMANDS.items():
        spoken = command.words.split()
        if words[: len(spoken)] == spoken:
            return _run(name, _options(name, command.words, words[len(spoken) :]))
    wanted = next(command.words for command in COMMANDS.values() if command.words.startswith(f"{words[0]} "))
    raise UserError(f"{' '.join(words[:2])}: needs a second word; there is: {wanted}")


def _options(name: str, spoken: str, words: list[str]) -> argparse.Namespace:
    parser = _Parser(prog=f"repronet {spoken}", add_help=False, allow_abbrev=False)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--cfg", choices=["job"])
    parser.add_argument("--plugin", action="append", default=[])
    parser.set_defaults(config_dir=None, multirun=False)
    if name == "train":
        parser.add_argument("--config-dir", "-cd", type=Path)
        parser.add_argument("--multirun", "-m", action="store_true")
    options = parser.parse_intermixed_args(words)
    if options.config_dir is not None and not options.config_dir.is_dir():
        raise UserError(f"--config-dir {options.config_dir}: no such folder")
    if options.multirun and options.cfg:
        raise UserError("--cfg job: shows one config; leave -m out")
    return options


def _run(name: str, options: argparse.Namespace) -> int:
    """Call ``run`` of the command's file, which is imported once the config is known to be right."""
    from omegaconf import OmegaConf
    from rich.console import Console

    from repronet.config import plugins
    from repronet.config.compose import compose
    from repronet.config.schema import COMMANDS
    from repronet.runs.folder import CONFIG, require_run
    from repronet.runs.processes import refuse_several
    from repronet.runs.stopping import StopSwitch
    from repronet.session.console import speaking_to

    refuse_several()
    console = Console(highlight=False)
    plugins.give(options.plugin)
    with StopSwitch().listening(), speaking_to(console):
        if name == "train" and not options.cfg:  # which may be a run to go on with, or many
            from repronet.cli.commands.train import run

            return 0 if run(options.words, options.config_dir, options.multirun, console) else 1
        config = compose(name, options.words, options.config_dir)
        if options.cfg:
            print(OmegaConf.to_yaml(config), end="")
            return 0
        if config.get("run"):
            folder = Path(config.run).expanduser()
            if not folder.is_dir():  # said before torch is imported, which takes seconds
                require_run(folder, CONFIG, "run")
            plugins.require_for(folder)
        work = import_module(f"repronet.cli.commands.{name}").run
        words = [options.words] if COMMANDS[name].takes_words else []
        return 1 if work(config, console, *words) is False else 0
