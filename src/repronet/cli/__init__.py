"""The command line: one file a command. This file reads the words and turns every failure into one line."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from repronet import __version__
from repronet.errors import Fault, Terminated, UserError, nearest


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
    name, rest = _config_name({row.words: name for name, row in COMMANDS.items()}, words)
    return _run(name, _options(name, COMMANDS[name].words, rest), debug)


def _config_name(commands: dict[str, str], words: list[str]) -> tuple[str, list[str]]:
    """The name of the command's config, and the words behind the command, which has one word or two."""
    for length in (1, 2):
        spoken = " ".join(words[:length])
        if spoken in commands:
            return commands[spoken], words[length:]
    wanted = next(spoken for spoken in commands if spoken.startswith(f"{words[0]} "))
    raise UserError(f"{' '.join(words[:2])}: needs a second word; there is: {wanted}")


def _options(name: str, spoken: str, words: list[str]) -> argparse.Namespace:
    parser = _Parser(prog=f"repronet {spoken}", add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--cfg", choices=["job"])
    parser.add_argument("--plugin", action="append", default=[])
    if name == "train":
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


def _run(name: str, options: argparse.Namespace, debug: bool) -> int:
    if options.plugin:
        from repronet.config import plugins

        plugins.give(options.plugin)
    if name == "list":
        from repronet.cli.commands.listing import show

        return show(options.overrides)
    if options.cfg:
        return _show_config(name, options)
    from repronet.cli import table

    if name in ("reproduce", "compare"):
        return {"reproduce": table.reproduce, "compare": table.compare_tunings}[name](options.overrides, debug)
    if name == "report":
        return table.report(options.overrides)
    if name in table.PLAIN:
        return table.plain(name, options.overrides)
    return table.train(options.overrides, options.config_dir, options.multirun, debug)


def _show_config(name: str, options: argparse.Namespace) -> int:
    from omegaconf import OmegaConf

    from repronet.config.compose import compose
    from repronet.config.schema import COMMANDS

    words = [word for word in options.overrides if "=" in word or not COMMANDS[name].takes_names]
    print(OmegaConf.to_yaml(compose(name, words, options.config_dir)), end="")
    return 0
