"""Many runs from one command. All have folders before the first starts, so that missing ones can be run later."""

from __future__ import annotations

import json
import secrets
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.text import Text

from repronet import runs
from repronet.cli.failures import say
from repronet.cli.tables import PlainTable
from repronet.config import plugins
from repronet.config.compose import typed_group
from repronet.config.groups import own_config, own_folder
from repronet.errors import UserError
from repronet.session.jobs import OUTPUT, Ended, Job, folder_name
from repronet.session.launchers import launched, require_launcher, script
from repronet.session.search import Search, require_search

SWEEP = "sweep.json"
# The columns of the table; those of mAP only if a run has several labels per image.
FIGURES = {"best val": "best_val_error", "test": "test_error", "best val mAP": "best_val_map", "test mAP": "test_map"}
BASIC = {"name": "basic"}


@dataclass(frozen=True)
class Sweep:
    """The content of ``sweep.json``: a set of runs."""

    folder: Path
    jobs: list[list[str]]  # the words of each run alone; empty for a search, whose study has them
    compared: bool = False  # whether the runs are ways of fine-tuning, which a table and an image sum up at the end
    launcher: Mapping[str, Any] = field(default_factory=lambda: BASIC)  # the values of ``launcher=``
    search: Search | None = None  # the values of ``search=``, if there is one, and the words of its runs

    @property
    def runs(self) -> dict[Path, list[str]]:
        """The folder of each known run, with the words of that run alone."""
        if self.search is not None:
            return {self.folder / name: words for name, words in self.search.named().items()}
        return {self.folder / folder_name(number, words): words for number, words in enumerate(self.jobs, start=1)}

    def missing(self) -> list[Job]:
        """The runs without a result, as jobs for a launcher."""
        if self.search is not None:
            return list(self.search.jobs(plugins.asked_for()))
        return [
            Job(self.folder.resolve(), run.name, 1, plugins.asked_for())
            for run in self.runs
            if not (run / runs.RESULT).exists()
        ]


def begin(
    configs: Sequence[DictConfig],
    jobs: list[list[str]],
    compared: bool = False,
    launcher: DictConfig | None = None,
    folder: Path | None = None,
) -> Sweep:
    """Create a sweep with a folder for each run, which has its config.

    Args:
        folder: the sweep's folder; default: a new one below runs/sweeps.
    """
    from repronet.config.build import plain
    from repronet.config.build_weights import with_old_classes
    from repronet.session.run import with_absolute_root, write_config

    settled = [with_old_classes(with_absolute_root(config)) for config in configs]  # before a folder is made
    sweep = Sweep(_new_folder(folder), jobs, compared, BASIC if launcher is None else plain(launcher))
    for config, run in zip(settled, sweep.runs, strict=True):
        run.mkdir()
        write_config(config, run)
    _write(sweep)
    return sweep


def begin_search(
    settings: DictConfig, common: list[str], space: list[str], launcher: DictConfig, folder: Path | None
) -> Sweep:
    """Create a sweep whose runs get their values when they start; see :mod:`repronet.session.search`."""
    from repronet.config.build import plain

    own = own_folder()
    values, where = plain(settings), str(own.resolve()) if own else None
    if values["storage"] is not None:
        values["storage"] = str(Path(values["storage"]).expanduser().resolve())
    made = _new_folder(folder)
    search = Search(made.resolve(), values, tuple(common), tuple(space), where, own_config())
    sweep = Sweep(made, [], False, plain(launcher), search)
    _write(sweep)
    return sweep


def _write(sweep: Sweep) -> None:
    """Write ``sweep.json``, last of all, so that a folder without it is known to be incomplete."""
    content = {"jobs": sweep.jobs, "compared": sweep.compared, "launcher": sweep.launcher, "search": None}
    if sweep.search is not None:
        content["search"] = {key: value for key, value in asdict(sweep.search).items() if key != "sweep"}
    (sweep.folder / SWEEP).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _new_folder(wanted: Path | None) -> Path:
    if wanted is not None:
        return runs.claim_run_folder(wanted.expanduser(), "hydra.sweep.dir")
    folder = Path("runs") / "sweeps" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}-{secrets.token_hex(3)}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror}); go to a folder that can be written") from error
    return folder


def listed(seeds: Any) -> list[int]:
    """The seeds of ``seeds=3`` or ``seeds=[0,1,2]``."""
    return list(range(seeds)) if isinstance(seeds, int) else list(seeds)


def begun(folder: Path) -> Sweep:
    """Read the sweep in ``folder``."""
    try:
        content = json.loads((folder / SWEEP).read_text("utf-8"))
        if content.get("search"):
            require_search()
        search = Search(folder.resolve(), **content["search"]) if content.get("search") else None
        sweep = Sweep(folder, content["jobs"], bool(content.get("compared")), content.get("launcher", BASIC), search)
        whole = all(run.is_dir() for run in sweep.runs) or search is not None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"resume_sweep={folder}: no sweep there; give the folder that holds {SWEEP}") from error
    if not whole:
        raise UserError(f"resume_sweep={folder}: a run's folder is missing; {SWEEP} names {len(sweep.jobs)} of them")
    return sweep


