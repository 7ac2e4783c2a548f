"""Check whether a student's function is right, and if not, find the smallest case that shows it."""

from __future__ import annotations

import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any, NoReturn

import numpy as np
import torch
from hypothesis import Phase, find, settings
from hypothesis.errors import Flaky, NoSuchExample
from hypothesis.strategies import SearchStrategy
from torch import Tensor

from repronet.errors import first_line
from repronet.exercises.cases import HAVE_EMPTY, Case, cases
from repronet.exercises.catalogue import OPTIONAL, Exercise
from repronet.exercises.hints import hint
from repronet.exercises.reference import RIGHT, numbers
from repronet.exercises.submission import Verdict

EXAMPLES = 150  # cases per search; a right function passes them all
SECONDS = 5  # time limit of one call on a small case
TOLERANCE = 1e-5  # relative to the largest expected number, or to 1 if that is larger
SEARCH = settings(max_examples=EXAMPLES, database=None, deadline=None, phases=[Phase.generate, Phase.shrink])
OUTPUTS = ("the gradient of input", "the gradient of weight", "the gradient of bias")  # of a function with three


@dataclass(frozen=True)
class Difference:
    """Where and how an answer is wrong."""

    what: str
    where: list[int] | None = None
    yours: float | None = None
    right: float | None = None


def check_number(exercise: Exercise, answer: Any) -> Verdict:
    """Check the result of a hand computation; numbers of operations need only be right to the nearest million."""
    if answer is ...:
        return Verdict(exercise.name, "unwritten")
    due, idea = np.asarray(numbers()[exercise.name], dtype=float), hint(exercise.name, {}, bool)
    try:
        given = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        return Verdict(exercise.name, "wrong", f"{answer!r} is not a number", hint=idea)
    if given.shape != due.shape:
        what = f"has shape {given.shape}, expected {due.shape}"
        return Verdict(exercise.name, "wrong", what, hint=idea)
    right = np.abs(given - due) <= (5e5 if exercise.name.endswith("operations") else 1e-6)
    if right.all():
        return Verdict(exercise.name, "right")
    place = np.argwhere(~right)[0].tolist()
    return Verdict(exercise.name, "wrong", "", place, float(given[tuple(place)]), hint=idea)


def check_function(exercise: Exercise, function: Any, takes_tensors: bool) -> Verdict:
    """Search for the smallest case in which a function is wrong, and judge it."""
    if not callable(function):
        return Verdict(exercise.name, "wrong", f"is not a function: {function!r}")
    try:
        parameters = signature(function).parameters
        takes = [name for name in exercise.arguments if name not in OPTIONAL or name in parameters]
        signature(function).bind(*takes)
    except (TypeError, ValueError):
        return Verdict(exercise.name, "wrong", f"takes other arguments than {exercise.signature}")
    without = [name for name in exercise.arguments if name not in takes]
    trial = _Trial(exercise, function, takes, takes_tensors)
    case = trial.smallest()
    if case is None:
        return Verdict(exercise.name, "right", without=without)
    d = trial.difference(case) or Difference("gives different answers to the same arguments")
    shown = {name: _plain(case[name]) for name in takes}
    idea = "" if trial.hangs_in else hint(exercise.name, case, lambda other: bool(trial.difference(other)), d.what)
    return Verdict(exercise.name, "wrong", d.what, d.where, d.yours, d.right, shown, idea, without)


