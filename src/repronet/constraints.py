"""Conditions on the values of a config, with their descriptions. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Constraint:
    """A condition on a value, with its description.

    Attributes:
        check: whether a value satisfies it.
        expected: the description of a valid value, after "must be".
        shown: the placeholder of the value in a help page.
        choices: all valid values, if they can be listed.
    """

    check: Callable[[Any], bool]
    expected: str
    shown: str = "VALUE"
    choices: tuple[str, ...] = ()


POSITIVE = Constraint(lambda x: x > 0, "a number above 0", "X")
NOT_NEGATIVE = Constraint(lambda x: x >= 0, "a number of at least 0", "X")
SHARE = Constraint(lambda x: 0 <= x < 1, "a number from 0 up to but not including 1", "X")
OPEN_SHARE = Constraint(lambda x: 0 < x < 1, "a number above 0 and below 1")
PROBABILITY = Constraint(lambda x: 0 <= x <= 1, "a number from 0 to 1")
FACTOR = Constraint(lambda x: 0 < x <= 1, "a number above 0 and at most 1", "X")
COUNT = Constraint(lambda x: 1 <= x < 2**31, "a whole number of at least 1 and below 2147483648", "N")
FOLDER = Constraint(lambda x: bool(x.strip()), "a folder", "DIR")
ANGLE = Constraint(lambda x: 0 <= x < 90, "degrees from 0 up to but not including 90")
ANY_NUMBER = Constraint(lambda x: True, "a finite number")
BETAS = Constraint(
    lambda xs: len(xs) == 2 and all(0 <= x < 1 for x in xs), "two numbers from 0 up to but not including 1"
)
MILESTONES = Constraint(
    lambda xs: all(x > 0 for x in xs) and sorted(xs) == list(xs), "rising numbers of epochs above 0"
)
MEANS = Constraint(lambda xs: bool(xs) and all(0 <= x <= 1 for x in xs), "one or more numbers from 0 to 1")
RATES = Constraint(lambda xs: bool(xs) and all(x > 0 for x in xs), "one or more numbers above 0")
LENGTHS = Constraint(lambda xs: bool(xs) and all(x >= 1 for x in xs), "one or more whole numbers of at least 1")
SEED = Constraint(lambda x: 0 <= x < 2**32, "a whole number from 0 to 4294967295")


def some_of(names: Sequence[str], example: str) -> Constraint:
    """The value must be a list of one or more of ``names``."""
    return Constraint(
        lambda xs: bool(xs) and set(xs) <= set(names), f"a list, such as [{example}], of {', '.join(names)}"
    )


def is_side(x: Any) -> bool:
    """Whether a GAN can generate images of this height and width."""
    return type(x) is int and x >= 8 and x & (x - 1) == 0


def one_of(*choices: str) -> Constraint:
    """The value must be one of ``choices``."""
    return Constraint(lambda x: x in choices, "one of " + ", ".join(choices), "|".join(choices), choices)
