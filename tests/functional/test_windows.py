import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from differential import random
from repronet.functional.windows import (
    Geometry,
    col2im,
    im2col,
    overlap_add,
    pad,
    pair,
    receptive_field,
    slices,
    windows,
)

BOUNDED = settings(max_examples=60, deadline=None, derandomize=True)


def square(kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1, ceil_mode: bool = False) -> Geometry:
    return Geometry((kernel,) * 2, (stride,) * 2, (padding,) * 2, (dilation,) * 2, ceil_mode)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "expected"),
    [
        (7, 3, 1, 0, 5),
        (7, 3, 2, 0, 3),
        (32, 5, 1, 2, 32),
        (227, 11, 4, 0, 55),  # AlexNet conv1
        (224, 11, 4, 2, 55),  # AlexNet conv1 as torchvision has it
        (55, 3, 2, 0, 27),  # AlexNet pool1
    ],
)
def test_output_sizes_of_the_lectures(size, kernel, stride, padding, expected):
    assert square(kernel, stride, padding).output_size((size, size)) == (expected, expected)


@pytest.mark.parametrize(("stride", "fits"), [(1, True), (2, True), (3, False)])
def test_a_filter_of_3_on_7_does_not_fit_with_stride_3(stride, fits):
    assert square(3, stride).fits((7, 7)) is fits


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([square(3)] * 2, 5),
        ([square(3)] * 3, 7),
        ([square(3), square(3, stride=2), square(3)], 9),
        ([square(3, stride=2), square(3)], 7),
        ([square(5), square(2, stride=2)], 6),  # a P×P pool over K×K convolutions: P + K − 1
        ([square(3, dilation=2)], 5),
        ([], 1),
    ],
)
def test_receptive_field_looks_back(layers, expected):
    assert receptive_field(layers) == (expected, expected)


def test_ceil_mode_keeps_a_window_that_starts_inside():
    assert square(2, stride=2).output_size((5, 5)) == (2, 2)
    assert square(2, stride=2, ceil_mode=True).output_size((5, 5)) == (3, 3)
    assert square(2, stride=3, ceil_mode=True).output_size((3, 3)) == (1, 1)  # the next would start at the edge


