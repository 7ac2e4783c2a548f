"""The exceptions that a person is meant to read, and the hint at what was perhaps meant."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable


class UserError(Exception):
    """What was wrong, the offending value and what would have been right, in one line; exit code 2."""


class Fault(Exception):
    """What stopped a run that was rightly asked for, in one line: a full disk, a killed process; exit code 1."""


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGUSR1 came, which the schedulers of clusters send before they kill; the text says how to go on."""


def nearest(word: str, valid: Iterable[str], at_least: float = 0.6) -> str:
    """``; nearest: X``, or nothing when no valid name is near; see :func:`closest`."""
    near = closest(word, valid, at_least)
    return f"; nearest: {near}" if near else ""


def closest(word: str, valid: Iterable[str], at_least: float = 0.6) -> str:
    """The valid name that is most like ``word``, or an empty string when none is like it.

    A name with dots is also near when the word is like what stands behind its last dot. Of names that are equally like
    it, the one with the nearest number is meant: resnet20 for resnet21.

    Args:
        at_least: the likeness, from 0 to 1, of which there must be.
    """
    near = max(valid, key=lambda name: (_likeness(word, name), -_number_apart(word, name)), default="")
    return near if near and _likeness(word, near) >= at_least else ""


def _likeness(word: str, name: str) -> float:
    (above, _, tail), (group, _, key) = word.rpartition("."), name.rpartition(".")
    if tail == key or word.replace(".", "_") == name.replace(".", "_"):
        return 1.0
    if above and group:  # a group that is right makes no key alike
        return _ratio(tail, key) * _ratio(above, group)
    if above:  # in another place, where only the very same word would be meant
        return _ratio(tail, key) / 2
    if not group:
        return _ratio(word, name)
    part_of_it = word in key or key in word
    return _ratio(word, key) * (1.0 if part_of_it else 0.75)  # of keys alone there are many, one of them like any word


def _ratio(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def _number_apart(word: str, name: str) -> float:
    numbers = [re.search(r"\d+", text) for text in (word, name)]
    return abs(int(numbers[0][0]) - int(numbers[1][0])) if numbers[0] and numbers[1] else math.inf


def first_line(error: Exception) -> str:
    """The first line of an exception's text that says something, or its name."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def in_one_line(error: BaseException) -> str:
    """What a person reads of an exception: its text where it was written for one, else its name with it."""
    meant = isinstance(error, UserError | Fault | KeyboardInterrupt)
    reason = str(error) or "interrupted" if meant else f"{type(error).__name__}: {error} (debug=true shows where)"
    return " ".join(reason.split())
