"""What the disk is asked to take up, and when: what a power cut would leave cannot be tried."""

from __future__ import annotations

import os
import stat

import pytest

from repronet.runs.atomic import write_whole


@pytest.fixture
def synced(tmp_path, monkeypatch):
    """What is handed to ``fsync``: whether a file or a folder, and what the target holds at that moment."""
    calls = []

    def fsync(handle: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        calls.append((kind, (tmp_path / "a").read_text()))

    monkeypatch.setattr("repronet.runs.atomic.os.fsync", fsync)
    return calls


def test_the_content_is_on_disk_before_the_name_and_the_name_before_the_return(tmp_path, synced):
    (tmp_path / "a").write_text("old")
    write_whole(tmp_path / "a", b"new")
    assert synced == [("file", "old"), ("folder", "new")]


def test_what_can_be_made_again_does_not_wait_for_the_disk(tmp_path, synced):
    write_whole(tmp_path / "a", b"new", survives_power_cut=False)
    assert (tmp_path / "a").read_text() == "new"
    assert synced == []
