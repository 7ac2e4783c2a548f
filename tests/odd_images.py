"""Odd and broken images and layouts, made when they are needed: no binary file lies in the repository."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 40, 60
RGB = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    """The image as the bytes of a file."""
    written = io.BytesIO()
    image.save(written, form, **options)
    return written.getvalue()


def plain() -> Image.Image:
    return Image.fromarray(RGB)


def turned() -> bytes:
    """As a camera held upright writes it: the pixels lie on their side, EXIF says so."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it
    return encoded(Image.fromarray(np.repeat(ramp(), 3, axis=2)), "PNG", exif=exif)


def ramp() -> np.ndarray:
    """(HEIGHT, WIDTH, 1), brighter to the right."""
    return np.broadcast_to(np.arange(WIDTH, dtype=np.uint8)[None, :, None] * 4, (HEIGHT, WIDTH, 1))


def sixteen_bit() -> bytes:
    return encoded(Image.fromarray(ramp()[..., 0].astype(np.uint16) * 257), "PNG")


def floats(scale: float = 1.0) -> bytes:
    return encoded(Image.fromarray(ramp()[..., 0].astype(np.float32) / 255 * scale), "TIFF")


def whole_numbers() -> bytes:
    """32-bit, beyond the 16 bits that an image has at most."""
    return encoded(Image.fromarray(ramp()[..., 0].astype(np.int32) * 9_000), "TIFF")


def see_through() -> bytes:
    """Red, the left half fully transparent."""
    pixels = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    pixels[..., 0], pixels[:, WIDTH // 2 :, 3] = 255, 255
    return encoded(Image.fromarray(pixels), "PNG")


def animation() -> bytes:
    frames = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("red", "blue")]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def several_views() -> bytes:
    frames = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("red", "blue")]
    return encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])


def broken_checksum() -> bytes:
    content = bytearray(encoded(plain(), "PNG"))
    content[200:204] = b"\0\0\0\0"
    return bytes(content)


# Those that are read right: name, content, the note that says how (or None).
READABLE: dict[str, tuple[Callable[[], bytes], str | None]] = {
    "plain.jpg": (lambda: encoded(plain(), "JPEG"), None),
    "plain.png": (lambda: encoded(plain(), "PNG"), None),
    "plain.bmp": (lambda: encoded(plain(), "BMP"), None),
    "plain.webp": (lambda: encoded(plain(), "WEBP", lossless=True), None),
    "grey.png": (lambda: encoded(plain().convert("L"), "PNG"), "grey"),
    "bilevel.png": (lambda: encoded(plain().convert("1"), "PNG"), "bilevel"),
    "palette.png": (lambda: encoded(plain().convert("P"), "PNG"), "palette"),
    "alpha.png": (see_through, "alpha, laid over white"),
    "grey_alpha.png": (lambda: encoded(plain().convert("LA"), "PNG"), "grey with alpha"),
    "cmyk.jpg": (lambda: encoded(Image.new("CMYK", (WIDTH, HEIGHT), (0, 0, 0, 0)), "JPEG"), "CMYK"),
    "ycbcr.tif": (lambda: encoded(plain().convert("YCbCr"), "TIFF"), "YCbCr"),
    "sixteen.png": (sixteen_bit, "16-bit, divided by 257"),
    "sixteen.pgm": (lambda: b"P5 2 2 65535\n" + bytes([0, 0, 255, 255, 1, 1, 128, 128]), "16-bit"),
    "float.tif": (floats, "float, 0..1 scaled"),
    "turned.png": (turned, "turned upright"),
    "animation.gif": (animation, "animation of 2 frames"),
    "views.jpg": (several_views, "JPEG with several views"),
    "one_pixel.png": (lambda: encoded(Image.new("RGB", (1, 1)), "PNG"), None),
    "wrong_suffix.jpg": (lambda: encoded(plain(), "PNG"), None),
}

# Those that are refused: name, content, what they are called.
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.jpg": (lambda: b"", "empty"),
    "text.jpg": (lambda: b"no image at all", "not an image"),
    "page.png": (lambda: b"<html><body>404</body></html>", "not an image"),
    "postscript.png": (lambda: encoded(plain(), "EPS"), "not an image"),  # would start Ghostscript
    "cut.jpg": (lambda: encoded(plain(), "JPEG")[:900], "truncated"),
    "cut.png": (lambda: encoded(plain(), "PNG")[:3000], "truncated"),
    "cut.bmp": (lambda: encoded(plain(), "BMP")[:3000], "truncated"),
    "cut.tif": (lambda: encoded(plain(), "TIFF")[:3000], "truncated"),
    "header.png": (lambda: encoded(plain(), "PNG")[:30], "not an image"),
    "checksum.png": (broken_checksum, "damaged"),
    "huge.png": (lambda: encoded(Image.new("1", (20_000, 10_000)), "PNG"), "too large"),
    "large.png": (lambda: encoded(Image.new("1", (10_000, 9_000)), "PNG"), "too large"),
    "strip.png": (lambda: encoded(Image.new("RGB", (1, 100)), "PNG"), "too thin"),
    "float_range.tif": (lambda: floats(scale=300.0), "unknown range"),
    "float_nan.tif": (lambda: floats(scale=float("nan")), "unknown range"),
    "whole_range.tif": (
        lambda: encoded(Image.fromarray(ramp()[..., 0].astype(np.int32) * 9_000), "TIFF"),
        "unknown range",
    ),
}


def write_good(folder: Path, classes: tuple[str, ...] = ("cat", "dog"), count: int = 3, seed: int = 0) -> None:
    """Small images, all different."""
    rng = np.random.default_rng(seed)
    for label in classes:
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{seed}_{number}.png")
