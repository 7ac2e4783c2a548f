"""``search=optuna``: Optuna chooses each run's values from the results of the others, and may prune runs.

The study is a file that many processes and machines may use at the same time. A trial is a run of a sweep: its folder
has its number, its value is the best validation error, and a run that was stopped is resumed as the same trial.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from repronet import runs
from repronet.config.groups import looking_in
from repronet.config.overrides import parse, swept
from repronet.errors import UserError, in_one_line
from repronet.session.jobs import Ended, Job, folder_name

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

STUDY = "study.journal"
SWEEP = "sweep"  # the user attribute of a trial that names its sweep


@dataclass(frozen=True)
class Search:
    """The search space and the settings of a search."""

    sweep: Path  # the folder of the sweep
    settings: Mapping[str, Any]  # the values of ``search=optuna``
    common: tuple[str, ...]  # the overrides that all runs share
    space: tuple[str, ...]  # the overrides with several values, such as ``optimizer.lr=interval(0.001,1)``
    config_dir: str | None = None  # the folder of ``--config-dir``
    config_name: str | None = None  # the primary config of ``--config-name``

    def study(self) -> optuna.Study:
        """The study, created if there is none."""
        import optuna
        from optuna.storages.journal import JournalFileBackend, JournalStorage
        from sqlalchemy.pool import NullPool

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        file = Path(self.settings["storage"] or self.sweep / STUDY).expanduser()
        file.parent.mkdir(parents=True, exist_ok=True)
        spared = self.settings["spared"]
        pruners = {
            # Optuna counts steps from 0, and epochs are counted from 1.
            "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=spared, n_warmup_steps=spared + 1),
            "halving": optuna.pruners.SuccessiveHalvingPruner,
            "none": optuna.pruners.NopPruner,
        }
        # A journal is only appended to, which works on network file systems. NullPool, since nothing would close
        # a pooled connection.
        storage = (
            JournalStorage(JournalFileBackend(str(file)))
            if file.suffix == ".journal"
            else optuna.storages.RDBStorage(f"sqlite:///{file.resolve()}", {"poolclass": NullPool})
        )
        return optuna.create_study(
            storage=storage,
            pruner=pruners[self.settings["pruner"]](),
            study_name=self.settings["study"] or self.sweep.name,
            load_if_exists=True,
        )

    def sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """The sampler for trial ``number``; each process has its own sampler, so the seed depends on the trial."""
        import optuna

        kind = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}[self.settings["sampler"]]
        return kind(seed=None if self.settings["seed"] is None else self.settings["seed"] + number)

    def folder_of(self, number: int, params: Mapping[str, Any]) -> str:
        """The name of a trial's run folder; trials are numbered from 0, folders from 1."""
        return folder_name(number + 1, words(params))

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """The trials of this sweep; other machines may have their own in the same study."""
        return [trial for trial in self.study().trials if trial.user_attrs.get(SWEEP) == self.sweep.name]

    def named(self) -> dict[str, list[str]]:
        """The overrides of each trial, by the name of its run folder."""
        return {self.folder_of(trial.number, trial.params): words(trial.params) for trial in self.trials()}

    def best(self) -> str:
        """A line with the best trial of the study and the number of trials in each state."""
        states = Counter(trial.state.name.lower() for trial in self.study().trials)
        counted = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
        if "complete" not in states:
            return f"no trial has ended ({counted})"
        best = self.study().best_trial
        return f"best of {states.total()} trials ({counted}): trial {best.number + 1}, {' '.join(words(best.params))}"

    def jobs(self, plugins: tuple[str, ...]) -> Iterator[TrialJob]:
        """The jobs that are left: stopped trials that no process is running, then new trials."""
        sweep = self.sweep.resolve()
        for trial in self.trials():
            name = self.folder_of(trial.number, trial.params)
            if not trial.state.is_finished() and not runs.busy(sweep / name):
                yield TrialJob(sweep, name, 1, plugins, search=self, number=trial.number)
        left = self.settings["trials"] - len(self.study().trials)
        for number in range(left):
            yield TrialJob(sweep, f"new_{number + 1}", 1, plugins, search=self)


def require_search() -> None:
    """Raise UserError if Optuna is not installed."""
    if find_spec("optuna") is None:
        raise UserError("search=optuna: the package is missing; pip install optuna")


def words(params: Mapping[str, Any]) -> list[str]:
    """A trial's values as overrides, with numbers to six digits."""
    return [f"{key}={format(value, '.6g') if isinstance(value, float) else value}" for key, value in params.items()]


