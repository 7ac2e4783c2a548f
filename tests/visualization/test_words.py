"""Visual words, of a vocabulary whose words are known."""

from __future__ import annotations

import pytest
import torch

from repronet.figures.words import words_sheet
from repronet.visualization.words import CLOSEST, has_words, words_of


class Brightness(torch.nn.Module):
    """Three words, dark, grey and bright, on 4×4 places of an image of 8 pixels; a patch is 2×2 pixels."""

    def affinity(self, images: torch.Tensor) -> torch.Tensor:
        means = torch.nn.functional.avg_pool2d(images, 2)[:, 0]  # (N, 4, 4)
        return -(means[..., None] - torch.tensor([0.0, 0.5, 1.0])).abs()

    def importance(self) -> torch.Tensor:
        """Five cells, of which the last weighs most, and bright counts most."""
        return torch.arange(1.0, 6.0)[:, None] * torch.tensor([1.0, 0.0, 3.0])

    def patch(self, row: int, column: int) -> tuple[slice, slice]:
        return slice(2 * row, 2 * row + 2), slice(2 * column, 2 * column + 2)


@pytest.fixture
def pixels() -> torch.Tensor:
    """Two dark images; in the second a bright square at the third row and the fourth column of places."""
    found = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    found[1, :, 4:6, 6:8] = 255
    return found


def test_the_heaviest_word_is_found_where_it_is(pixels):
    words = words_of(Brightness(), pixels / 255, pixels, 2)
    assert words.patches.shape == (2, CLOSEST, 1, 2, 2)
    assert (words.patches[0, 0] == 255).all()  # next to bright
    assert (words.patches[0, 1:] == 0).all()  # there is only one
    assert (words.patches[1] == 0).all()
    assert words.spots[0] == [(1, (slice(0, 2), slice(0, 2)))]
    assert words.spots[1] == [(0, (slice(4, 6), slice(6, 8))), (1, (slice(0, 2), slice(0, 2)))]


def test_cells_are_squares_level_by_level(pixels):
    cells = words_of(Brightness(), pixels / 255, pixels, 2).cells
    assert [one.shape for one in cells] == [(1, 1), (2, 2)]
    torch.testing.assert_close(cells[1], torch.tensor([[2.0, 3.0], [4.0, 5.0]]) * 10**0.5)


def test_a_sheet_frames_the_words(pixels):
    words = words_of(Brightness(), pixels / 255, pixels, 2)
    figure = words_sheet(words, pixels, "words")
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == [
        "blue",
        "orange",
        "means of 2 words",
        "2×2",
    ]
    assert [len(axes.patches) for axes in figure.axes if axes.patches] == [1, 2]


def test_a_network_without_words_is_known():
    assert has_words(Brightness())
    assert not has_words(torch.nn.Linear(2, 2))
