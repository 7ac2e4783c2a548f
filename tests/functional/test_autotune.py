import json
import time

import pytest
import torch

from repronet.functional import autotune
from repronet.functional.conv import conv2d

CPU = torch.device("cpu")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder, and a process that remembers nothing."""
    monkeypatch.setenv("REPRONET_CACHE", str(tmp_path / "cache"))
    autotune.forget()
    yield autotune.cache_file(CPU)
    autotune.forget()


class Sleepers:
    """Candidates that take a known time and count how often they ran."""

    def __init__(self, **milliseconds: float):
        self.milliseconds = milliseconds
        self.calls = dict.fromkeys(milliseconds, 0)

    def candidates(self):
        return {name: self._sleeper(name) for name in self.milliseconds}

    def _sleeper(self, name):
        def run():
            self.calls[name] += 1
            time.sleep(self.milliseconds[name] / 1e3)

        return run


def ask(sleepers: Sleepers, signature=("a shape",)) -> str:
    return autotune.fastest("test", signature, CPU, sleepers.candidates())


def test_the_fastest_wins_and_is_not_measured_again(cache):
    sleepers = Sleepers(slow=20, fast=2, middle=5)
    assert ask(sleepers) == "fast"
    calls = dict(sleepers.calls)
    assert ask(sleepers) == "fast"
    assert sleepers.calls == calls


def test_the_far_behind_are_tried_no_more_than_needed(cache):
    sleepers = Sleepers(fast=1, slow=40, slowest=150)
    ask(sleepers)
    assert sleepers.calls["slow"] == 2  # the first might have been the loading of a kernel
    assert sleepers.calls["slowest"] == 1
    assert sleepers.calls["fast"] > 5


def test_another_signature_or_thread_count_is_measured_anew(cache):
    assert ask(Sleepers(one=1, two=9)) == "one"
    assert ask(Sleepers(one=9, two=1), ("another",)) == "two"
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        assert ask(Sleepers(one=9, two=1)) == "two"
    finally:
        torch.set_num_threads(threads)


def test_a_tie_goes_to_the_first():
    assert autotune.winner_of({"first": 1.0, "second": 0.95}) == "first"
    assert autotune.winner_of({"first": 1.0, "second": 0.8}) == "second"


def test_the_file_outlives_the_process(cache):
    assert ask(Sleepers(one=1, two=9)) == "one"
    autotune.forget()
    later = Sleepers(one=9, two=1)
    assert ask(later) == "one"
    assert later.calls == {"one": 0, "two": 0}
    (entry,) = json.loads(cache.read_text()).values()
    assert entry["fastest"] == "one"
    assert entry["seconds"]["one"] < entry["seconds"]["two"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"x": 3}', '{"x": {"fastest": "gone", "seconds": {}}}'])
def test_a_damaged_file_is_measured_over(cache, content):
    cache.parent.mkdir()
    cache.write_text(content)
    assert ask(Sleepers(one=1, two=9)) == "one"
    assert any(entry["fastest"] == "one" for entry in json.loads(cache.read_text()).values())


def test_other_candidates_than_the_file_knows_are_measured(cache):
    ask(Sleepers(one=1, two=9))
    autotune.forget()
    assert ask(Sleepers(one=5, three=1)) == "three"


def test_a_cache_that_cannot_be_written_is_done_without(cache):
    cache.parent.write_text("a file where the folder should be")
    assert ask(Sleepers(one=1, two=9)) == "one"


def test_a_run_keeps_to_its_own_choices(cache, tmp_path):
    """Whatever became of the user's cache, and whatever another measurement would say."""
    pinned = tmp_path / "algorithms.json"
    with autotune.recorded_in(pinned):
        assert ask(Sleepers(one=1, two=9)) == "one"
    cache.unlink()
    assert ask(Sleepers(one=9, two=1)) == "two"
    with autotune.recorded_in(pinned):
        assert ask(Sleepers(one=9, two=1)) == "one"
    assert ask(Sleepers(one=9, two=1)) == "two"  # the user's cache keeps its own


def test_a_run_records_what_was_known_before(cache, tmp_path):
    ask(Sleepers(one=1, two=9))
    with autotune.recorded_in(tmp_path / "algorithms.json"):
        later = Sleepers(one=9, two=1)
        assert ask(later) == "one"
        assert later.calls == {"one": 0, "two": 0}
    (entry,) = json.loads((tmp_path / "algorithms.json").read_text()).values()
    assert entry["fastest"] == "one"


def test_nothing_is_measured_while_torch_func_transforms(cache):
    sleepers = Sleepers(first=9, second=1)
    torch.func.vmap(lambda x: x * len(ask(sleepers)))(torch.ones(2))
    assert sleepers.calls == {"first": 0, "second": 0}


def test_a_named_algorithm_measures_nothing(cache):
    x, w = torch.ones(1, 1, 4, 4, requires_grad=True), torch.ones(1, 1, 3, 3, requires_grad=True)
    conv2d(x, w, algorithm="adjoint").sum().backward()
    assert not cache.exists()
    conv2d(x, w, algorithm="auto").sum().backward()
    kinds = {name.split("'")[1] for name in json.loads(cache.read_text())}
    assert kinds == {"conv2d forward", "conv2d input_gradient", "conv2d weight_gradient"}


def test_who_waits_is_told_why_once(cache, monkeypatch, caplog):
    monkeypatch.setattr(autotune, "_measured_seconds", 0.0)
    monkeypatch.setattr(autotune, "_QUIET_SECONDS", 0.05)
    with caplog.at_level("INFO", "repronet"):
        ask(Sleepers(a=0.1, b=0.1), ("quick",))
        assert caplog.records == []
        ask(Sleepers(a=5, b=6), ("slow",))
        ask(Sleepers(a=5, b=6), ("slow too",))
    assert [record.getMessage() for record in caplog.records] == [
        "measuring the fastest algorithm of each layer, once a machine (algorithm=auto)"
    ]
