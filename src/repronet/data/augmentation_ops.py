"""The steps that an augmentation policy may be made of: their names and values, with what each may be. Needs no torch.

A step is a mapping such as ``{op: rotate, degrees: 15, p: 0.5}``. ``p``, the probability that a picture undergoes it,
exists for every step. What the steps do is in :mod:`repronet.data.operations`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repronet.constraints import ANGLE, COUNT, NOT_NEGATIVE, POSITIVE, PROBABILITY, Constraint
from repronet.errors import UserError, nearest


@dataclass(frozen=True)
class Step:
    """A step with all of its values."""

    op: str
    p: float
    values: dict[str, Any]


@dataclass(frozen=True)
class Value:
    """What a value is when nothing is said, and what it may be."""

    default: Any
    rule: Constraint


def _is_number(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)


def _range(low: float, high: float = math.inf) -> Constraint:
    def holds(found: Any) -> bool:
        pair = isinstance(found, list | tuple) and len(found) == 2 and all(map(_is_number, found))
        return pair and low <= found[0] <= found[1] <= high

    upper = f"at most {high:g}" if high < math.inf else "rising"
    return Constraint(holds, f"two numbers [low, high] of at least {low:g} and {upper}")


def _up_to(high: float, what: str) -> Constraint:
    return Constraint(lambda x: 0 <= x <= high, f"{what} from 0 to {high:g}")


PIXELS = Constraint(lambda x: type(x) is int and 0 <= x < 2**15, "a whole number of pixels")
DEGREES = _up_to(180, "degrees")
BELOW_HALF = Constraint(lambda x: 0 <= x < 0.5, "a number from 0 up to but not including 0.5")

# name: (probability when nothing is said, values). In the order of the lectures' palette.
OPERATIONS: dict[str, tuple[float, dict[str, Value]]] = {
    # geometry
    "flip": (0.5, {}),
    "flip_vertical": (0.5, {}),
    "crop": (1, {}),
    "centre_crop": (1, {}),
    "pad_crop": (1, {"padding": Value(4, PIXELS)}),
    "random_resized_crop": (
        1,
        {"scale": Value([0.08, 1], _range(0.001, 1)), "ratio": Value([3 / 4, 4 / 3], _range(0.01))},
    ),
    "resize": (1, {"short_side": Value([256, 256], _range(1, 2**15))}),
    "crop_and_pad": (1, {"share": Value(0.1, BELOW_HALF)}),
    "rotate": (1, {"degrees": Value(15, DEGREES)}),
    "shear": (1, {"degrees": Value(10, ANGLE)}),
    "translate": (1, {"share": Value(0.1, PROBABILITY)}),
    "affine": (
        1,
        {
            "degrees": Value(10, DEGREES),
            "translate": Value(0.1, PROBABILITY),
            "scale": Value([0.9, 1.1], _range(0.01)),
            "shear": Value(5, ANGLE),
        },
    ),
    "perspective": (1, {"distortion": Value(0.3, PROBABILITY)}),
    "elastic": (1, {"alpha": Value(50, NOT_NEGATIVE), "sigma": Value(5, POSITIVE)}),
    # colour
    "sharpen": (1, {"factor": Value(2, NOT_NEGATIVE)}),
    "brighten": (1, {"factor": Value([0.7, 1.3], _range(0))}),
    "contrast": (1, {"factor": Value([0.7, 1.3], _range(0))}),
    "saturation": (1, {"factor": Value([0.7, 1.3], _range(0))}),
    "hue": (1, {"turn": Value(0.05, Constraint(lambda x: 0 <= x <= 0.5, "a share of the circle from 0 to 0.5"))}),
    "gamma": (1, {"gamma": Value([0.7, 1.5], _range(0.01))}),
    "invert": (1, {}),
    "grayscale": (1, {}),
    "solarize": (1, {"threshold": Value(128, _up_to(256, "a pixel value"))}),
    "posterize": (
        1,
        {"bits": Value(4, Constraint(lambda x: type(x) is int and 1 <= x <= 8, "a whole number from 1 to 8"))},
    ),
    "equalize": (1, {}),
    "colour_cast": (1, {"shift": Value(0.15, PROBABILITY)}),
    "pca_colour": (1, {"std": Value(0.1, NOT_NEGATIVE)}),
    # texture
    "blur": (1, {"sigma": Value([0.1, 2.0], _range(0.01))}),
    "noise": (1, {"sigma": Value(0.05, NOT_NEGATIVE)}),
    "salt": (1, {"share": Value(0.05, PROBABILITY), "grain": Value(8, COUNT)}),
    "superpixels": (1, {"count": Value(100, COUNT)}),
    "emboss": (1, {"strength": Value(0.5, PROBABILITY)}),
    "erase": (1, {"length": Value(16, COUNT)}),
    # weather
    "clouds": (1, {"strength": Value(0.7, PROBABILITY)}),
    "fog": (1, {"strength": Value(0.6, PROBABILITY)}),
    "snow": (
        1,
        {"cover": Value(0.4, PROBABILITY), "brightness": Value(2.0, Constraint(lambda x: x >= 1, "at least 1"))},
    ),
    # whole policies
    "randaugment": (1, {"operations": Value(2, COUNT), "magnitude": Value(9, _up_to(30, "a magnitude"))}),
    "trivial": (1, {}),
    "augmix": (
        1,
        {
            "severity": Value(3, Constraint(lambda x: type(x) is int and 1 <= x <= 10, "1 to 10")),
            "width": Value(3, COUNT),
        },
    ),
    # of two pictures and their labels
    "mixup": (1, {"alpha": Value(0.2, POSITIVE)}),
    "cutmix": (1, {"alpha": Value(1.0, POSITIVE)}),
}
MIXING = ("mixup", "cutmix")


def completed(steps: Sequence[Any], key: str = "augmentation.steps") -> list[Step]:
    """``steps`` with every value, checked.

    Raises:
        UserError: for an unknown step or value, one out of its range, or mixing before the end.
    """
    found = [_completed(step, f"{key}[{place}]") for place, step in enumerate(steps)]
    for place, step in enumerate(found[:-1]):
        if step.op in MIXING:
            raise UserError(f"{key}[{place}]: {step.op} mixes finished pictures; put it last")
    return found


def _completed(step: Any, where: str) -> Step:
    if not isinstance(step, Mapping) or "op" not in step:
        raise UserError(f"{where}={step}: must be a step such as {{op: rotate, degrees: 15, p: 0.5}}")
    given = dict(step)
    op = given.pop("op")
    if op not in OPERATIONS:
        hint = nearest(str(op), OPERATIONS) or f" (steps: {', '.join(OPERATIONS)})"
        raise UserError(f"{where}.op={op}: no such step{hint}")
    usual, values = OPERATIONS[op]
    p = given.pop("p", usual)
    _check(f"{where}.p", p, PROBABILITY)
    for name, value in given.items():
        if name not in values:
            listed = ", ".join([*values, "p"])
            raise UserError(f"{where}.{name}: {op} has no such value{nearest(str(name), values)} (it has {listed})")
        _check(f"{where}.{name}", value, values[name].rule)
    return Step(op, float(p), {name: given.get(name, known.default) for name, known in values.items()})


def _check(key: str, value: Any, rule: Constraint) -> None:
    plain = value if isinstance(value, list | tuple) else [value]
    try:
        holds = all(map(_is_number, plain)) and rule.check(value)
    except TypeError:  # a list where a number belongs
        holds = False
    if not holds:
        raise UserError(f"{key}={value}: must be {rule.expected}")
