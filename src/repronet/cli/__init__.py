"""The command line: one file a command. This file reads the words and turns every failure into one line."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from repronet import __version__
from repronet.errors import Fault, Terminated, UserError

COMMANDS = (
    *("train", "finetune", "eval", "summary", "verify", "gradcheck", "bench"),
    *("reproduce", "predict", "visualize", "report", "export", "augment", "data", "schedule", "find-rate", "list"),
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(message)


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code: 0 done, 1 failed, 2 bad input, 130 Ctrl-C, 143 SIGTERM."""
    words = list(sys.argv[1:] if words is None else words)
    debug = False
    try:
        debug = _take_debug(words)
        code = _dispatch(words, debug)
    except UserError as error:
        code = _fail(str(error), 2, debug)
    except Fault as error:
        code = _fail(str(error), 1, debug)
    except KeyboardInterrupt as error:
        code = _fail(str(error) or "interrupted", 143 if isinstance(error, Terminated) else 130, debug)
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        sys.stderr.close()
        code = 1
    except Exception as error:
        code = _fail(f"{type(error).__name__}: {error} (debug=true shows where)", 1, debug)
    sys.exit(code)


def _take_debug(words: list[str]) -> bool:
    """Remove ``debug=…`` from the words, since it is about this program and not about a run."""
    debug = False
    for word in [word for word in words if word.startswith("debug=")]:
        if word not in ("debug=true", "debug=false"):
            raise UserError(f"{word}: must be true or false")
        words.remove(word)
        debug = word == "debug=true"
    return debug


def _fail(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"repronet: {' '.join(message.split())}", file=sys.stderr)
    return code


def _dispatch(words: list[str], debug: bool) -> int:
    from repronet.cli.help import command_page, overview

    if not words or words[0] in ("-h", "--help", "help"):
        print(command_page(words[1]) if len(words) > 1 and words[1] in COMMANDS else overview())
        return 0
    if words[0] in ("-V", "--version"):
        print(f"repronet {__version__}")
        return 0
    command, rest = words[0], words[1:]
    if command not in COMMANDS:
        from repronet.config.compose import nearest

        raise UserError(f"{command}: no such command{nearest(command, COMMANDS)} (commands: {', '.join(COMMANDS)})")
    if "-h" in rest or "--help" in rest:
        print(command_page(command))
        return 0
    if command == "list":
        from repronet.cli.commands.listing import show

        return show(rest)
    command = {"schedule": "preview", "find-rate": "find_rate"}.get(command, command)  # the config's name
    if command in SUBJECTS:
        command, rest = _with_subject(command, rest)
    return _run(command, _options(command, rest), debug)


# Commands that take words without an equals sign: experiments, folders.
NAMING = ("reproduce", "report")
# Commands of two words, with the config that each has.
SUBJECTS = {"bench": ("conv", "bench"), "data": ("check", "check"), "finetune": ("compare", "compare")}


def _with_subject(command: str, words: list[str]) -> tuple[str, list[str]]:
    """The config's name and the words behind ``bench conv``, ``data check`` or ``finetune compare``."""
    subject, config = SUBJECTS[command]
    if not words or words[0] != subject:
        wrong = f"{command} {words[0]}" if words else command
        raise UserError(f"{wrong}: needs a second word; there is: {command} {subject}")
    return config, words[1:]


def _options(command: str, words: list[str]) -> argparse.Namespace:
    parser = _Parser(prog=f"repronet {command}", add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--cfg", choices=["job"])
    if command == "train":
        parser.add_argument("--config-dir", "-cd", type=Path)
        parser.add_argument("--multirun", "-m", action="store_true")
    else:
        parser.set_defaults(config_dir=None, multirun=False)
    options = parser.parse_intermixed_args(words)
    if options.config_dir is not None and not options.config_dir.is_dir():
        raise UserError(f"--config-dir {options.config_dir}: no such folder")
    if options.multirun and options.cfg:
        raise UserError("--cfg job: shows one config; leave -m out")
    return options


def _run(command: str, options: argparse.Namespace, debug: bool) -> int:
    if options.cfg:
        from omegaconf import OmegaConf

        from repronet.config.compose import compose

        words = [word for word in options.overrides if "=" in word or command not in NAMING]
        print(OmegaConf.to_yaml(compose(command, words, options.config_dir)), end="")
        return 0
    from repronet.cli import table

    if command == "reproduce":
        return table.reproduce(options.overrides, debug)
    if command == "compare":
        return table.compare_tunings(options.overrides, debug)
    if command in table.SINGLE:
        return table.SINGLE[command](options.overrides)
    return table.train(options.overrides, options.config_dir, options.multirun, debug)
