"""The steps of an augmentation policy: their names, their values and the ranges of these. Needs no torch.

A step is a mapping such as ``{op: rotate, degrees: 15, p: 0.5}``. Every step has ``p``, the
probability that it is applied to an image. :mod:`repronet.data.operations` implements the steps.
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
    """A value's default and the rule that it must satisfy."""

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


def _op(p: float = 1, **values: tuple[Any, Constraint]) -> tuple[float, dict[str, Value]]:
    """A step's default probability, and its values."""
    return p, {name: Value(*value) for name, value in values.items()}


# In the order of the palette in the lectures.
OPERATIONS: dict[str, tuple[float, dict[str, Value]]] = {
    # geometry
    "flip": _op(0.5),
    "flip_vertical": _op(0.5),
    "crop": _op(),
    "centre_crop": _op(),
    "pad_crop": _op(padding=(4, PIXELS)),
    "random_resized_crop": _op(scale=([0.08, 1], _range(0.001, 1)), ratio=([3 / 4, 4 / 3], _range(0.01))),
    "resize": _op(short_side=([256, 256], _range(1, 2**15))),
    "crop_and_pad": _op(share=(0.1, BELOW_HALF)),
    "rotate": _op(degrees=(15, DEGREES)),
    "shear": _op(degrees=(10, ANGLE)),
    "translate": _op(share=(0.1, PROBABILITY)),
    "affine": _op(
        degrees=(10, DEGREES), translate=(0.1, PROBABILITY), scale=([0.9, 1.1], _range(0.01)), shear=(5, ANGLE)
    ),
    "perspective": _op(distortion=(0.3, PROBABILITY)),
    "elastic": _op(alpha=(50, NOT_NEGATIVE), sigma=(5, POSITIVE)),
    # colour
    "sharpen": _op(factor=(2, NOT_NEGATIVE)),
    "brighten": _op(factor=([0.7, 1.3], _range(0))),
    "contrast": _op(factor=([0.7, 1.3], _range(0))),
    "saturation": _op(factor=([0.7, 1.3], _range(0))),
    "hue": _op(turn=(0.05, Constraint(lambda x: 0 <= x <= 0.5, "a share of the circle from 0 to 0.5"))),
    "gamma": _op(gamma=([0.7, 1.5], _range(0.01))),
    "invert": _op(),
    "grayscale": _op(),
    "solarize": _op(threshold=(128, _up_to(256, "a pixel value"))),
    "posterize": _op(bits=(4, Constraint(lambda x: type(x) is int and 1 <= x <= 8, "a whole number from 1 to 8"))),
    "equalize": _op(),
    "colour_cast": _op(shift=(0.15, PROBABILITY)),
    "pca_colour": _op(std=(0.1, NOT_NEGATIVE)),
    # texture
    "blur": _op(sigma=([0.1, 2.0], _range(0.01))),
    "noise": _op(sigma=(0.05, NOT_NEGATIVE)),
    "salt": _op(share=(0.05, PROBABILITY), grain=(8, COUNT)),
    "superpixels": _op(count=(100, COUNT)),
    "emboss": _op(strength=(0.5, PROBABILITY)),
    "erase": _op(length=(16, COUNT)),
    # weather
    "clouds": _op(strength=(0.7, PROBABILITY)),
    "fog": _op(strength=(0.6, PROBABILITY)),
    "snow": _op(cover=(0.4, PROBABILITY), brightness=(2.0, Constraint(lambda x: x >= 1, "at least 1"))),
    # whole policies
    "randaugment": _op(operations=(2, COUNT), magnitude=(9, _up_to(30, "a magnitude"))),
    "trivial": _op(),
    "augmix": _op(severity=(3, Constraint(lambda x: type(x) is int and 1 <= x <= 10, "1 to 10")), width=(3, COUNT)),
    # mixing of two images and their labels
    "mixup": _op(alpha=(0.2, POSITIVE)),
    "cutmix": _op(alpha=(1.0, POSITIVE)),
}
MIXING = ("mixup", "cutmix")


def completed(steps: Sequence[Any], key: str = "augmentation.steps") -> list[Step]:
    """Check ``steps`` and fill in the defaults of their values.

    Raises:
        UserError: for an unknown step or value, a value out of its range, or mixing that is not the last step.
    """
    found = [_completed(step, f"{key}[{place}]") for place, step in enumerate(steps)]
    for place, step in enumerate(found[:-1]):
        if step.op in MIXING:
            raise UserError(f"{key}[{place}]: {step.op} mixes finished images; put it last")
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
