"""Right implementations in other styles than ours: numpy, loops, einsum, other people's functions. None is refused."""

from __future__ import annotations

from pathlib import Path

import in_loops
import in_numpy
import in_torch
import pytest

from repronet.exercises import checking, hints
from repronet.exercises.catalogue import exercises
from repronet.exercises.checking import check_function, check_number
from repronet.exercises.reference import RIGHT, numbers
from repronet.exercises.submission import read

RIGHT_ONES = [
    pytest.param(name, style, id=f"{style.__name__}-{name}")
    for style in (in_loops, in_numpy, in_torch)
    for name in read(Path(style.__file__), "").names
]


@pytest.mark.parametrize(("name", "style"), RIGHT_ONES)
def test_a_right_implementation_is_accepted(name, style, monkeypatch):
    monkeypatch.setattr(checking, "SEARCH", checking.settings(checking.SEARCH, max_examples=40))
    verdict = check_function(exercises()[name], getattr(style, name), takes_tensors=style is not in_numpy)
    assert verdict.verdict == "right", verdict
    assert verdict.without == (["dilation", "groups"] if (name, style) == ("conv2d_forward", in_numpy) else [])


def test_every_exercise_has_an_answer():
    known = exercises()
    assert [*RIGHT, *numbers()] == sorted(known, key=[*RIGHT, *numbers()].index)
    for name, answer in numbers().items():
        assert check_number(known[name], answer).verdict == "right"
    assert {param.values[0] for param in RIGHT_ONES} == set(RIGHT)
    assert len(known) >= 12
    assert set(hints._PLAIN) == set(known)
    assert {name for name, _ in hints._OF_EXERCISE} <= set(known)


@pytest.mark.parametrize(
    ("name", "answer", "what", "where"),
    [
        ("places_7_stride_3", [2, 2], "", [1]),
        ("places_7_stride_3", 2, "has shape (), expected (2,)", None),
        ("places_7_stride_3", [3, 0], "", [0]),
        ("alexnet_conv1_parameters", 34_848, "", []),
        ("alexnet_conv1_parameters", "many", "'many' is not a number", None),
        ("inception_operations", 853e6, "", []),
    ],
)
def test_a_wrong_number_is_found_and_the_right_one_not_given_away(name, answer, what, where):
    verdict = check_number(exercises()[name], answer)
    assert (verdict.verdict, verdict.what, verdict.where, verdict.right) == ("wrong", what, where, None)
    assert verdict.hint


def test_an_answer_to_the_million_is_enough():
    assert check_number(exercises()["inception_operations"], 854_000_000).verdict == "right"
    assert check_number(exercises()["inception_bottleneck_operations"], 271e6).verdict == "right"
    assert check_number(exercises()["alexnet_conv1_units"], ...).verdict == "unwritten"
