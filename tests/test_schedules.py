"""Schedules: the rate of every step of a run."""

from __future__ import annotations

import pytest
import torch

from repronet import schedules

STEPS, EPOCHS, LR = 5, 8, 0.4


def rates(build: schedules.ScheduleBuilder) -> list[float]:
    """The rate of each optimizer step of a run of 8 epochs of 5 steps."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    schedule = build(optimizer, STEPS, EPOCHS)
    found = []
    for _ in range(STEPS * EPOCHS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_constant():
    assert rates(schedules.constant()) == [LR] * (STEPS * EPOCHS)


def test_multistep_counts_in_epochs():
    found = rates(schedules.multistep((2, 4.4), gamma=0.1))
    assert found == pytest.approx([LR] * 10 + [LR / 10] * 12 + [LR / 100] * 18)


def test_stages_follow_the_paper_and_the_last_one_lasts():
    found = rates(schedules.stages((1.0, 0.4, 0.2), (2, 3, 1)))
    assert found == pytest.approx([LR] * 10 + [0.4 * LR] * 15 + [0.2 * LR] * 15)


def test_cosine_ends_at_the_final_rate():
    found = rates(schedules.cosine(final_lr=0.1))
    assert found[0] == LR
    assert found[20] == pytest.approx((LR + 0.1) / 2)
    assert found == sorted(found, reverse=True)
    assert 0.1 < found[-1] < 0.103


def test_one_cycle_starts_peaks_and_ends_where_it_says():
    found = rates(schedules.one_cycle(warmup=0.25, start_factor=0.1, final_factor=0.01))
    assert found[0] == pytest.approx(0.1 * LR)
    assert found.index(max(found)) == 10
    assert max(found) == pytest.approx(LR, rel=0.01)
    assert found[-1] == pytest.approx(0.01 * LR)
    assert found[10:] == sorted(found[10:], reverse=True)


@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (1, 2), (1, 4), (4, 1), (5, 1)])
@pytest.mark.parametrize("warmup", [0.0, 0.2, 0.25, 0.5])
def test_one_cycle_works_for_runs_of_a_few_steps(steps, epochs, warmup):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    schedule = schedules.one_cycle(warmup, start_factor=0.1, final_factor=0.01)(optimizer, steps, epochs)
    for _ in range(steps * epochs):
        assert 0.009 * LR <= optimizer.param_groups[0]["lr"] <= LR * (1 + 1e-9)
        optimizer.step()
        schedule.step()