def distributions(space: Sequence[str]) -> dict[str, BaseDistribution]:
    """The distribution of each override, by its key: an interval of numbers, a range with steps, or several choices."""
    return {
        override.get_key_element(): _distribution(word, override)
        for word, override in zip(space, parse(space), strict=True)
    }


def _distribution(word: str, override: Any) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value, log = override.value(), "log" in getattr(override.value(), "tags", ())
    if override.is_interval_sweep():
        whole = isinstance(value.start, int) and isinstance(value.end, int)
        kind = IntDistribution if whole else FloatDistribution
        if not value.start <= value.end or (log and value.start <= 0):
            right = "must rise from a number above 0" if log else "must rise"
            raise UserError(f"{word}: an interval {right}")
        return kind(value.start, value.end, log=log)
    values = swept(word, override)
    if override.is_range_sweep() and all(value.lstrip("-").isdigit() for value in values) and len(values) > 1:
        numbers = sorted(map(int, values))
        return IntDistribution(numbers[0], numbers[-1], step=numbers[1] - numbers[0])
    return CategoricalDistribution(values)


def corners(space: Sequence[str]) -> Iterator[list[str]]:
    """Overrides of runs that together cover every end and every choice, to check that all are valid."""
    ends = {
        key: list(getattr(found, "choices", None) or (found.low, found.high))  # type: ignore[attr-defined]
        for key, found in distributions(space).items()
    }
    for number in range(max(map(len, ends.values()))):
        yield words({key: values[number % len(values)] for key, values in ends.items()})


@dataclass(frozen=True)
class TrialJob(Job):
    """A trial; called in the process that trains it."""

    search: Search | None = None
    number: int | None = None  # the trial to resume; None: a new one

    def run(self, console: Console) -> Ended:
        """Ask the study for values, or use those of the trial, train, and report the result to the study."""
        from optuna.trial import TrialState

        from repronet.training.callbacks.pruning import PRUNED

        assert self.search is not None
        study = self.search.study()
        trial = self._trial(study)
        if trial is None:  # other processes have taken the remaining trials
            return Ended("", None)
        name, chosen = self.search.folder_of(trial.number, trial.params), words(trial.params)
        console.print(f"\ntrial {trial.number + 1}: {' '.join(chosen)}", markup=False)
        try:
            value = self._value(self.sweep / name, chosen, trial, console)
        except Exception as error:
            study.tell(trial.number, state=TrialState.FAIL)
            reason = in_one_line(error)
            console.print(reason, markup=False, soft_wrap=True)
            return Ended(name, reason)
        pruned = study.trials[trial.number].user_attrs.get(PRUNED, False)
        study.tell(trial.number, None if pruned else value, TrialState.PRUNED if pruned else TrialState.COMPLETE)
        return Ended(name, None)

    def _trial(self, study: optuna.Study) -> optuna.Trial | None:
        import optuna

        assert self.search is not None
        if self.number is not None:
            return optuna.Trial(study, study.trials[self.number]._trial_id)
        if len(study.trials) >= self.search.settings["trials"]:
            return None
        trial = study.ask()
        study.sampler = self.search.sampler(trial.number)
        for key, distribution in distributions(self.search.space).items():
            trial._suggest(key, distribution)  # called by its suggest_float, suggest_int and suggest_categorical
        trial.set_user_attr(SWEEP, self.search.sweep.name)
        return trial

    def _value(self, folder: Path, chosen: list[str], trial: optuna.Trial, console: Console) -> float:
        """Train or resume, and return the value to minimize; if the run has already ended, only read its result."""
        from repronet.config.compose import compose
        from repronet.session.run import resume, with_absolute_root, write_config
        from repronet.training.callbacks.pruning import ReportsToStudy

        assert self.search is not None
        if not (folder / runs.CONFIG).exists():
            own = Path(self.search.config_dir) if self.search.config_dir else None
            with looking_in(own, self.search.config_name):
                config = compose("train", [*self.search.common, *chosen])
            folder.mkdir(exist_ok=True)
            write_config(with_absolute_root(config), folder)
        if not (folder / runs.RESULT).exists():
            resume(folder, console, callbacks=[ReportsToStudy(trial)])
        result = runs.read_result(folder)
        if result["best_val_error"] is None:
            raise UserError("nothing was validated, so there is nothing to compare; train for at least one epoch")
        return 1 - result["best_val_map"] if "best_val_map" in result else result["best_val_error"]
