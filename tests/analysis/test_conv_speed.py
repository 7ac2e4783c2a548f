import time

import torch

from repronet.analysis import conv_speed


def test_what_is_far_behind_is_called_once(monkeypatch):
    monkeypatch.setattr(conv_speed, "_LOADING_SECONDS", 0)
    calls = dict.fromkeys(("fast", "near", "slow"), 0)
    seconds = {"fast": 0.010, "near": 0.015, "slow": 0.1}

    def sleeper(name):
        def run():
            calls[name] += 1
            time.sleep(seconds[name])

        return run

    least = conv_speed._least_seconds({name: sleeper(name) for name in calls}, torch.device("cpu"))
    assert calls["slow"] == 1
    assert calls["fast"] == calls["near"] > 5
    assert all(seconds[name] <= least[name] < 2 * seconds[name] for name in calls)
