"""The releases as data, without a network."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from conftest import REPOSITORY
from repronet.models import MODELS
from repronet.papers import NETWORKS
from repronet.papers.releases import NONE_KNOWN, RELEASES
from repronet.papers.releases.notation import RULES, batch_norm, chain, conv


def test_they_need_no_torch():
    code = "import sys, repronet.papers.releases; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_they_are_of_networks_that_there_are():
    assert set(RELEASES) | set(NONE_KNOWN) <= set(NETWORKS) & set(MODELS)
    assert not set(RELEASES) & set(NONE_KNOWN)


@pytest.mark.parametrize("name", RELEASES)
def test_each_says_where_it_stands_and_why_ours_differs(name):
    release = RELEASES[name]
    place = release.source.partition(" ")[0]
    assert "/" in place or release.note, "repository, or why there is none"
    assert len(set(release.differences)) == len(release.differences)
    for named in release.differences:
        assert named.why
        assert named.theirs != named.ours


def test_the_page_says_how_many_there_are():
    page = (REPOSITORY / "docs/guide/networks.md").read_text("utf-8")
    said = re.findall(r"(\d+) networks (?:against their authors|are checked operator)", page)
    assert said == [str(len(RELEASES))] * 2


def test_what_a_file_does_not_state_is_left_out():
    assert conv(6, (5, 5), bias=True).settings == {
        **{"maps": 6, "window": 5, "stride": 1, "padding": 0, "groups": 1, "rounds": "down"},
        "bias": True,
    }
    assert conv(6, (1, 7), bias=0.2).settings["bias starts"] == 0.2
    assert "decay" not in batch_norm().settings


def test_chains_of_chains_are_chains():
    norm = batch_norm()
    assert chain(norm, (norm, norm), norm) == (norm,) * 4


def test_rules_by_hand():
    found = {rule: size(4, 16) for rule, size in RULES.items()}
    assert found == {
        **{"√(1/fan-in)": 0.5, "√(2/fan-in)": 0.5**0.5, "√(2/fan-out)": 0.125**0.5, "√(3/fan-in)": 0.75**0.5},
        "2.4/fan-in": 0.6,
    }
