"""Schedules: the rate of every step of a run."""

from __future__ import annotations

import pytest
import torch

from repronet.training import schedules

STEPS, EPOCHS, LR = 5, 8, 0.4


def rates(make: schedules.MakeShare) -> list[float]:
    """The rate of each optimizer step of a run of 8 epochs of 5 steps."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    schedule = schedules.by_share(make)(optimizer, lambda: (STEPS, STEPS * EPOCHS))
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
    found = rates(schedules.cosine(final_factor=0.25))
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
    schedule = schedules.by_share(schedules.one_cycle(warmup, 0.1, 0.01))(optimizer, lambda: (steps, steps * epochs))
    for _ in range(steps * epochs):
        assert 0.009 * LR <= optimizer.param_groups[0]["lr"] <= LR * (1 + 1e-9)
        optimizer.step()
        schedule.step()


def test_multistep_counts_in_steps():
    found = rates(schedules.multistep((7, 20), gamma=0.5, unit="steps"))
    assert found == pytest.approx([LR] * 7 + [LR / 2] * 13 + [LR / 4] * 20)


def test_exponential_falls_in_stairs():
    found = rates(schedules.exponential(gamma=0.9, every=2))
    assert found == pytest.approx([LR * 0.9 ** (step // 10) for step in range(40)])
    assert rates(schedules.exponential(gamma=0.5, every=0.2))[:3] == pytest.approx([LR, LR / 2, LR / 4])


def test_polynomial_ends_at_its_factor():
    found = rates(schedules.polynomial(power=2.0, final_factor=0.1))
    assert found[0] == LR
    assert found[20] == pytest.approx(LR * (0.1 + 0.9 * 0.25))
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("shape", ["linear", "constant"])
def test_warming_up(shape):
    found = rates(schedules.warmed_up(schedules.multistep((4,), 0.1), epochs=2, start=0.1, shape=shape))
    rising = [0.1 + 0.9 * step / 10 for step in range(10)]
    expected = rising if shape == "linear" else [0.1] * 10
    assert found == pytest.approx([LR * share for share in expected] + [LR] * 10 + [LR / 10] * 20)


def test_plateau_waits_and_falls():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    falling = schedules.Plateau(gamma=0.1, patience=2, least=0.01)
    schedule = schedules.watching(schedules.constant(), falling, None)(optimizer, lambda: (STEPS, STEPS * EPOCHS))
    assert isinstance(schedule, schedules.Watching)
    found = []
    for epoch, error in enumerate((0.5, 0.4, 0.395, 0.399, 0.2, 0.3, 0.3), start=1):  # 0.395 is no improvement of 0.01
        optimizer.step()
        schedule.step()
        found.append(optimizer.param_groups[0]["lr"])
        schedule.validated(error, epoch)
    optimizer.step()
    schedule.step()
    found.append(optimizer.param_groups[0]["lr"])
    assert found == pytest.approx([LR] * 4 + [LR / 10] * 3 + [LR / 100])


@pytest.mark.parametrize(("every", "falls"), [(1, [6, 10]), (2, [6, 10]), (3, [9])])
def test_plateau_counts_epochs_however_few_are_validated(every, falls):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    falling = schedules.Plateau(gamma=0.1, patience=4, least=0.0)
    schedule = schedules.watching(schedules.constant(), falling, None)(optimizer, lambda: (STEPS, STEPS * EPOCHS))
    assert isinstance(schedule, schedules.Watching)
    found = []
    for epoch in range(every, 12, every):
        before = schedule.factor
        schedule.validated(0.5 if epoch <= 2 or epoch == every else 0.6, epoch)
        found += [epoch] if schedule.factor < before else []
    assert found == falls


def test_plateau_goes_on_from_its_state():
    def fresh() -> schedules.Watching:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
        falling = schedules.Plateau(0.1, 1, 0.0)
        return schedules.watching(schedules.constant(), falling, None)(optimizer, lambda: (STEPS, STEPS * EPOCHS))  # type: ignore

    first = fresh()
    for epoch, error in ((1, 0.5), (2, 0.6)):
        first.validated(error, epoch)
    second = fresh()
    second.load_state_dict(first.state_dict())
    assert (second.best, second.factor, second.since) == (0.5, 0.1, 2)
    second.optimizer.step()
    second.step()
    assert second.optimizer.param_groups[0]["lr"] == pytest.approx(LR / 10)


def answers(wrong: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and labels of ten images, of which a share is wrong."""
    logits = torch.eye(2)[torch.arange(10) % 2]
    labels = torch.arange(10) % 2
    flipped = round(10 * wrong)
    return logits, torch.cat([1 - labels[:flipped], labels[flipped:]])


def test_a_warm_up_lasts_until_the_error_is_low(tmp_path):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    warming = schedules.WarmUntil(error=0.79, start=0.1)
    schedule = schedules.watching(schedules.constant(), None, warming)(optimizer, lambda: (STEPS, STEPS * EPOCHS))
    assert isinstance(schedule, schedules.Watching)
    found = []
    for step in range(130):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.observe(*answers(0.9 if step < 60 else 0.7))
        schedule.step()
        if step == 80:  # a run that goes on in the midst of it
            fresh = schedules.watching(schedules.constant(), None, warming)(optimizer, lambda: (STEPS, STEPS * EPOCHS))
            fresh.load_state_dict(schedule.state_dict())
            schedule = fresh
    # After n of the second sort the mean over 50 is 0.9 - 0.2 n / 50, below 0.79 at the 28th: step 87.
    switch = found.index(LR)
    assert switch == 88
    assert found == pytest.approx([LR / 10] * switch + [LR] * (130 - switch))
    torch.save(schedule.state_dict(), tmp_path / "state")
    torch.load(tmp_path / "state", weights_only=True)  # plain values alone


def test_a_warm_up_counts_steps_of_several_batches(tmp_path):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    warming = schedules.WarmUntil(error=0.79, start=0.1)
    schedule = schedules.watching(schedules.constant(), None, warming)(optimizer, lambda: (STEPS, STEPS * EPOCHS))
    assert isinstance(schedule, schedules.Watching)
    for batch in range(2 * (schedules.WATCHED_STEPS - 1)):
        schedule.observe(*answers(0.8 if batch % 2 else 0.6), ends_step=batch % 2 == 1)
    assert schedule.recent == pytest.approx([0.7] * (schedules.WATCHED_STEPS - 1))
    assert not schedule.warm
    schedule.observe(*answers(0.6), ends_step=False)
    assert not schedule.warm
    schedule.observe(*answers(0.8))
    assert schedule.warm


def test_labels_may_be_probabilities_where_errors_are_watched():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    schedule = schedules.watching(schedules.constant(), None, schedules.WarmUntil(0.8, 0.1))(
        optimizer, lambda: (STEPS, STEPS * EPOCHS)
    )
    logits, labels = answers(0.3)
    schedule.observe(logits, torch.nn.functional.one_hot(labels, 2).float())
    assert schedule.recent == pytest.approx([0.3])
