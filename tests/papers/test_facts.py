"""The published facts: what can be checked without building a network."""

from __future__ import annotations

from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import torchvision

from repronet.analysis.verification import verify
from repronet.papers import NETWORKS, published
from repronet.papers.records import Error, Printed, Protocol, Source, SourceKind, Statistic
from repronet.papers.sheets import SEPARATOR, rows
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
        if error.citation.document.startswith("torchvision"):
            assert error.percent == pytest.approx(
                100 - accuracies["acc@1" if "top-1" in error.of else "acc@5"], abs=1e-6
            )
    if isinstance(facts.macs, Printed) and name not in ("resnet18", "resnet34"):
        assert facts.macs.agrees(meta["_ops"] * 1e9)


def test_printed_multiplications_are_the_papers_or_torchvisions():
    table_1 = {"resnet50", "resnet101", "resnet152", "resnet18_a", "resnet34_a", "plain18", "plain34"}
    assert {name for name, facts in NETWORKS.items() if isinstance(facts.macs, Printed)} == {*BUILDERS, *table_1}


@pytest.mark.parametrize(
    ("name", "left", "printed"),
    [("preact_resnet1001", "10,178,490", "10.2 M"), ("resnext29_16x64d", "68,054,730", "68.1 M")],
)
def test_two_papers_leave_batch_norm_out_of_the_parameters_that_they_print(name, left, printed):
    check = next(check for check in verify(name) if check.what == "parameters, as printed")
    assert (check.found, check.expected, check.passed) == (left, f"{printed}, without batch norm", True)


def test_the_connections_of_alexnet_are_no_fact_of_its_paper():
    facts = NETWORKS["alexnet"]
    assert not facts.connections
    assert any("253,440" in note for note in facts.notes)


def test_every_figure_has_a_source_its_kind_and_the_kind_of_figure():
    for name, facts in NETWORKS.items():
        cited = [error.citation for error in facts.errors] + ([facts.recipe.citation] if facts.recipe else [])
        for citation in cited:
            assert citation.document, name
            assert citation.where, name
            assert citation.kind in get_args(SourceKind), name
        for error in facts.errors:
            assert error.statistic.runs == 1 or error.statistic.kind != "one run", name


def test_the_tables_have_no_word_that_the_records_do_not_know():
    for facts in NETWORKS.values():
        assert facts.source in get_args(Source)
        for error in facts.errors:
            assert error.protocol in get_args(Protocol)
            assert error.statistic.kind in get_args(get_type_hints(Statistic)["kind"])


@pytest.mark.parametrize(("sheet", "key"), [("papers", "paper"), ("recipes", "recipe"), ("phrases", None)])
def test_every_row_that_others_refer_to_is_referred_to(sheet, key):
    columns = [key] if key else ["deviations", "of_response_norm", "notes", "unconfirmed"]
    cells = (
        row.get(name, "") for kind in ("networks", "errors", "experiments") for row in rows(kind) for name in columns
    )
    assert {row["key"] for row in rows(sheet)} <= {text for cell in cells for text in cell.split(SEPARATOR)}


def test_a_figure_without_a_source_cannot_be_written():
    with pytest.raises(TypeError, match="citation"):
        Error(8.75, "CIFAR-10 test", "test images")


def test_no_more_than_the_crops_of_zfnet_is_unconfirmed():
    unconfirmed = {name for name, facts in NETWORKS.items() for error in facts.errors if error.unconfirmed}
    assert unconfirmed == {"alexnet", "zfnet", "zfnet_wide"}  # alexnet's: the reproduction of the same paper


@pytest.mark.parametrize(
    ("network", "percent", "expected", "kind"),
    [
        ("resnet110", 6.43, 6.61, "best of 5 runs, whose mean is 6.61 ± 0.16"),
        ("preact_resnet1001", 4.92, 4.89, "median of 5 runs, whose mean is 4.89 ± 0.14"),
        ("preact_resnet164", 5.46, 5.46, "median of 5 runs"),
        ("resnext29_8x64d", 3.65, 3.65, "mean of 10 runs"),
        ("resnet20", 8.75, 8.75, ""),
        ("alexnet", 38.1, None, "5 networks averaged"),
        ("inception_v3", 21.2, 21.2, "on 48,238 images"),
    ],
)
def test_what_a_mean_over_seeds_is_compared_with(network, percent, expected, kind):
    error = published(network, percent)
    assert (error.expected, error.kind) == (expected, kind)


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