def work(sweep: Sweep, console: Console) -> bool:
    """Run what is missing with the launcher and print all results; returns whether every run succeeded.

    For a search, one success is enough: that a learning rate is too high for training is a result too.
    """
    launcher, missing = OmegaConf.create(typed_group("launcher", dict(sweep.launcher))), sweep.missing()
    if launcher.get("dry_run"):
        console.print(script(launcher, missing), markup=False, soft_wrap=True)
        return True
    require_launcher(launcher)
    count = len(sweep.jobs) or len(missing) + len(sweep.runs)
    console.print(f"{count} job{'s' * (count != 1)} in {sweep.folder}", markup=False, soft_wrap=True)
    if launcher.name != "basic":
        console.print(f"output of each job: {sweep.folder / OUTPUT}", markup=False, soft_wrap=True)
    reasons: dict[Path, str] = {}  # of runs that failed
    try:
        here = launcher.name == "basic"
        for ended in _here(sweep, missing, console) if here else launched(launcher, missing):
            if ended.reason is not None:
                reasons[sweep.folder / ended.folder] = ended.reason
            if ended.folder and not here:
                console.print(_line(sweep, ended), markup=False, soft_wrap=True)
    except KeyboardInterrupt as stop:
        raise type(stop)(f"interrupted; resume with: repronet train resume_sweep={sweep.folder}") from stop
    finally:  # after Ctrl-C too: show the finished runs
        rows: list[tuple[list[str], dict[str, Any] | str]] = []  # for a failed run, the reason
        for run, words in sweep.runs.items():
            if (run / runs.RESULT).exists():
                rows.append((words, {**runs.read_result(run), "run_dir": str(run)}))
            elif run in reasons:
                rows.append((words, reasons[run]))
        console.print()
        console.print(_table(rows))
    if sweep.search is not None:
        console.print(f"\n{sweep.search.best()}", markup=False, soft_wrap=True)
    if not launcher.get("wait", True):
        console.print(f"\nfor the results: repronet report {sweep.folder}", markup=False, soft_wrap=True)
        return True
    left = len(sweep.missing())
    if left:
        again = f"{left} to run again: repronet train resume_sweep={sweep.folder}"
        console.print(f"\n{again}", markup=False, soft_wrap=True)
    return left == 0 and any((run / runs.RESULT).exists() for run in sweep.runs)


def _here(sweep: Sweep, missing: Sequence[Job], console: Console) -> Iterator[Ended]:
    """Run the jobs one after another in this process."""
    numbers = {run.name: number for number, run in enumerate(sweep.runs, start=1)}
    for job in missing:
        if sweep.search is None:
            words = " ".join(sweep.runs[sweep.folder / job.name])
            console.print(f"\njob {numbers[job.name]} of {len(numbers)}: {words}", markup=False)
        try:
            yield job.run(console)
        except Exception as error:
            yield Ended(job.name, say(error))


def _line(sweep: Sweep, ended: Ended) -> str:
    """One line that says how a run in another process ended."""
    run = sweep.folder / ended.folder
    if ended.reason is not None:
        return f"{ended.folder}: {ended.reason}"
    result = runs.read_result(run)
    figures = (
        f"{name} {_figure(result.get(key), key)}" for name, key in FIGURES.items() if result.get(key) is not None
    )
    return f"{ended.folder}: {', '.join(figures)}, {result['train_seconds']:.0f} s"


def _table(rows: list[tuple[list[str], dict[str, Any] | str]]) -> PlainTable:
    table = PlainTable(title="all jobs")
    known = {key for _, outcome in rows for key in outcome if not isinstance(outcome, str)}
    shown = {name: key for name, key in FIGURES.items() if key in known or key.endswith("error")}
    for heading in ("job", *shown, "seconds"):
        table.add_column(heading, no_wrap=heading != "job")
    table.add_column("run folder", overflow="fold")
    for words, outcome in rows:
        name = Text(" ".join(words))
        if isinstance(outcome, str):
            table.add_row(name, "failed", *[""] * len(shown), Text(outcome))
        else:
            figures = (_figure(outcome.get(key), key) for key in shown.values())
            table.add_row(name, *figures, f"{outcome['train_seconds']:.0f}", Text(Path(outcome["run_dir"]).name))
    for name, folds in _by_folds(rows).items():
        figures = (_mean_and_deviation([fold.get(key) for fold in folds], key) for key in shown.values())
        table.add_row(Text(name), *figures, f"{sum(fold['train_seconds'] for fold in folds):.0f}")
    return table


def _figure(value: float | None, key: str) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if key.endswith("map") else f"{value:.2%}"


def _by_folds(rows: Sequence[tuple[list[str], dict[str, Any] | str]]) -> dict[str, list[dict[str, Any]]]:
    """The results of two or more runs that differ only in their fold, by the words that they share."""
    found: dict[str, list[dict[str, Any]]] = {}
    for words, outcome in rows:
        others = [word for word in words if not word.startswith("data.fold=")]
        if len(others) < len(words) and not isinstance(outcome, str):
            found.setdefault(" ".join(others), []).append(outcome)
    return {f"{name} {len(folds)} folds".strip(): folds for name, folds in found.items() if len(folds) > 1}


def _mean_and_deviation(values: Sequence[float | None], key: str) -> str:
    """Mean and sample standard deviation, if all values are known."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return "-"
    return f"{_figure(statistics.mean(known), key)} ± {_figure(statistics.stdev(known), key).rstrip('%')}"
