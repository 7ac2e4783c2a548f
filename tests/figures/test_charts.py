"""Curves, matrices and maps say what they are given."""

from __future__ import annotations

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from repronet import runs
from repronet.figures import charts


def row(epoch: int, **figures: float) -> dict[str, float]:
    return {
        "epoch": epoch,
        "train_loss": 1.0,
        "val_loss": 2.0,
        "train_error": 0.1,
        "val_error": 0.2,
        "lr": 0.1,
    } | figures


def test_the_history_of_a_run(finished_run):
    rows = charts.read_history(finished_run / runs.HISTORY)
    assert [(one["epoch"], one["step"]) for one in rows] == [(1, 55), (2, 110)]


def test_curves_of_one_run_have_the_rate_too():
    figure = charts.curves({"run": [row(1), row(2, val_error=0.05)]})
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "error, %", "learning rate"]
    train, val = figure.axes[1].lines
    assert list(train.get_ydata()) == [10, 10]
    assert list(val.get_ydata()) == [20, 5]
    assert figure.axes[1].get_yscale() == "log"


def test_curves_of_one_run_have_the_top5_errors_where_training_counts_them():
    counted = {"train_error_top5": 0.05, "val_error_top5": 0.08}
    labels = {
        len(extra): [line.get_label() for line in charts.curves({"run": [row(1, **extra)]}).axes[1].lines]
        for extra in ({}, {**counted, "train_error_top5": float("nan"), "x": 0}, counted)
    }
    assert labels == {0: ["train", "val"], 3: ["train", "val"], 2: ["train", "val", "train top-5", "val top-5"]}


def test_an_error_of_nothing_is_not_drawn_on_a_logarithm():
    figure = charts.curves({"run": [row(1, val_loss=0.1), row(2, val_error=0.0)]})
    assert [axes.get_yscale() for axes in figure.axes[:2]] == ["log", "linear"]


def test_ticks_are_plain_numbers():
    """Not 5×10¹; and values that lie near each other need no logarithm."""
    far = charts.curves({"run": [row(1, val_error=0.9), row(2, val_error=0.05)]})
    near = charts.curves({"run": [row(1, val_error=0.2), row(2, val_error=0.15)]})
    assert [figure.axes[1].get_yscale() for figure in (far, near)] == ["log", "linear"]
    FigureCanvasAgg(far).draw()
    shown = [text.get_text() for text in far.axes[1].get_yticklabels(which="both") if text.get_text()]
    assert {"5", "10", "20", "50"} <= set(shown)
    assert all(text.replace(".", "").isdigit() for text in shown)


def test_curves_of_several_runs_share_a_colour_a_run():
    figure = charts.curves({"one": [row(1)], "two": [row(1)]})
    assert len(figure.axes) == 2
    assert [line.get_color() for line in figure.axes[0].lines] == ["C0", "C0", "C1", "C1"]
    assert [text.get_text() for text in figure.legends[0].texts] == ["one", "two"]


def test_a_confusion_matrix_has_its_counts():
    [axes] = charts.confusion(torch.tensor([[9, 1], [0, 10]]), ["cat", "dog"], "test").axes
    assert {text.get_position(): text.get_text() for text in axes.texts} == {(0, 0): "9", (1, 0): "1", (1, 1): "10"}
    assert axes.get_title() == "test: 5.00% wrong of 20"
    assert axes.images[0].get_array()[0].tolist() == pytest.approx([0.9, 0.1])


def test_a_large_confusion_matrix_has_no_names():
    [axes] = charts.confusion(torch.eye(100), [str(n) for n in range(100)], "test").axes
    assert not axes.texts


def test_reliability_is_over_the_probability_that_was_said():
    images, likely, right = torch.tensor([0.0, 3, 7]), torch.tensor([0.0, 0.5, 0.9]), torch.tensor([0.0, 2 / 3, 1])
    upper, lower = charts.reliability(images, likely, right, "so").axes
    assert [bar.get_height() for bar in upper.patches] == pytest.approx([2 / 3, 1])
    assert [bar.get_height() for bar in lower.patches] == [0, 3, 7]
    assert [bar.get_x() + bar.get_width() / 2 for bar in lower.patches] == pytest.approx([1 / 6, 1 / 2, 5 / 6])


def test_a_map_of_points_names_the_classes_that_are_there():
    points, labels = torch.rand(30, 2), torch.arange(30) % 2 * 3
    [axes] = charts.point_map(points, labels, ["a", "b", "c", "d"], "map", torch.rand(30, 3, 8, 8)).axes
    assert [text.get_text() for text in axes.get_legend().texts] == ["a", "d"]
    assert len(axes.collections) == 2
    assert axes.artists


def test_a_surface_has_its_weights_in_the_middle():
    plane = torch.linspace(-1, 1, 5).square()[:, None] + torch.linspace(-1, 1, 5).square() + 0.1
    figure = charts.surface(plane[2], plane, 1.0, "surface")
    line = figure.axes[0].lines[0]
    assert list(line.get_xdata()) == [-1, -0.5, 0, 0.5, 1]
    assert min(line.get_ydata()) == line.get_ydata()[2]


def test_a_papers_figure_has_its_runs_in_colours_and_its_numbers_dotted():
    from repronet.figures.charts import redrawn

    rows = [{"step": 10 * n, "epoch": n, "train_error": 0.5 / n, "val_error": 0.6 / n} for n in range(1, 5)]
    figure = redrawn({"a": [rows], "b": [rows[:2]]}, ("train_error", "val_error"), {"b": 8.75}, {"mark": 25.0}, "title")
    (axes,) = figure.axes
    drawn = [(line.get_linestyle(), line.get_color(), line.get_label()) for line in axes.lines]
    assert [style for style, _, _ in drawn] == ["--", "-", "--", "-", ":", ":"]
    assert [label for _, _, label in drawn if not label.startswith("_")] == ["a", "b", "paper: 8.75 %", "mark: 25 %"]
    assert drawn[4][1] == drawn[3][1] != drawn[1][1]
    assert list(axes.lines[1].get_ydata()) == [60.0, 30.0, 20.0, 15.0]
    better = [row | {"val_error": row["val_error"] / 3} for row in rows]
    (axes,) = redrawn({"a": [rows, better]}, ("val_error",), {}, {}, "title", "epoch").axes
    assert [line.get_alpha() for line in axes.lines] == [0.25, 0.25, None]
    assert list(axes.lines[2].get_xdata()) == [1, 2, 3, 4]
    assert list(axes.lines[2].get_ydata()) == pytest.approx([40.0, 20.0, 40 / 3, 10.0])
