"""The exceptions whose messages are written for users, and suggestions for misspelled names."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable


class UserError(Exception):
    """A user's mistake: the problem, the offending value and what would be right, in one line; exit code 2."""


class Fault(Exception):
    """A failure of a valid run, in one line, such as a full disk or a killed process; exit code 1."""


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGUSR1, which cluster schedulers send before they kill; the message says how to resume."""


def nearest(word: str, valid: Iterable[str], at_least: float = 0.6) -> str:
    """``; nearest: X``, or an empty string if no valid name is similar; see :func:`closest`."""
    near = closest(word, valid, at_least)
    return f"; nearest: {near}" if near else ""


def closest(word: str, valid: Iterable[str], at_least: float = 0.6) -> str:
    """The valid name most similar to ``word``, or an empty string if none is similar.

    A name with dots also matches if the word is similar to the part after its last dot. Among equally similar names,
    the one with the nearest number is chosen: resnet20 for resnet21.

    Args:
        at_least: the least similarity, from 0 to 1.
    """
    near = max(valid, key=lambda name: (_likeness(word, name), -_number_apart(word, name)), default="")
    return near if near and _likeness(word, near) >= at_least else ""


def _likeness(word: str, name: str) -> float:
    (above, _, tail), (group, _, key) = word.rpartition("."), name.rpartition(".")
    if tail == key or word.replace(".", "_") == name.replace(".", "_"):
        return 1.0
    if above and group:  # a matching group alone does not make the keys similar
        return _ratio(tail, key) * _ratio(above, group)
    if above:  # the name has no group: only an identical key would be meant
        return _ratio(tail, key) / 2
    if not group:
        return _ratio(word, name)
    part_of_it = word in key or key in word
    return _ratio(word, key) * (1.0 if part_of_it else 0.75)  # there are so many keys that any word is similar to one


def _ratio(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def _number_apart(word: str, name: str) -> float:
    numbers = [re.search(r"\d+", text) for text in (word, name)]
    return abs(int(numbers[0][0]) - int(numbers[1][0])) if numbers[0] and numbers[1] else math.inf


def first_line(error: Exception) -> str:
    """The first line of an exception's text that is not blank, or the name of its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def in_one_line(error: BaseException) -> str:
    """An exception in one line: its text if it was written for users, else its type and text."""
    meant = isinstance(error, UserError | Fault | KeyboardInterrupt)
    reason = str(error) or "interrupted" if meant else f"{type(error).__name__}: {error} (debug=true shows where)"
    return " ".join(reason.split())
