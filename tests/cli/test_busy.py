"""A machine that others use too: waiting threads sleep there."""

import os

import pytest


@pytest.mark.parametrize(
    ("load", "before", "after"), [(0.5, None, None), (50.0, None, "PASSIVE"), (50.0, "ACTIVE", "ACTIVE")]
)
def test_threads_wait_asleep_where_it_is_busy(repronet, monkeypatch, load, before, after):
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setenv("OMP_WAIT_POLICY", before or "")
    if before is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    assert repronet("--version").code == 0
    assert os.environ.get("OMP_WAIT_POLICY") == after
