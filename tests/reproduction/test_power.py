"""Power against published tables, against trials, and what it makes of plans."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from scipy.stats import ttest_ind

from made_up_records import made_up
from repronet.errors import UserError
from repronet.papers.cost import Cost
from repronet.reproduction.plans import between, from_the_paper
from repronet.reproduction.power import Group, chance, counting, groups, power, seeds_against_one, seeds_needed

COSTS = {name: Cost("", 3600.0) for name in ("resnet20_cifar10", "resnet56_cifar10", "se_resnet20_cifar10")}


@pytest.mark.parametrize(
    ("effect", "wanted", "seeds"), [(0.5, 0.8, 51), (0.8, 0.8, 21), (1.0, 0.9, 18), (0.2, 0.8, 310)]
)
def test_seeds_are_those_of_the_tables(effect, wanted, seeds):
    """Cohen 1988, table 2.4.1, one-sided at 5 %; two-sided at 10 %."""
    assert seeds_needed(effect, (1.0, 1.0), wanted) == seeds


def test_power_is_the_share_of_trials_that_find_the_difference():
    drawn = np.random.default_rng(0)
    ours, theirs = drawn.normal(0, 1, (4000, 4)), drawn.normal(1.5, 2, (4000, 6))
    found = ttest_ind(ours, theirs, axis=1, equal_var=False, alternative="less")[1] < 0.05
    assert power(1.5, Group(4, 1.0), Group(6, 2.0)) == pytest.approx(found.mean(), abs=0.02)


def test_chance_is_welchs_and_with_one_seed_students():
    ours, theirs = (0.080, 0.090, 0.084), (0.085, 0.081, 0.091)
    difference = statistics.mean(theirs) - statistics.mean(ours)
    welch = ttest_ind(ours, theirs, equal_var=False, alternative="less")[1]
    assert chance(difference, *groups(ours, theirs)) == pytest.approx(welch)
    alone = groups([0.07], theirs)
    student = ttest_ind([0.07], theirs, equal_var=True, alternative="less")[1]
    assert chance(statistics.mean(theirs) - 0.07, *alone) == pytest.approx(student)
    assert groups([0.07], [0.08]) is None


def test_no_deviation_no_difference_and_too_many_seeds():
    assert (power(0.1, Group(2, 0.0), Group(2, 0.0)), power(0.0, Group(2, 0.0), Group(2, 0.0))) == (1.0, 0.0)
    assert seeds_needed(0.0, (1.0, 1.0)) is None
    assert seeds_needed(0.001, (1.0, 1.0)) is None
    assert seeds_needed(100.0, (1.0, 1.0)) == 2
    assert seeds_against_one(0.5, 1.0, Group(1, 1.0, borrowed=3)) is None  # one run of the paper's spreads as far
    assert seeds_against_one(5.0, 1.0, Group(1, 1.0, borrowed=3)) > 2


def test_a_published_difference_is_what_is_looked_for():
    plan = between("resnet56_cifar10", "resnet20_cifar10", [made_up("resnet20_cifar10", budget="hour")], COSTS)
    assert plan.difference == pytest.approx(0.0178)  # 8.75 less 6.97 %, and nothing of the short run
    assert plan.deviation == pytest.approx((counting(0.0697, 10_000), counting(0.0875, 10_000)))
    assert plan.power is None
    assert str(plan) == (
        "1.78 points (the paper's), deviation 0.25 and 0.28 (assumed, from 10,000 images); for 0.8: 2 seeds each, 4.0 h"
    )


def test_a_recorded_difference_with_its_deviation_and_time():
    records = [made_up("se_resnet20_cifar10", seed, error) for seed, error in enumerate((0.080, 0.082, 0.084))]
    records += [made_up("resnet20_cifar10", seed, error) for seed, error in enumerate((0.083, 0.085, 0.087))]
    plan = between("se_resnet20_cifar10", "resnet20_cifar10", records, COSTS)
    assert plan.difference == pytest.approx(0.003)
    assert plan.source == "recorded, budget=paper"
    assert plan.deviation == pytest.approx((0.002, 0.002))
    assert plan.power == pytest.approx(power(0.003, Group(3, 0.002), Group(3, 0.002)))
    assert plan.seeds == seeds_needed(1.5, (1.0, 1.0))
    assert plan.seconds == 200.0
    with pytest.raises(UserError, match="no figures of both"):
        between("se_resnet20_cifar10", "resnet20_cifar10", records[:3], COSTS)


def test_ours_from_the_papers():
    records = [made_up("resnet110_cifar10", seed, error) for seed, error in enumerate((0.070, 0.072, 0.074))]
    plan = from_the_paper("resnet110_cifar10", records, COSTS)
    assert plan.difference == pytest.approx(0.0059)  # of the mean of the paper's five, 6.61 ± 0.16
    assert plan.deviation == pytest.approx((0.002, 0.0016))
    assert plan.seeds == seeds_against_one(0.0059, 0.002, Group(5, 0.0016))
    assert "each" not in plan.effort
    with pytest.raises(UserError, match="no run at full length"):
        from_the_paper("resnet20_cifar10", records, COSTS)
    with pytest.raises(UserError, match="prints no figure"):
        from_the_paper("plain20_cifar10", records, COSTS)
