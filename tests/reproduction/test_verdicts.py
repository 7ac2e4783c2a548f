"""Claims against records whose answer is known."""

from __future__ import annotations

import pytest

from made_up_records import made_up
from repronet.config.compose import compose
from repronet.papers.claims import CLAIMS, Claim, Fewer, Lower, Sooner
from repronet.papers.experiments import EXPERIMENTS
from repronet.papers.records import Citation, Printed
from repronet.reproduction.verdicts import judge

WHERE = Citation("a paper", "somewhere")
LOWER = Claim("a errs less than b", WHERE, Lower("test_error", "a", "b"))
SOONER = Claim("a is sooner at 25 %", WHERE, Sooner("train_error", 0.25, "a", "b"))
OVERTAKES = Claim("a is sooner where b ends", WHERE, Sooner("val_error", None, "a", "b"))


def seeds(name, errors, **values):
    return [made_up(name, seed, error, **values) for seed, error in enumerate(errors)]


def test_one_seed_each_is_decided_by_the_figures_and_says_so():
    verdict = judge(LOWER, [made_up("a", test_error=0.08), made_up("b", test_error=0.09)])
    assert verdict.outcome == "PASS"
    assert verdict.evidence == "test error 8.00 % (1) against 9.00 % (1) (one seed each); 3 epochs, budget=paper"
    reverse = judge(LOWER, [made_up("a", test_error=0.09), made_up("b", test_error=0.08)])
    assert reverse.outcome == "CANNOT TELL"
    assert "(one seed each), the other way round; 3" in reverse.evidence
    assert (verdict.tested, reverse.tested, verdict.decided) == (False, False, False)
    assert judge(LOWER, [made_up("a", test_error=0.08), made_up("b", test_error=0.08)]).outcome == "CANNOT TELL"


def test_several_seeds_must_differ_by_more_than_chance():
    clear = judge(LOWER, seeds("a", (0.080, 0.081, 0.082)) + seeds("b", (0.090, 0.091, 0.092)))
    assert clear.outcome == "PASS"
    # Welch by hand: t = -0.01 / sqrt(2 · 1e-6 / 3), four degrees of freedom, one-sided.
    assert "p = 0.00013" in clear.evidence
    assert clear.tested
    assert clear.decided
    back = judge(LOWER, seeds("a", (0.090, 0.091, 0.092)) + seeds("b", (0.080, 0.081, 0.082)))
    assert (back.outcome, back.decided) == ("FAIL", True)
    assert "the other way round" in back.evidence
    mixed = judge(LOWER, seeds("a", (0.080, 0.090, 0.084)) + seeds("b", (0.085, 0.081, 0.091)))
    assert (mixed.outcome, mixed.decided) == ("CANNOT TELL", False)  # so few seeds would find no such difference
    assert mixed.power < 0.5
    assert "may be chance" in mixed.evidence


def test_what_seeds_enough_do_not_find_fails():
    """Three seeds each with deviations of 0.2 find 1.78 points, the paper's, if they are there."""
    depth = Claim("56 layers err less", WHERE, Lower("test_error", "resnet56_cifar10", "resnet20_cifar10"))
    ours, theirs = seeds("resnet56_cifar10", (0.080, 0.082, 0.084)), seeds("resnet20_cifar10", (0.081, 0.083, 0.085))
    verdict = judge(depth, ours + theirs)
    assert (verdict.outcome, verdict.decided) == ("FAIL", True)
    assert verdict.power > 0.99
    wide = seeds("resnet56_cifar10", (0.06, 0.08, 0.10)), seeds("resnet20_cifar10", (0.061, 0.081, 0.101))
    assert judge(depth, wide[0] + wide[1]).outcome == "CANNOT TELL"


def test_one_seed_against_several_is_students_test():
    verdict = judge(LOWER, [made_up("a", test_error=0.08), *seeds("b", (0.090, 0.091, 0.092))])
    assert verdict.outcome == "PASS"
    # t = 0.011 / (0.001 √(1 + 1/3)) = 9.5, two degrees of freedom, one-sided
    assert "p = 0.0054" in verdict.evidence
    near = judge(LOWER, [made_up("a", test_error=0.089), *seeds("b", (0.090, 0.091, 0.092))])
    assert near.outcome == "CANNOT TELL"


def test_seeds_that_all_agree_are_no_chance():
    assert judge(LOWER, seeds("a", (0.08, 0.08)) + seeds("b", (0.09, 0.09))).outcome == "PASS"
    assert judge(LOWER, seeds("a", (0.08, 0.08)) + seeds("b", (0.08, 0.08))).outcome == "CANNOT TELL"


def test_runs_of_one_side_under_several_configs_decide_nothing():
    verdict = judge(LOWER, [made_up("a"), made_up("a", 1, lr=0.2), made_up("b")])
    assert (verdict.outcome, verdict.evidence) == ("NOT RUN", "runs of several configs, budget=paper")


def test_recipes_of_other_lengths_are_compared_where_that_is_the_claim():
    free = Claim("a errs less than b", "somewhere", Lower("test_error", "a", "b", equal_steps=False))
    longer = made_up("a", test_error=0.08, train=(0.5, 0.2, 0.1, 0.1), val=(0.6, 0.3, 0.2, 0.2))
    verdict = judge(free, [longer, made_up("b", test_error=0.09)])
    assert verdict.outcome == "PASS"
    assert verdict.evidence.endswith("; 4 epochs against 3, budget=paper")


