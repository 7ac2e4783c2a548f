"""Run one command: read its options and its words, in Hydra's grammar and ours, then do the work."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from omegaconf import DictConfig
from rich.console import Console

from repronet.cli.deferred import defer
from repronet.cli.hydra_flags import INFO, KINDS, show_info, shown
from repronet.config import groups, plugins, preflight
from repronet.config.compose import compose, hydra_config, untouched
from repronet.config.hydra_words import HydraWords, check_primary, levels, sorted_out
from repronet.config.schema import COMMANDS
from repronet.errors import UserError, nearest
from repronet.runs.processes import refuse_several
from repronet.runs.stopping import StopSwitch
from repronet.session.console import speaking_to


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(message)


def run(name: str, words: list[str]) -> int:
    """Run the command with the words after its name; returns its exit code."""
    console, options = Console(highlight=False), _options(name, words)
    found = _settled(name, options)
    if name != "train" or options.multirun:
        refuse_several()
    if name != "export" and "trainer.compile=true" not in options.words:  # these two compile
        defer()
    plugins.give(options.plugin)
    with (
        StopSwitch().listening(),
        speaking_to(console),
        groups.looking_in(options.config_dir, options.config_name),
    ):
        if options.info:
            show_info(name, found.ours, found.hydra, options.info, options.multirun)
            return 0
        if options.cfg:
            print(shown(name, found.ours, found.hydra, options.cfg, options.package, options.resolve), end="")
            return 0
        with _hydra_settings(name, found) as settings:
            return _work(name, found.ours, options.multirun, settings, console)


def _options(name: str, words: list[str]) -> argparse.Namespace:
    parser = _Parser(prog=f"repronet {COMMANDS[name].words}", add_help=False, allow_abbrev=False)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--cfg", "-c", choices=KINDS)
    parser.add_argument("--package", "-p")
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument("--info", "-i", nargs="?", const="all", choices=INFO)
    parser.add_argument("--plugin", action="append", default=[])
    parser.set_defaults(config_dir=None, config_name=None, multirun=False)
    if COMMANDS[name].finds_files:
        parser.add_argument("--config-dir", "-cd", type=Path)
    if COMMANDS[name].trains:
        parser.add_argument("--config-name", "-cn")
    if name == "train":
        parser.add_argument("--multirun", "-m", action="store_true")
    options, unknown = parser.parse_known_intermixed_args(words)
    if unknown:
        option = unknown[0].partition("=")[0]
        near = nearest(option, [f"--{known.replace('_', '-')}" for known in vars(options) if known != "words"], 0.8)
        raise UserError(f"{option}: no such option{near}; keys are written KEY=VALUE, without dashes")
    return options


def _settled(name: str, options: argparse.Namespace) -> HydraWords:
    """Sort the words into ours and Hydra's; a Hydra setting that is also an option of ours sets that option."""
    found = sorted_out(options.words)
    place = found.values.get("hydra.searchpath")
    if place is not None:
        places = place if isinstance(place, list) else [place]
        if len(places) + (options.config_dir is not None) != 1:
            raise UserError(f"hydra.searchpath={places}: one folder, or --config-dir; put the files together")
        options.config_dir = Path(places[0].removeprefix("file://"))
    if options.config_dir is not None and not options.config_dir.is_dir():
        raise UserError(f"--config-dir {options.config_dir}: no such folder")
    if options.config_name is not None:
        options.config_name = _primary(options.config_name, options.config_dir)
    mode = found.values.get("hydra.mode")
    if mode == "MULTIRUN" and name != "train":
        raise UserError("hydra.mode=MULTIRUN: repronet train makes several runs, no other command")
    options.multirun = options.multirun if mode is None else mode == "MULTIRUN"
    if options.multirun and options.cfg:
        raise UserError(f"--cfg {options.cfg}: shows one config; leave -m out")
    for option in ("package", "resolve"):
        if getattr(options, option) and not options.cfg:
            raise UserError(f"--{option}: says how --cfg shows a config; add --cfg job")
    return found


def _primary(name: str, folder: Path | None) -> str:
    """The name in ``--config-name`` without its ending, after checking that its file may be composed."""
    name = name.removesuffix(".yaml")
    if name == "train":
        return name
    if folder is None or not (folder / f"{name}.yaml").is_file():
        where = "say where it is with --config-dir" if folder is None else f"{folder} has no {name}.yaml"
        raise UserError(f"--config-name {name}: {where}; it must start with 'defaults: [train, _self_]'")
    check_primary(folder / f"{name}.yaml")
    return name


@contextmanager
def _hydra_settings(name: str, found: HydraWords) -> Iterator[DictConfig | None]:
    """Hydra's own config with its log levels in force; None if neither words nor ``--config-name`` can have set it."""
    if not found.hydra and groups.own_config() is None:
        yield None
        return
    chosen = [word for word in found.ours if word.startswith(("experiment=", "+experiment=")) and "," not in word]
    config = hydra_config(name, chosen, found.hydra)
    with levels(config):
        yield config


def _work(name: str, words: list[str], multirun: bool, settings: DictConfig | None, console: Console) -> int:
    """Call ``run`` of the command's module, which is imported only after the config is checked."""
    if name == "train":  # which may resume a run, or start many
        from repronet.cli.commands.train import run

        key, folder = "sweep" if multirun else "run", None
        if settings is not None:  # hydra.run.dir or hydra.sweep.dir, if it is not Hydra's default
            given, unset = (config.hydra[key]._get_node("dir")._value() for config in (settings, untouched()))
            folder = None if given == unset else Path(settings.hydra[key].dir)
        if folder is not None and not multirun and not any(word.startswith("run_dir=") for word in words):
            words = [*words, f"run_dir={folder}"]
        return 0 if run(words, multirun, console, folder if multirun else None) else 1
    config = compose(name, words)
    preflight.look(config)
    if config.get("run"):
        plugins.require_for(Path(config.run).expanduser())
    if config.get("to") == "page":
        import_module("repronet.cli.page").runtime_in(config.runtime)
    work = import_module(f"repronet.cli.commands.{name}").run
    spoken = [words] if COMMANDS[name].takes_words else []
    return 1 if work(config, console, *spoken) is False else 0