class _Trial:
    """Compares a student's function with ours.

    A call that takes too long ends the search, with its case as the result.
    """

    def __init__(self, exercise: Exercise, function: Callable[..., Any], takes: list[str], takes_tensors: bool):
        self.exercise, self.function, self.takes, self.takes_tensors = exercise, function, takes, takes_tensors
        self.hangs_in: tuple[Case, Difference] | None = None

    def smallest(self) -> Case | None:
        """The smallest failing case, searched in the simplest kind of cases first; None if all are right."""
        for strategy in self._searches():
            try:
                return _smallest(strategy, self._is_wrong)
            except NoSuchExample:
                if self.hangs_in is not None:
                    return self.hangs_in[0]
            except Flaky:
                return _smallest(strategy, lambda case: True)
        return None

    def _searches(self) -> list[SearchStrategy[Case]]:
        """The searches in order: without padding, dilation and groups, then with them, and last an empty batch."""
        topic = self.exercise.topic
        plain = [name for name in self.takes if name not in ("padding", *OPTIONAL)]
        searches = [cases(topic, plain)]
        if len(plain) < len(self.takes):
            searches.append(cases(topic, self.takes))
        if topic in HAVE_EMPTY:
            searches.append(cases(topic, self.takes, batch=0))
        return searches

    def _is_wrong(self, case: Case) -> bool:
        return self.difference(case) is not None and self.hangs_in is None

    def difference(self, case: Case) -> Difference | None:
        """Where the student's answer differs from ours in a case; None if it does not."""
        if self.hangs_in is not None:
            return self.hangs_in[1] if case is self.hangs_in[0] else None
        given = [case[name] for name in self.takes]
        due = RIGHT[self.exercise.name](*(_tensor(case[name]) for name in self.exercise.arguments))
        arguments = [_tensor(value) if self.takes_tensors else _array(value) for value in given]
        kept = [_copied(value) for value in arguments]
        try:
            with _at_most(SECONDS), _float64(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # numpy warns of an overflow, whose result is checked anyway
                answer = self.function(*arguments)
        except _TakesTooLong:
            difference = Difference(f"does not return within {SECONDS} seconds")
            self.hangs_in = case, difference
            return difference
        except Exception as error:
            return Difference(f"raises {type(error).__name__}: {first_line(error)}{_line(error, self.function)}")
        for name, before, after in zip(self.takes, kept, arguments, strict=True):
            if isinstance(before, Tensor | np.ndarray) and not (before == after).all():
                return Difference(f"changes its argument {name}; work on a copy")
        return _compared(answer, due)


def _smallest(strategy: SearchStrategy[Case], condition: Callable[[Case], bool]) -> Case:
    return find(strategy, condition, settings=SEARCH, random=Random(0))


def _compared(answer: Any, due: Any) -> Difference | None:
    """The first element that differs, in the first output with a difference."""
    if not isinstance(due, tuple):
        return _differs(answer, due, "")
    if not isinstance(answer, tuple | list) or len(answer) != len(due):
        return Difference(f"returns {type(answer).__name__}, expected {len(due)} gradients")
    found = (_differs(one, other, name) for one, other, name in zip(answer, due, OUTPUTS, strict=True))
    return next((difference for difference in found if difference is not None), None)


def _differs(answer: Any, due: Tensor, name: str) -> Difference | None:
    of = f"{name} " if name else ""  # which of several outputs
    try:
        given = answer.detach() if isinstance(answer, Tensor) else torch.from_numpy(np.array(answer, float, order="C"))
    except (TypeError, ValueError):
        return Difference(f"{of}returns {type(answer).__name__}, no numbers".strip())
    if given.shape != due.shape:
        return Difference(f"{of}has shape {tuple(given.shape)}, expected {tuple(due.shape)}".strip())
    given = given.double()
    limit = TOLERANCE * max(1.0, float(due.abs().max()) if due.numel() else 0.0)
    wrong = ((given - due).abs() <= limit).logical_not().nonzero()  # not >, so that NaN is wrong
    if not len(wrong):
        return None
    place = tuple(wrong[0].tolist())
    return Difference(name, list(place), float(given[place]), float(due[place]))


class _TakesTooLong(Exception):
    """A call did not return in time."""


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    """Interrupt the block if it takes longer."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise _TakesTooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _float64() -> Iterator[None]:
    """Make float64, the arguments' type, the default of torch.zeros and similar functions."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _tensor(value: Any) -> Any:
    return torch.from_numpy(_array(value)) if isinstance(value, np.ndarray) else value


def _array(value: Any) -> Any:
    """A copy in float64; labels stay whole numbers."""
    if not isinstance(value, np.ndarray):
        return value
    return value.astype(np.int64 if value.ndim == 1 and value.dtype == np.int32 else np.float64)


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value.copy() if isinstance(value, np.ndarray) else value


def _plain(value: Any) -> Any:
    """The value as plain lists and numbers, as one writes it in a file."""
    return value.tolist() if isinstance(value, np.ndarray) else list(value) if isinstance(value, tuple) else value


def _line(error: Exception, function: Callable[..., Any]) -> str:
    """The last line of the student's file that an error went through."""
    file = function.__code__.co_filename if hasattr(function, "__code__") else ""
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == file]
    return f" ({Path(file).name}:{lines[-1]})" if lines else ""
