"""Boxes as high as maps and as wide as there are many."""

from __future__ import annotations

from itertools import pairwise

import pytest
from network_diagram import WIDTH, boxes


def test_a_box_a_part():
    [axes] = boxes([("conv", (64, 32, 32)), ("pool", (64, 16, 16)), ("fc", (10,))]).axes
    conv, pool, fc = axes.patches
    assert conv.get_height() > pool.get_height() > fc.get_height()
    assert conv.get_width() == pool.get_width() > fc.get_width()
    assert conv.get_facecolor() == pool.get_facecolor() != fc.get_facecolor()
    assert [text.get_text() for text in axes.texts] == ["64×32×32", "conv", "64×16×16", "pool", "10", "fc"]


@pytest.mark.parametrize("count", [1, 40])
def test_boxes_stand_apart_in_as_many_rows_as_they_need(count):
    figure = boxes([(f"layer {n}\nconv 3×3", (512, 224, 224)) for n in range(count)])
    assert len(figure.axes) == (1 if count == 1 else 5)
    for axes in figure.axes:
        edges = [(box.get_x(), box.get_x() + box.get_width()) for box in axes.patches]
        assert all(end < start for (_, end), (start, _) in pairwise(edges))
        assert edges[0][0] >= 0
        assert edges[-1][1] <= WIDTH


def test_texts_of_the_largest_boxes_stay_in_their_row():
    figure = boxes([("conv1\nconv 11×11 /4", (2048, 512, 512))])
    figure.canvas.draw()
    [axes] = figure.axes
    row = axes.get_window_extent()
    assert all(row.y0 <= text.get_window_extent().y0 and text.get_window_extent().y1 <= row.y1 for text in axes.texts)
