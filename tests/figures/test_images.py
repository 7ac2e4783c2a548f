"""Montages, sheets and grids, read back pixel by pixel where it matters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from repronet.figures.images import Box, Panel, enlarged, image_grid, montage, overlaid, sheet, stretched


def drawn(figure: Figure) -> np.ndarray:
    """The pixels (H, W, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def test_bytes_stay_and_numbers_are_stretched():
    assert stretched(torch.tensor([[0, 51, 255]], dtype=torch.uint8)).tolist() == [[0, pytest.approx(0.2), 1]]
    assert stretched(torch.tensor([-2.0, 0, 2])).tolist() == [0, 0.5, 1]
    assert stretched(torch.zeros(3)).tolist() == [0, 0, 0]


def test_a_montage_has_the_images_in_rows():
    images = torch.arange(3.0).reshape(3, 1, 1, 1).expand(3, 1, 20, 20)
    found = montage(images, columns=2)
    assert tuple(found.shape) == (1, 43, 43)
    assert [found[0, 5, 5], found[0, 5, 25], found[0, 25, 5]] == [0, 0.5, 1]
    assert found[0, 0, 0] == found[0, 21, 5] == 1
    assert montage(images, columns=2, border=0).shape[1] == 40


def test_small_images_are_enlarged_in_a_montage():
    assert tuple(montage(torch.rand(4, 3, 3, 3)).shape) == (3, 2 * 18 + 3, 2 * 18 + 3)


def test_each_image_may_be_stretched_by_itself():
    images = torch.stack([torch.linspace(0, 1, 400).reshape(1, 20, 20), torch.linspace(0, 9, 400).reshape(1, 20, 20)])
    assert montage(images, each=True)[0, 20, 20] == 1
    assert montage(images)[0, 20, 20] == pytest.approx(1 / 9)


@pytest.mark.parametrize(("side", "expected"), [(3, 279), (280, 280), (300, 300), (1000, 560)])
def test_an_image_is_brought_to_a_size_that_can_be_seen(side, expected):
    assert tuple(enlarged(torch.rand(3, side, side)).shape) == (3, expected, expected)


def test_a_sheet_has_a_panel_a_place():
    red = torch.tensor([255, 0, 0], dtype=torch.uint8)[:, None, None].expand(3, 8, 8)
    figure = sheet([[Panel(red, "one"), None], [Panel(red), Panel(red)]], ("a", "b"), "all")
    assert len(figure.axes) == 4
    assert [axes.get_ylabel() for axes in figure.axes] == ["a", "", "b", ""]
    pixels = drawn(figure)
    assert (pixels == (255, 0, 0)).all(axis=2).mean() > 0.3
    boxed = sheet([[Panel(red, boxes=[Box(slice(2, 6), slice(2, 6), "blue")])]])
    assert (drawn(boxed)[..., 2] > 100).sum() > (drawn(sheet([[Panel(red)]]))[..., 2] > 100).sum() + 100


def test_heat_is_laid_over_an_image():
    grey = torch.full((1, 8, 8), 128, dtype=torch.uint8)
    heat = torch.zeros(4, 4)
    heat[:, 2:] = 1
    [axes] = sheet([[Panel(grey, heat=heat)]]).axes
    assert len(axes.images) == 2
    assert axes.images[0].get_extent() == axes.images[1].get_extent()


def test_a_grid_has_its_titles_at_the_images():
    images = torch.rand(5, 1, 28, 28)
    [axes] = image_grid(images, [f"title {n}" for n in range(5)], "heading").axes
    places = [text.get_position() for text in axes.texts]
    assert len({x for x, _ in places}) == 3
    assert len({y for _, y in places}) == 2
    assert [text.get_text() for text in axes.texts] == [f"title {n}" for n in range(5)]


def test_a_map_is_laid_over_an_image():
    image = torch.tensor([[[0, 255], [0, 255]]], dtype=torch.uint8)
    found = overlaid(image, torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    assert tuple(found.shape) == (3, 2, 2)
    assert found[:, 0, 0].argmax() == 2  # cold is blue
    assert found[:, 1, 0].argmax() == 0  # hot is red
    assert (found[:, :, 1] > found[:, :, 0]).all()
