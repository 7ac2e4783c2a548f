"""``repronet verify`` and the list of networks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from repronet.papers import NETWORKS
from repronet.papers.releases import RELEASES, Difference


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


def test_one_network_is_held_against_its_release_operator_by_operator(repronet):
    outcome = repronet("verify", "source=release", "model=resnet20")
    assert outcome.code == 0
    assert outcome.out.startswith("PASS  resnet20            70 operators, 341 checks, 2 listed differences\n")
    assert "  ok    conv1                        convolution 16 3, stride 1, padding 1\n" in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80
    where = "named layer2.0.downsample padded shortcut, stride 2 | zeros: theirs behind, ours around"
    assert where in " ".join(outcome.out.split())
    assert "released in facebookarchive/fb.resnet.torch models/resnet.lua, shortcut A\n" in outcome.out
    assert "  zeros: theirs behind, ours around, 2×: the paper leaves open where they stand" in outcome.out
    assert " ".join(outcome.out.split()).endswith(
        "checks, 2 listed differences: all as released, except listed differences"
    )


def test_a_difference_that_is_not_named_fails(repronet, monkeypatch):
    old = Difference("share", 0.5, 0.4, "it was so once")
    monkeypatch.setitem(RELEASES, "resnet20", replace(RELEASES["resnet20"], differences=(old,)))
    outcome = repronet("verify", "source=release", "model=resnet20")
    assert outcome.code == 1
    assert outcome.out.startswith("FAIL  resnet20 ")
    assert "  WRONG layer2.0.downsample and 1 more: zeros: theirs behind, ours around\n" in outcome.out
    assert "  WRONG fc: bias starts: theirs 0, ours uniform √(1/fan-in)\n" in outcome.out
    assert "  STALE *: share: theirs 0.5, ours 0.4: listed, but no longer there\n" in outcome.out
    assert outcome.out.endswith("0 listed differences: 1 not as released\n")


@pytest.mark.slow
def test_every_network_is_held_against_its_release(repronet):
    outcome = repronet("verify", "source=release")
    assert outcome.code == 0
    each, total = outcome.out.split("\n\n")
    lines = each.splitlines()
    assert [line.split()[:2] for line in lines] == [["PASS", name] for name in RELEASES]
    assert max(map(len, lines)) <= 80
    assert total.startswith(f"{len(RELEASES)} networks, ")


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
    assert "source=papers: must be one of sizes, release" in repronet("verify", "source=papers").err
    outcome = repronet("verify", "source=release", "model=zfnet")
    assert outcome.code == 2
    assert outcome.err == "repronet: model=zfnet: no released definition by its authors is known\n"
    assert "model=mlp: repronet.papers.releases has no release" in repronet("verify", "source=release", "model=mlp").err