def test_the_longest_budget_that_both_were_run_for_decides():
    short = [made_up("a", test_error=0.5, budget="minutes"), made_up("b", test_error=0.4, budget="minutes")]
    long = [made_up("a", test_error=0.1), made_up("b", test_error=0.2)]
    assert judge(LOWER, short).outcome == "CANNOT TELL"
    assert judge(LOWER, short + long).outcome == "PASS"
    assert judge(LOWER, short + long[:1]).outcome == "CANNOT TELL"
    full = judge(LOWER, short, ("paper",))
    assert (full.outcome, full.evidence) == ("NOT RUN", "no run of a and b")


def test_runs_of_other_lengths_smoke_and_one_side_decide_nothing():
    longer = made_up("b", train=(0.5, 0.2, 0.1, 0.1), val=(0.6, 0.3, 0.2, 0.2))
    assert judge(LOWER, [made_up("a"), longer]).evidence == "no two runs of equal length"
    smoke = judge(LOWER, [made_up("a", budget="smoke"), made_up("b", budget="smoke")])
    assert (smoke.outcome, smoke.evidence) == ("NOT RUN", "only smoke runs of a and b, which decide nothing")
    assert judge(LOWER, [made_up("a", budget="smoke"), made_up("b")]).evidence.startswith("only smoke runs of a, ")
    verdict = judge(LOWER, [made_up("a")])
    assert (verdict.outcome, verdict.evidence) == ("NOT RUN", "no run of b")


def test_sooner_is_the_first_epoch_of_every_seed():
    quick, slow = made_up("a"), made_up("b", train=(0.5, 0.4, 0.2))
    verdict = judge(SOONER, [quick, slow])
    assert verdict.outcome == "PASS"
    assert verdict.evidence == "25 % after 2 epochs against 3; 3 epochs, budget=paper"
    assert judge(SOONER, [quick, made_up("b", train=(0.5, 0.4, 0.3))]).evidence.startswith(
        "25 % after 2 epochs against more than 3;"
    )
    assert judge(SOONER, [quick, made_up("b")]).outcome == "CANNOT TELL"  # both after two
    late = [made_up("a", seed, train=(0.5, 0.4, 0.2)) for seed in range(2)]
    assert judge(SOONER, late + [made_up("b", seed) for seed in range(2)]).outcome == "FAIL"


def test_overtaking_is_held_against_the_lowest_error_of_the_other():
    slow = made_up("b", val=(0.6, 0.5, 0.4))
    assert judge(OVERTAKES, [made_up("a"), slow]).evidence.startswith("40 % after 2 epochs against 3")


def test_what_is_counted_is_decided_without_runs():
    (three,) = [judge(CLAIMS["three_3x3"], [])]
    assert (three.outcome, three.evidence) == ("PASS", "27 against 49 weights for one map each, counted")
    # 28·28·(128·256 + 9·192·256 + 25·96·256), and the same from 64 maps with three reductions.
    assert judge(CLAIMS["bottleneck"], []).evidence == "271,351,808 against 854,196,224 multiplications, counted"
    assert judge(CLAIMS["bottleneck"], []).outcome == "PASS"
    wrong = Claim("", WHERE, Fewer("weights", ((1, 1, 3, 1),), ((1, 1, 7, 1),), (Printed("27"), Printed("49"))))
    assert judge(wrong, []).outcome == "FAIL"  # 9 is not the printed 27


# 1,202 layers have no shorter budget, and a DenseNet another recipe than a ResNet.
OF_OTHER_LENGTHS = {"dense", "too_deep", "dense_wider", "dense_wider_of_100"}
RUN = {name: claim.shown_by for name, claim in CLAIMS.items() if not isinstance(claim.shown_by, Fewer)}


def test_claims_name_experiments_that_there_are():
    for shown_by in RUN.values():
        assert {shown_by.better, shown_by.worse} <= EXPERIMENTS.keys()


def test_claims_say_where_they_stand():
    for name, claim in CLAIMS.items():
        assert claim.citation.document, name
        assert claim.citation.where, name
        assert claim.printed, name


def test_both_sides_have_budgets_of_equal_length():
    for name, shown_by in RUN.items():
        better, worse = (EXPERIMENTS[side] for side in (shown_by.better, shown_by.worse))
        if name not in OF_OTHER_LENGTHS:
            assert (better.minutes, better.hour) == (worse.minutes, worse.hour), name


# What the two sides of a claim may differ in, beside what makes the experiment's name.
VARIED = {
    "augmentation": {"augmentation", "dropout"},  # the paper drops only where it augments nothing
    "augmentation_nin": {"augmentation"},
    "dropout": {"dropout"},
    "squeeze_excitation": {"model", "preprocessing"},  # each as its paper
    "squeeze_excitation_164": {"model", "preprocessing"},
    "pre_activation": {"model", "schedule"},  # each with its paper's warm-up
    "response_norm_imagenet": {"normalization"},
    "response_norm_small": {"normalization", "optimizer"},  # it makes maps smaller, for which the best rate is higher
    "batch_norm": {"normalization"},
    "distortions": {"augmentation"},
}


@pytest.mark.parametrize("name", sorted(set(RUN) - {"dense"}))
def test_a_comparison_varies_what_is_compared_alone(name):
    shown_by = RUN[name]
    ours, theirs = (compose("train", [f"experiment={side}"]) for side in (shown_by.better, shown_by.worse))
    allowed = VARIED.get(name, {"model"})
    different = {key for key in ours if ours[key] != theirs[key]} - {"experiment"}
    assert different <= allowed, name
    if "optimizer" in different:
        assert {key for key in ours.optimizer if ours.optimizer[key] != theirs.optimizer[key]} == {"lr"}
