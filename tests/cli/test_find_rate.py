"""The rate finder: on a loss whose explosion is known, and on the digits."""

from __future__ import annotations

import math

import pytest

from repronet.cli.commands.find_rate import Point, steepest


def test_the_steepest_fall_of_a_known_curve():
    rates = [10 ** (-4 + n / 10) for n in range(50)]
    fall = [2 - 1 / (1 + math.exp(-(n - 25))) for n in range(40)]  # steepest at 25
    points = [Point(rate, loss, loss) for rate, loss in zip(rates, [*fall, *(5.0,) * 10], strict=True)]
    assert steepest(points) == pytest.approx(rates[25])


def test_a_loss_that_only_rises_has_none():
    assert steepest([Point(n, n, n) for n in range(30)]) is None
    assert steepest([Point(0, 1, 1)]) is None


def test_the_digits_get_a_rate_that_trains_them(repronet, tmp_path):
    outcome = repronet("find-rate", "steps=120", "out=sub/rate.png")
    assert (outcome.code, outcome.err) == (0, "")
    assert max(map(len, outcome.out.splitlines())) <= 80
    rate = float(outcome.out.split("optimizer.lr=")[1].split(";")[0])
    assert 0.005 <= rate <= 0.5
    assert (tmp_path / "sub" / "rate.png").stat().st_size > 5000
    assert [path.name for path in tmp_path.iterdir()] == ["sub"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["low=1", "high=0.1"], "high=0.1: must be above low=1"),
        (["steps=3"], "steps=3: must be a whole number of at least 20"),
        (["low=50", "high=100", "steps=20"], "low=50: the loss never fell from there on"),
        (["out=rate.pdf"], "out=rate.pdf: must be the name of a .png file"),
        (["lo=1"], "lo=1: no such key; nearest: low"),
    ],
)
def test_bad_words_are_one_line(repronet, words, message):
    outcome = repronet("find-rate", *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
