"""Boxes as high as maps and as wide as there are many."""

from __future__ import annotations

from repronet.figures.diagram import MOST, boxes


def test_a_box_a_part():
    [axes] = boxes({"conv": (64, 32, 32), "pool": (64, 16, 16), "fc": (10,), "idle": ()}).axes
    conv, pool, fc = axes.patches
    assert conv.get_height() > pool.get_height() > fc.get_height()
    assert conv.get_width() == pool.get_width() > fc.get_width()
    assert [text.get_text() for text in axes.texts] == ["conv", "64×32×32", "pool", "64×16×16", "fc", "10"]


def test_many_parts_take_several_rows():
    assert len(boxes({str(n): (8, 4, 4) for n in range(MOST + 1)}).axes) == 2
