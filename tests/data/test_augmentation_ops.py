"""The rules of augmentation steps: what is filled in, and the one line for what is wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest

from repronet.data.augmentation_ops import OPERATIONS, completed
from repronet.errors import UserError


def test_values_that_are_not_given_are_the_usual_ones():
    (step,) = completed([{"op": "rotate"}])
    assert (step.op, step.p, step.values) == ("rotate", 1.0, {"degrees": 15})
    (step,) = completed([{"op": "flip"}])
    assert step.p == 0.5


@pytest.mark.parametrize("op", OPERATIONS)
def test_the_usual_values_obey_the_rules(op):
    _, values = OPERATIONS[op]
    completed([{"op": op, **{name: value.default for name, value in values.items()}}])


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"op": "rotat"}, r"steps\[1\]\.op=rotat: no such step; nearest: rotate"),
        ({"op": "qqq"}, r"no such step \(steps: flip, "),
        ("flip", r"steps\[1\]=flip: must be a step such as"),
        ({"p": 1}, "must be a step such as"),
        ({"op": "rotate", "degree": 3}, r"steps\[1\]\.degree: rotate has no such value; nearest: degrees"),
        ({"op": "flip", "degrees": 3}, r"flip has no such value \(it has p\)"),
        ({"op": "rotate", "degrees": 200}, r"steps\[1\]\.degrees=200: must be degrees from 0 to 180"),
        ({"op": "rotate", "degrees": float("nan")}, "degrees=nan"),
        ({"op": "rotate", "degrees": "ten"}, "degrees=ten"),
        ({"op": "rotate", "degrees": [1, 2]}, r"degrees=\[1, 2\]"),
        ({"op": "rotate", "degrees": None}, "degrees=None"),
        ({"op": "rotate", "degrees": True}, "degrees=True"),
        ({"op": "flip", "p": 1.5}, r"p=1\.5: must be a number from 0 to 1"),
        ({"op": "brighten", "factor": 2}, r"factor=2: must be two numbers \[low, high\]"),
        ({"op": "brighten", "factor": [2, 1]}, r"factor=\[2, 1\]: must be two numbers"),
        ({"op": "posterize", "bits": 9}, "bits=9: must be a whole number from 1 to 8"),
        ({"op": "mixup"}, r"steps\[1\]: mixup mixes finished images; put it last"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(step, message):
    with pytest.raises(UserError, match=message) as caught:
        completed([{"op": "flip"}, step, {"op": "invert"}])
    assert "\n" not in str(caught.value)


def test_the_rules_need_no_torch():
    code = "import sys, repronet.data.augmentation_ops; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