@BOUNDED
@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 4), st.integers(0, 2), st.integers(1, 3), st.booleans())
def test_output_size_is_torchs(size, kernel, stride, padding, dilation, ceil_mode):
    geometry = square(kernel, stride, min(padding, kernel // 2), dilation, ceil_mode)
    arguments = (kernel, stride, geometry.padding, dilation, ceil_mode)
    try:
        expected = F.max_pool2d(torch.zeros(1, 1, size, size), *arguments).shape[2:]
    except RuntimeError:
        with pytest.raises(RuntimeError, match="larger than the padded input"):
            geometry.output_size((size, size))
    else:
        assert geometry.output_size((size, size)) == tuple(expected)


GEOMETRIES = [
    square(2),
    square(3, stride=2),
    square(3, padding=2, dilation=2),
    square(2, stride=2, ceil_mode=True),
    square(2, stride=3),
    Geometry((3, 2), (1, 2), (2, 1), (1, 3)),
]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_three_views_show_the_same_windows(geometry):
    x = random(2, 3, 7, 5)
    all_at_once = windows(x, geometry)
    ho, wo = geometry.output_size((7, 5))
    assert all_at_once.shape == (2, 3, ho, wo, *geometry.kernel)
    for (a, b), image in zip(geometry.offsets, slices(x, geometry), strict=True):
        assert torch.equal(all_at_once[..., a, b], image)
    columns = im2col(x, geometry)
    assert torch.equal(columns.reshape(3, *geometry.kernel, 2, ho, wo), all_at_once.permute(1, 4, 5, 0, 2, 3))


def test_windows_are_a_view():
    x = random(1, 1, 6, 6)
    assert windows(x, square(3)).data_ptr() == x.data_ptr()


def test_windows_by_hand():
    x = torch.arange(9.0).reshape(1, 1, 3, 3)
    assert windows(x, square(2))[0, 0].tolist() == [
        [[[0, 1], [3, 4]], [[1, 2], [4, 5]]],
        [[[3, 4], [6, 7]], [[4, 5], [7, 8]]],
    ]
    assert im2col(x, square(2)).tolist() == [[0, 1, 3, 4], [1, 2, 4, 5], [3, 4, 6, 7], [4, 5, 7, 8]]


def test_overlap_add_counts_the_windows_over_each_element():
    pieces = [torch.ones(1, 1, 2, 2)] * 4
    assert overlap_add(pieces, (3, 3), square(2))[0, 0].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]


def test_overlap_add_drops_what_falls_on_the_padding():
    pieces = [torch.ones(1, 1, 2, 2)] * 9  # 3×3 windows around a 2×2 image padded to 4×4
    assert overlap_add(pieces, (2, 2), square(3, padding=1))[0, 0].tolist() == [[4, 4], [4, 4]]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_col2im_is_the_adjoint_of_im2col(geometry):
    x = random(2, 3, 7, 5)
    columns = im2col(x, geometry)
    g = random(*columns.shape, seed=3)
    assert torch.allclose((columns * g).sum(), (x * col2im(g, 2, (7, 5), geometry)).sum())


def test_half_precision_sums_are_kept_in_float32():
    """1 + 256·2⁻⁹ is 1.5; added up in bfloat16, every one of the small addends would be lost."""
    values = [1.0] + [2.0**-9] * 256
    pieces = [torch.full((1, 1, 1, 257), value, dtype=torch.bfloat16) for value in values]
    geometry = Geometry((1, 257), padding=(0, 256))  # each of the 257 elements of a window lies once on the one pixel
    total = overlap_add(pieces, (1, 1), geometry)
    assert total.dtype == torch.bfloat16
    assert total.tolist() == [[[[1.5]]]]


def test_alexnet_conv1_is_a_96_by_363_times_363_by_3025_product():
    assert im2col(torch.zeros(1, 3, 227, 227), square(11, stride=4)).shape == (363, 3025)


def test_pad_leaves_an_unpadded_image_alone():
    x = random(1, 1, 4, 4)
    assert pad(x, square(3)) is x


@pytest.mark.parametrize(
    ("value", "expected"), [(2, (2, 2)), ((1, 3), (1, 3)), ([4], (4, 4)), (torch.Size([1, 2]), (1, 2))]
)
def test_pair(value, expected):
    assert pair(value, "stride") == expected


@pytest.mark.parametrize("value", [1.5, "2", True, (1, 2.0), None, ("1", "2")])
def test_pair_takes_integers_only(value):
    with pytest.raises(TypeError, match="stride must be"):
        pair(value, "stride")


@pytest.mark.parametrize("value", [(), (1, 2, 3)])
def test_pair_takes_one_or_two(value):
    with pytest.raises(RuntimeError, match="one integer or two"):
        pair(value, "stride")


@pytest.mark.parametrize(
    ("settings_", "named"),
    [
        ({"kernel": (0, 1)}, "kernel size"),
        ({"kernel": (1, 1), "stride": (1, 0)}, "stride"),
        ({"kernel": (1, 1), "padding": (-1, 0)}, "padding"),
        ({"kernel": (1, 1), "dilation": (0, 1)}, "dilation"),
    ],
)
def test_geometry_refuses(settings_, named):
    with pytest.raises(RuntimeError, match=named):
        Geometry(**settings_)


def test_errors_show_the_sizes():
    with pytest.raises(RuntimeError, match=r"window \(5, 5\).*size \(3, 4\), padding \(0, 0\)"):
        square(3, dilation=2).output_size((3, 4))
    with pytest.raises(RuntimeError, match="only the batch may be empty"):
        square(3, padding=3).output_size((0, 4))
