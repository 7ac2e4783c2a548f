"""Every kind of image is read right by the stated rule, or refused in one line that names it."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from odd_images import HEIGHT, READABLE, REFUSED, RGB, WIDTH, encoded, plain, ramp
from repronet.data.reading import ImageError, centre_crop, decode, read_image, resize_short_side

pytestmark = pytest.mark.field


def pixels(name: str) -> np.ndarray:
    return decode(READABLE[name][0](), name).pixels


@pytest.mark.parametrize("name", READABLE)
@pytest.mark.parametrize("short_side", [None, 16])
def test_readable_images_become_8_bit_rgb_and_say_how(name, short_side):
    content, note = READABLE[name]
    reading = decode(content(), name, short_side)
    assert reading.pixels.dtype == np.uint8
    assert reading.pixels.shape[2] == 3
    assert reading.pixels.flags.writeable
    if note is None:
        assert reading.notes == ()
    else:
        assert any(note in found for found in reading.notes)


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("short_side", [None, 16])
def test_the_others_are_refused_in_one_line(name, short_side):
    content, kind = REFUSED[name]
    with pytest.raises(ImageError) as caught:
        decode(content(), f"photos/{name}", short_side)
    assert caught.value.kind == kind
    assert str(caught.value).startswith(f"photos/{name}: {kind}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["plain.png", "plain.bmp", "plain.webp", "wrong_suffix.jpg"])
def test_plain_images_are_read_as_they_are(name):
    assert np.array_equal(pixels(name), RGB)


def test_16_bit_is_divided_and_not_clipped():
    assert np.array_equal(pixels("sixteen.png")[..., 0], ramp()[..., 0])
    assert pixels("sixteen.pgm")[..., 0].flatten().tolist() == [0, 255, 1, 128]


def test_floats_from_0_to_1_are_scaled():
    assert np.array_equal(pixels("float.tif")[..., 1], ramp()[..., 0])


def test_what_is_transparent_is_white():
    found = pixels("alpha.png")
    assert (found[:, : WIDTH // 2] == 255).all()
    assert (found[:, WIDTH // 2 :] == [255, 0, 0]).all()


def test_a_transparent_colour_is_white_and_noted():
    content = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(content, "PNG", transparency=(255, 0, 0))
    found = decode(content.getvalue(), "red.png")
    assert (found.pixels == 255).all()
    assert found.notes == ("transparent colours, laid over white",)


def test_cmyk_without_ink_is_white():
    assert pixels("cmyk.jpg").min() >= 254


def test_exif_turns_the_image_upright():
    found = pixels("turned.png")
    assert found.shape == (WIDTH, HEIGHT, 3)
    assert np.array_equal(found[..., 0], np.rot90(ramp()[..., 0], -1))


@pytest.mark.parametrize("name", ["animation.gif", "views.jpg"])
def test_the_first_frame_is_read(name):
    assert pixels(name).reshape(-1, 3).mean(0) == pytest.approx([255, 0, 0], abs=3)


def test_grey_is_the_same_in_all_channels():
    found = pixels("grey.png")
    assert np.array_equal(found[..., 0], np.asarray(plain().convert("L")))
    assert np.array_equal(found[..., 0], found[..., 2])


def test_palette_colours_are_those_of_the_palette():
    assert np.array_equal(pixels("palette.png"), np.asarray(plain().convert("P").convert("RGB")))


def test_a_jpeg_is_decoded_no_larger_than_needed(tmp_path):
    file = tmp_path / "large.jpg"
    Image.fromarray(RGB[:8, :10]).resize((640, 512), Image.Resampling.BICUBIC).save(file, quality=95)
    assert decode(file.read_bytes(), "large", 64).pixels.shape == (64, 80, 3)
    reduced = read_image(file, 64)
    assert reduced.shape == (3, 64, 80)
    full = resize_short_side(read_image(file), 64)
    assert (reduced.float() - full.float()).abs().mean() < 3


LARGE = np.random.default_rng(1).integers(0, 256, (203, 301, 3), dtype=np.uint8)
JPEGS = {
    "plain": {},
    "sharp colours": {"subsampling": "4:4:4"},
    "half the colours": {"subsampling": "4:2:2"},
    "progressive": {"progressive": True},
    "coarse": {"quality": 20},
    "stored as RGB": {"keep_rgb": True},
}


@pytest.mark.parametrize("short_side", [None, 150, 100, 50, 25])
@pytest.mark.parametrize("name", JPEGS)
def test_libjpeg_without_pillow_gives_the_same_bits(name, short_side, monkeypatch):
    pytest.importorskip("simplejpeg")
    content = encoded(Image.fromarray(LARGE), "JPEG", **JPEGS[name])
    asked = _asked(monkeypatch)
    fast = decode(content, "fast", short_side)
    assert asked == [content]
    monkeypatch.setattr("repronet.data.reading.simplejpeg", None)
    slow = decode(content, "slow", short_side)
    assert np.array_equal(fast.pixels, slow.pixels)
    assert fast.notes == slow.notes


def _asked(monkeypatch) -> list[bytes]:
    """What simplejpeg is asked to decode."""
    import simplejpeg

    asked, decode_jpeg = [], simplejpeg.decode_jpeg
    monkeypatch.setattr(
        simplejpeg, "decode_jpeg", lambda content, **sizes: asked.append(content) or decode_jpeg(content, **sizes)
    )
    return asked


@pytest.mark.parametrize("kind", ["grey", "CMYK", "turned", "cut off", "small"])
def test_pillow_reads_the_other_jpegs(kind, monkeypatch):
    """With simplejpeg and without it: the same pixels, or the same error."""
    pytest.importorskip("simplejpeg")
    exif = Image.Exif()
    exif[0x0112] = 6 if kind == "turned" else 1
    image = Image.fromarray(LARGE if kind != "small" else LARGE[:10])
    image = image.convert({"grey": "L", "CMYK": "CMYK"}.get(kind, "RGB"))
    content = encoded(image, "JPEG", exif=exif)
    content = content[: len(content) // 2] if kind == "cut off" else content
    found = []
    for _ in range(2):
        try:
            found.append(decode(content, "picture").pixels.tolist())
        except ImageError as error:
            found.append(str(error))
        monkeypatch.setattr("repronet.data.reading.simplejpeg", None)
    assert found[0] == found[1]


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(ImageError, match="unreadable: No such file or directory"):
        read_image(tmp_path / "none.png")
    with pytest.raises(ImageError, match="unreadable: a folder; give its files"):
        read_image(tmp_path)


def test_the_shorter_side_and_the_middle():
    image = torch.arange(3 * 20 * 30).remainder(251).to(torch.uint8).view(3, 20, 30)
    assert resize_short_side(image, 20) is image
    assert resize_short_side(image, 10).shape == (3, 10, 15)
    assert resize_short_side(image.transpose(1, 2), 40).shape == (3, 60, 40)
    assert torch.equal(centre_crop(image, 10), image[:, 5:15, 10:20])


def test_an_error_survives_the_way_out_of_a_process():
    error = ImageError("a.png", "empty", "the file has no bytes")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.kind, again.path) == (str(error), "empty", "a.png")


def test_no_other_program_is_started_for_postscript(tmp_path):
    # Pillow would hand PostScript to Ghostscript, which is a programming language.
    trap = tmp_path / "gs"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    trap.chmod(0o755)
    (tmp_path / "a.png").write_bytes(encoded(plain(), "EPS"))
    code = f"from pathlib import Path; from repronet.data.reading import read; read(Path({str(tmp_path / 'a.png')!r}))"
    subprocess.run([sys.executable, "-c", code], env={"PATH": str(tmp_path)}, capture_output=True, check=False)
    assert not (tmp_path / "ran").exists()
