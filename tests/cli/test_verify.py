"""``repronet verify`` and the list of networks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from repronet.papers import NETWORKS


def test_one_network_is_shown_check_by_check(repronet):
    outcome = repronet("verify", "model=lenet5_1998")
    assert outcome.code == 0
    assert outcome.out.startswith("PASS  lenet5_1998")
    assert "  ok    parameters: 60,000, expected 60,000 (paper)" in outcome.out
    assert "  ok    connections of all layers: 340,908, expected 340,908 (paper)" in outcome.out
    assert outcome.out.endswith("checks: all as expected\n")
    assert max(map(len, outcome.out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"parameters": 61_707}, "  WRONG parameters: 61,706, expected 61,707 (computed)"),
        ({"stages": (("s2", (6, 14, 13)),)}, "  WRONG shape after s2: 6×14×14, expected 6×14×13"),
        ({"stages": (("s9", (6, 14, 14)),)}, "  WRONG shape after s9: not there, expected 6×14×14"),
        ({"receptive_field": ("c3", 15)}, "  WRONG receptive field of c3: 14×14, expected 15"),
        ({"connections": (("c1", 1),)}, "  WRONG connections of c1: 122,304, expected 1 (paper)"),
    ],
)
def test_what_is_not_as_published_is_named(repronet, monkeypatch, changes, line):
    monkeypatch.setitem(NETWORKS, "lenet5", replace(NETWORKS["lenet5"], **changes))
    outcome = repronet("verify", "model=lenet5")
    assert outcome.code == 1
    assert outcome.out.startswith("FAIL  lenet5 ")
    assert line in outcome.out
    assert "1 of 1 network not as expected" in outcome.out


def test_the_list_of_networks_says_how_large_each_is(repronet, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    outcome = repronet("list", "models")
    rows = {line[2:].split()[0]: line for line in outcome.out.splitlines() if line[:1] in "* " and line[2:3].isalpha()}
    assert set(NETWORKS) <= set(rows)
    assert rows["resnet50"].split()[:6] == ["resnet50", "2015", "25.6", "M", "3.86", "G"]
    assert rows["resnet50_v1_5"].startswith("* ")
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_mistakes(repronet):
    assert "layer=conv2d: no such key" in repronet("verify", "layer=conv2d").err
    assert repronet("verify", "model=resnet5").code == 2
