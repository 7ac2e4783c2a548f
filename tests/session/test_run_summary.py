"""What is said of a result."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from repronet.analysis.class_figures import ClassFigures
from repronet.session.run_summary import report

RESULT = {
    **{"old_task": None, "augmented": False, "epochs": 1, "steps": 1, "calibration_error": 0.1, "best_epoch": 1},
    **{"best_val_error": 0.0, "last_val_error": 0.0, "val_images": 4, "last_train_error": 0.0, "train_seconds": 1.0},
    **{"test_images": 10, "test_error_by_class": {"cat": 0.0, "dog": 0.0}, "test_error_top5": None},
}


def classes(*recalls: float) -> list[ClassFigures]:
    supports = (7, 3)
    return [ClassFigures(name, n, 0.5, r, 0.5, 0.5, 0.5) for name, n, r in zip("ab", supports, recalls, strict=True)]


@pytest.mark.parametrize(
    ("error", "recalls", "balance", "said"),
    [
        (0.0, (1.0, 1.0), "none", None),
        (0.2, (0.9, 0.6), "none", None),
        (0.29, (1.0, 0.04), "none", "hardly better than always predicting the commonest class, 30.00%"),
        (0.3, (1.0, 0.0), "none", "no better than always predicting the commonest class, 30.00%"),
        (0.7, (0.0, 1.0), "none", "no better than always predicting the commonest class, 30.00%"),
        (0.4, (0.5, 0.8), "loss", None),  # 40 % of the images, but 35 % of the mean class
        (0.7, (0.0, 1.0), "sampler", "no better than always predicting one class, by the mean of the classes' errors"),
    ],
)
def test_a_network_that_guesses_is_advised(caplog, error, recalls, balance, said):
    config = OmegaConf.create({"data": {"balance": balance}, "model": {}})
    with caplog.at_level("INFO", "repronet.train"):
        report(RESULT | {"test_error": error}, Path("run"), config, classes(*recalls))
    assert ("note: " in caplog.text) == (said is not None)
    assert said is None or said in caplog.text
    assert "1 epoch, 1 step\n" in caplog.text


def test_a_fitted_pipeline_is_advised_on_what_it_has(caplog):
    config = OmegaConf.create({"data": {}, "model": {"costs": [1e-9]}})
    with caplog.at_level("INFO", "repronet.train"):
        report(RESULT | {"test_error": 0.3}, Path("run"), config, classes(1.0, 0.0))
    assert "30.00%: try other values of model.costs, or more images\n" in caplog.text
