"""One run by several processes, whatever happens to one of them. ``tests/process_trials.py`` does more of it."""

from __future__ import annotations

import pytest

from process_trials import FAULTS, NAN, Trials

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trials(tmp_path_factory) -> Trials:
    return Trials(tmp_path_factory.mktemp("trials"))


@pytest.mark.parametrize(("rank", "step", "resumed_with"), [(1, 9, 1), (0, 13, 3)])
def test_a_killed_process_ends_the_run_which_any_number_go_on_with(trials, rank, step, resumed_with):
    assert trials.killed(rank, step, resumed_with) is None


@pytest.mark.parametrize(("rank", "step"), [(0, 7), (1, 16)])
def test_a_signal_to_one_process_saves_and_ends_all(trials, rank, step):
    assert trials.stopped(rank, step) is None


def test_a_loss_that_is_no_number_in_one_process_is_said_once(trials):
    assert trials.failed(1, 5, "nan", NAN, 2) is None


@pytest.mark.parametrize("name", ["an image", "the disk"])
def test_what_fails_in_one_process_is_said_once(trials, name):
    rank, what, expected, code = FAULTS[name]
    assert trials.failed(rank, 5, what, expected, code) is None


def test_torchrun_on_two_machines_trains_the_same(trials):
    assert trials.launched(nodes=2, per_node=1) is None
