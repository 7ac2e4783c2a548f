"""The output codes of the 1998 LeNet-5: 7×12 pictures of the ten digits, after figure 3 of the paper.

The paper fixes the targets of the output layer to stylised pictures of the characters, so that similar characters get
similar codes. Ours are drawn in that style (``#`` is +1, ``.`` is −1); the paper prints its own only as a figure.
"""

from __future__ import annotations

import torch
from torch import Tensor

CODE_HEIGHT, CODE_WIDTH = 12, 7
CODE_SIZE = CODE_HEIGHT * CODE_WIDTH  # 84, the units of F6

_PICTURES = """
..###.. ...##.. .#####. .#####. .##..## ####### ..####. ####### .#####. .#####.
.##.##. ..###.. ##...## ##...## .##..## ##..... .##.... ##...## ##...## ##...##
##...## .####.. .....## .....## .##..## ##..... ##..... .....## ##...## ##...##
##...## ...##.. .....## .....## ##...## ##..... ##..... ....##. ##...## ##...##
##...## ...##.. ....##. ....##. ##...## ######. ######. ....##. .##.##. ##...##
##...## ...##.. ...##.. ..###.. ##...## .....## ##...## ...##.. ..###.. .######
##...## ...##.. ..##... ....##. ####### .....## ##...## ...##.. .##.##. .....##
##...## ...##.. .##.... .....## .....## .....## ##...## ..##... ##...## .....##
##...## ...##.. ##..... .....## .....## .....## ##...## ..##... ##...## .....##
##...## ...##.. ##..... .....## .....## .....## ##...## ..##... ##...## .....##
.##.##. ...##.. ##..... ##...## .....## ##...## ##...## .##.... ##...## ....##.
..###.. .###### ####### .#####. .....## .#####. .#####. .##.... .#####. .####..
"""


def digit_codes() -> Tensor:
    """The ten codes as rows of ±1, shape (10, 84)."""
    rows = [line.split() for line in _PICTURES.strip().splitlines()]
    pictures = ["".join(row[digit] for row in rows) for digit in range(10)]
    return torch.tensor([[1.0 if pixel == "#" else -1.0 for pixel in picture] for picture in pictures])
