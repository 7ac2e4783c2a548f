"""Run folders: never shared, always whole."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from repronet import runs
from repronet.errors import Fault, UserError
from repronet.runs import environment
from repronet.runs.atomic import write_whole


def test_twenty_folders_asked_for_at_once_are_twenty(tmp_path):
    with ThreadPoolExecutor(20) as pool:
        folders = list(pool.map(lambda _: runs.new_run_folder(tmp_path / "x", seed=0), range(20)))
    assert len(set(folders)) == 20
    assert all(folder.is_dir() for folder in folders)


def test_a_folder_that_exists_is_never_given_out(tmp_path, monkeypatch):
    tokens = iter(["aaa", "aaa", "bbb"])
    monkeypatch.setattr(runs.secrets, "token_hex", lambda n: next(tokens))
    monkeypatch.setattr(runs, "datetime", _Noon)
    first, second = (runs.new_run_folder(tmp_path, seed=7) for _ in range(2))
    assert first.name == "noon-seed7-aaa"
    assert second.name == "noon-seed7-bbb"


class _Noon:
    @classmethod
    def now(cls):
        return cls()

    def strftime(self, form):
        return "noon"


def test_a_named_folder_may_be_new_or_empty_and_nothing_else(tmp_path):
    assert runs.claim_run_folder(tmp_path / "a" / "b").is_dir()
    assert runs.claim_run_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "a" / "b" / runs.CONFIG).write_text("")
    with pytest.raises(UserError, match=r"holds another run; .*resume="):
        runs.claim_run_folder(tmp_path / "a" / "b")
    (tmp_path / "photo.png").write_text("")
    with pytest.raises(UserError, match="is not empty"):
        runs.claim_run_folder(tmp_path)
    with pytest.raises(UserError, match="cannot be made a run folder"):
        runs.claim_run_folder(tmp_path / "photo.png")


def test_writing_leaves_the_old_content_when_it_fails(tmp_path, monkeypatch):
    target = tmp_path / "result.json"
    write_whole(target, b"old")

    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for broken in ("pathlib.Path.replace", "repronet.runs.atomic.os.fsync", "pathlib.Path.open"):
        with monkeypatch.context() as patch:
            patch.setattr(broken, fail)
            with pytest.raises(Fault, match=r"result.json: cannot be written \(No space left on device\)"):
                write_whole(target, b"new")
        assert target.read_text() == "old"
        assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_drafts_of_a_killed_process_are_swept_and_nothing_else(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    drafts = [tmp_path / ".result.json.a1b2c3.draft", tmp_path / "checkpoints" / ".last.ckpt.a1b2c3.draft"]
    others = [tmp_path / ".hidden", tmp_path / "a.draft", tmp_path / "checkpoints" / "last.ckpt"]
    for path in drafts + others:
        path.write_text("")
    runs.sweep(tmp_path)
    assert [path.exists() for path in drafts + others] == [False, False, True, True, True]


def test_environment_names_what_a_result_depends_on():
    found = environment.environment()
    assert found["versions"]["torch"]
    assert found["hardware"]["cores"] >= 1
    assert found["git_commit"] is None or len(found["git_commit"].removesuffix("-dirty")) == 40


def test_the_commit_is_the_packages_not_the_current_folders(tmp_path, monkeypatch):
    here = environment.git_commit()
    for command in (
        ["git", "init", "-q"],
        ["git", "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-q", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(command, cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    assert environment.git_commit() == here


def test_a_copy_from_a_repository_has_the_commit_that_pip_wrote_down(monkeypatch):
    said = '{"url": "https://example.org/r.git", "vcs_info": {"vcs": "git", "commit_id": "%s"}}' % ("a" * 40)

    class Installed:
        def __init__(self, text):
            self.text = text

        def read_text(self, name):
            return self.text if name == "direct_url.json" else None

    for text, commit in ((said, "a" * 40), ('{"url": "file:///r", "dir_info": {}}', None), (None, None)):
        monkeypatch.setattr(environment, "distribution", lambda name, text=text: Installed(text))
        assert environment._installed_commit() == commit


def test_importing_the_command_line_needs_no_torch():
    code = "import sys, repronet.config.compose, repronet.cli.help; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_loss_that_is_not_finite_loses_no_result(tmp_path):
    runs.write_result(tmp_path, {"test_loss": float("inf"), "last_val_loss": float("nan"), "test_error": 0.25})
    assert runs.read_result(tmp_path) == {"test_loss": None, "last_val_loss": None, "test_error": 0.25}
