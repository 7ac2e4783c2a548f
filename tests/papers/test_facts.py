"""The published facts: what can be checked without building a network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torchvision

from repronet.papers import NETWORKS
from repronet.papers.records import Printed
from repronet.papers.tables import networks_page, short
from repronet.weights.published import BUILDERS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("printed", "exact", "agrees"),
    [
        (Printed("3.8 G"), 3_849_999_999, True),
        (Printed("3.8 G"), 3_851_000_000, False),
        (Printed("3.8 G", truncated=True), 3_858_000_000, True),
        (Printed("3.8 G", truncated=True), 3_799_000_000, False),
        (Printed("60,000"), 60_000, True),
        (Printed("60,000"), 60_001, False),
        (Printed("40.55 M"), 40_551_424, True),
        (Printed("138 M"), 138_500_001, False),
    ],
)
def test_what_is_printed_stands_for_what_rounds_to_it(printed, exact, agrees):
    assert printed.agrees(exact) is agrees


def test_what_is_no_printed_number_is_refused():
    with pytest.raises(ValueError, match="'about 4 G' is no printed number"):
        Printed("about 4 G").agrees(4e9)


@pytest.mark.parametrize("name", BUILDERS)
def test_what_is_quoted_from_torchvision_is_what_it_publishes(name):
    facts = NETWORKS[name]
    meta = torchvision.models.get_model_weights(BUILDERS[name]).IMAGENET1K_V1.meta
    assert (facts.with_heads or facts.parameters) == meta["num_params"] or facts.parameters == meta["num_params"]
    accuracies = meta["_metrics"]["ImageNet-1K"]
    for error in facts.errors:
        if error.where.startswith("torchvision"):
            assert error.percent == pytest.approx(
                100 - accuracies["acc@1" if "top-1" in error.of else "acc@5"], abs=1e-6
            )
            assert error.verified
    if facts.macs is not None and name not in ("resnet18", "resnet34"):
        assert facts.macs.agrees(meta["_ops"] * 1e9)


def test_no_figure_claims_to_be_verified_without_its_source():
    for facts in NETWORKS.values():
        for error in facts.errors:
            assert error.where
            assert not error.verified or error.where.startswith("torchvision")


def test_modern_networks_say_how_they_deviate():
    for facts in NETWORKS.values():
        assert bool(facts.deviations) == facts.modern


def test_the_page_of_networks_is_written_from_the_facts():
    written = (ROOT / "docs/networks.md").read_text(encoding="utf-8")
    assert written == networks_page()  # else: python scripts/regenerate.py docs


def test_short_figures():
    assert [short(n) for n in (12, 999, 60_000, 61_706, 138_357_544, 4_089_184_256)] == [
        "12",
        "999",
        "60.0 k",
        "61.7 k",
        "138 M",
        "4.09 G",
    ]
