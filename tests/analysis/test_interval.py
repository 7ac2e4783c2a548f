"""Wilson's interval of a counted error."""

from __future__ import annotations

import math

import pytest

from repronet.analysis.interval import interval, wilson


@pytest.mark.parametrize(("wrong", "images"), [(0, 10), (7, 10), (10, 10), (14, 1000), (871, 10_000)])
def test_it_is_the_formula(wrong, images):
    p, n, z = wrong / images, images, 1.959964
    root = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    ends = [(p + z * z / (2 * n) + sign * root) / (1 + z * z / n) for sign in (-1, 1)]
    assert wilson(p, images) == pytest.approx(ends, abs=1e-6)


def test_seven_of_ten_is_hardly_known():
    assert interval(0.7, 10) == "39.68% to 89.22%"
    assert interval(0.0, 10) == "0.00% to 27.75%"
