"""One picture out of one file: right, or refused in one line that names the file.

What a network sees is 8-bit RGB. Each other kind of picture is brought to it by a stated rule and nothing is clipped:

================  =============================================================================
in the file       read as
================  =============================================================================
grey, bilevel     the same value in all three channels
palette           the colours that the palette names
alpha             laid over white
16-bit            divided by 257, so that 65,535 becomes 255
float             0..1 becomes 0..255; any other range is refused, since nobody can know what it means
CMYK, YCbCr, Lab  converted to RGB without a colour profile
EXIF orientation  turned upright
animation         its first frame
================  =============================================================================
"""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image, ImageOps
from rich.console import Console
from rich.progress import track
from torch import Tensor

from repronet.data.folders import PictureFile, shown
from repronet.errors import UserError

try:
    import simplejpeg
except ImportError:  # once: Python would look for what is not there at every picture
    simplejpeg = None

Item = TypeVar("Item")
Picture = str | Path | Image.Image | np.ndarray | Tensor

# Pillow also knows formats that it hands to other programs (EPS to Ghostscript): a dataset must not start a program.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
PIXEL_LIMIT = 89_478_485  # Pillow's own limit: a quarter of a gigabyte as RGB
LONGEST = 50  # times as long as wide: more is a strip, of which no crop shows anything
ORIENTATION = 0x0112  # the EXIF tag
UPRIGHT = 1
SMALLEST_BY_LIBJPEG = 16  # of smaller ones, two reductions have the same size
GREY = 128  # what lies around a picture in a letterbox
CHANNELS = (1, 3)  # grey and RGB
WANTED = "a picture must be bytes (uint8) in 1 or 3 channels, (C, H, W) or in numpy also (H, W) or (H, W, C)"

# A picture whose header promises more than the limit is refused before it is decoded. Pillow only warns up to twice
# the limit; the filter makes that the same refusal in every thread.
warnings.simplefilter("error", Image.DecompressionBombWarning)


class PictureError(UserError):
    """A file that is no picture, or one that cannot be read right. ``kind`` is a short name of what is wrong."""

    def __init__(self, path: str, kind: str, detail: str):
        super().__init__(f"{path}: {kind}: {detail}")
        self.path, self.kind, self.detail = path, kind, detail

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        return type(self), (self.path, self.kind, self.detail)  # loader workers send it as a pickle


@dataclass(frozen=True)
class Reading:
    """A picture and how it came to be 8-bit RGB."""

    pixels: np.ndarray  # uint8 (H, W, 3)
    format: str  # what the content is, whatever the file is called
    notes: tuple[str, ...]  # one for each rule of the table above that was used


def progress(items: Iterable[Item], what: str, total: int | None = None) -> Iterable[Item]:
    """The items, under a progress bar on a terminal."""
    return track(items, what, total, console=Console(stderr=True), disable=not sys.stderr.isatty())


def read_picture(path: PictureFile, short_side: int | None = None, fit: str = "crop") -> Tensor:
    """The picture in ``path``: uint8 (3, H, W), its shorter side brought to ``short_side`` pixels when that is given.

    It lies in memory with the channels last, as files have it and as torch's 8-bit resizing is fast in.

    Args:
        fit: "crop" leaves the longer side longer, for others to crop; else see :func:`squared`.

    Raises:
        PictureError: when the file cannot be read right.
    """
    picture = torch.from_numpy(read(path, short_side).pixels).permute(2, 0, 1)  # (H, W, 3) → (3, H, W)
    if short_side is None:
        return picture
    return resize_short_side(picture, short_side) if fit == "crop" else squared(picture, short_side, fit)


def read(path: PictureFile, short_side: int | None = None) -> Reading:
    """The picture in ``path`` and how it was read.

    Args:
        short_side: how many pixels the shorter side will be reduced to, which lets a JPEG be decoded at a half, a
            quarter or an eighth of its size; the picture is still that large or larger.

    Raises:
        PictureError: when the file cannot be read right.
    """
    name = shown(path) if isinstance(path, Path) else str(path)
    try:
        content = path.read_bytes()
    except IsADirectoryError as error:
        raise PictureError(name, "unreadable", "a folder; give its files") from error
    except OSError as error:
        raise PictureError(name, "unreadable", error.strerror or str(error)) from error
    return decode(content, name, short_side)


def decode(content: bytes, name: str, short_side: int | None = None) -> Reading:
    """As :func:`read`, of a file's ``content``; ``name`` stands in the errors."""
    if not content:
        raise PictureError(name, "empty", "the file has no bytes")
    try:
        opened = Image.open(io.BytesIO(content), formats=FORMATS)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise PictureError(name, "too large", f"more than {PIXEL_LIMIT:,} pixels") from error
    except Exception as error:
        detail = f"none of {', '.join(FORMATS)}, or its header is damaged"
        raise PictureError(name, "not a picture", detail) from error
    with opened as image:
        width, height = image.size
        if width * height > PIXEL_LIMIT:
            raise PictureError(name, "too large", f"{height}×{width} pixels, more than {PIXEL_LIMIT:,}")
        if max(width, height) > LONGEST * min(width, height):
            raise PictureError(name, "too thin", f"{height}×{width} pixels, one side over {LONGEST} times the other")
        try:
            notes = _notes(image, content)  # may read the whole file, in search of EXIF
            if image.format in ("JPEG", "MPO") and short_side is not None:
                scale = short_side / min(width, height)  # Pillow decodes to no less than this
                image.draft(None, (max(1, int(width * scale)), max(1, int(height * scale))))  # type: ignore[arg-type]
            turned = image.getexif().get(ORIENTATION, UPRIGHT) != UPRIGHT
            pixels = None if turned else _by_libjpeg(image, content)
            if pixels is not None:
                return Reading(pixels, image.format or "", notes)
            upright = ImageOps.exif_transpose(image) if turned else image  # which would copy every picture
            upright.load()
        except Exception as error:  # Pillow's decoders raise many kinds
            reason = " ".join(str(error).split()) or type(error).__name__
            if "truncated" in reason or "unexpected end" in reason.lower() or isinstance(error, EOFError):
                raise PictureError(name, "truncated", "the file ends before the picture does") from error
            raise PictureError(name, "damaged", reason) from error
        return Reading(_rgb(upright, name), image.format or "", notes)


def _by_libjpeg(image: Image.Image, content: bytes) -> np.ndarray | None:
    """(H, W, 3) uint8 of an RGB JPEG by libjpeg-turbo without Pillow's copies, a fifth faster and the same bits.

    None without the package simplejpeg, for other pictures, and for a damaged file, of which Pillow says what is wrong.
    """
    if simplejpeg is None or image.format not in ("JPEG", "MPO"):
        return None
    if image.mode != "RGB" or min(image.size) < SMALLEST_BY_LIBJPEG:
        return None
    width, height = image.size  # already reduced by draft()
    try:
        pixels = simplejpeg.decode_jpeg(content, min_height=height, min_width=width)
    except ValueError:
        return None
    return pixels if pixels.shape == (height, width, 3) else None


_MODES = {
    "1": "bilevel, read as grey",
    "L": "grey, the same value in all three channels",
    "P": "palette, read as its colours",
    **dict.fromkeys(("LA", "La"), "grey with alpha, laid over white"),
    "PA": "palette with alpha, laid over white",
    **dict.fromkeys(("RGBA", "RGBa"), "alpha, laid over white"),
    "CMYK": "CMYK, converted to RGB",
    "YCbCr": "YCbCr, converted to RGB",
    "LAB": "Lab, converted to RGB",
    "HSV": "HSV, converted to RGB",
    "I": "16-bit, divided by 257",
    "F": "float, 0..1 scaled to 0..255",
}


def _notes(image: Image.Image, content: bytes) -> tuple[str, ...]:
    notes = []
    if image.mode != "RGB":
        notes.append("16-bit, divided by 257" if image.mode.startswith("I") else _MODES.get(image.mode, image.mode))
    elif image.format == "PNG" and content[24] == 16:  # IHDR: the bit depth; Pillow keeps the upper eight
        notes.append("16-bit colours, the upper eight bits kept")
    if image.mode == "P" and "transparency" in image.info:
        notes.append("transparent colours, laid over white")
    if image.getexif().get(ORIENTATION, UPRIGHT) != UPRIGHT:
        notes.append("turned upright as its EXIF orientation says")
    if image.format == "MPO":  # as cameras write it: a JPEG with more views of the same behind it
        notes.append("JPEG with several views, the first is read")
    elif getattr(image, "n_frames", 1) > 1:
        notes.append(f"animation of {image.n_frames} frames, the first is read")  # type: ignore[attr-defined]
    return tuple(notes)


def _rgb(image: Image.Image, name: str) -> np.ndarray:
    """(H, W, 3) uint8 by the rules of the module's table."""
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > 65_535:
            detail = f"whole numbers from {low} to {high}; 16-bit ones are 0 to 65,535"
            raise PictureError(name, "unknown range", detail)
        grey = (values / 257).round().astype(np.uint8)
    elif image.mode == "F":
        values = np.asarray(image)
        low, high = float(values.min()), float(values.max())  # NaN if any is
        if not (low >= 0 and high <= 1):
            raise PictureError(name, "unknown range", f"floats from {low:g} to {high:g}; they must be 0 to 1")
        grey = (values * 255).round().astype(np.uint8)
    else:
        if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
            coloured = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", coloured.size, "white"), coloured)
        return np.array(image if image.mode == "RGB" else image.convert("RGB"))
    return np.repeat(grey[:, :, None], 3, axis=2)  # (H, W) → (H, W, 3)


def resize_short_side(picture: Tensor, short_side: int) -> Tensor:
    """uint8 (C, H, W) with its shorter side brought to ``short_side`` pixels, bilinear with antialiasing."""
    height, width = picture.shape[-2:]
    if min(height, width) == short_side:
        return picture
    scale = short_side / min(height, width)
    return resized(picture, max(short_side, round(height * scale)), max(short_side, round(width * scale)))


def squared(picture: Tensor, side: int, fit: str) -> Tensor:
    """The whole of a uint8 picture (C, H, W) as a square (C, side, side).

    Args:
        fit: "squash" brings both sides to ``side``, whatever becomes of the proportions; "letterbox" the longer one,
            with grey above and below or left and right.
    """
    height, width = picture.shape[-2:]
    if height == width or fit == "squash":
        return picture if height == width == side else resized(picture, side, side)
    scale = side / max(height, width)
    inner = resized(picture, max(1, round(height * scale)), max(1, round(width * scale)))
    board = torch.full((side, side, picture.shape[0]), GREY, dtype=torch.uint8).permute(2, 0, 1)  # → (C, side, side)
    top, left = (side - inner.shape[1]) // 2, (side - inner.shape[2]) // 2
    board[:, top : top + inner.shape[1], left : left + inner.shape[2]] = inner
    return board


def resized(picture: Tensor, height: int, width: int) -> Tensor:
    """uint8 (C, H, W) → (C, height, width), bilinear with antialiasing, the channels last in memory."""
    batch = picture.unsqueeze(0).contiguous(memory_format=torch.channels_last)
    # F.interpolate(batch, (height, width), mode="bilinear", antialias=True) would turn a single picture to channels
    # first, and turning it back takes as long as the resizing.
    found = torch.empty((1, len(picture), height, width), dtype=picture.dtype, memory_format=torch.channels_last)
    return torch.ops.aten._upsample_bilinear2d_aa.out(batch, [height, width], False, None, None, out=found)[0]


def centre_crop(picture: Tensor, size: int) -> Tensor:
    """The middle ``size`` × ``size`` pixels of (…, H, W), whose sides are at least that long."""
    height, width = picture.shape[-2:]
    top, left = (height - size) // 2, (width - size) // 2
    return picture[..., top : top + size, left : left + size]


def opened(picture: Picture, short_side: int | None = None, fit: str = "crop") -> Tensor:
    """A picture as uint8 (C, H, W), C = 1 or 3; one in a file as :func:`read_picture` reads it.

    Args:
        picture: a NumPy array is (H, W), (H, W, C), or (C, H, W) where only its first axis can be channels.

    Raises:
        UserError: for what is no picture: another shape, or numbers that are no bytes.
    """
    if isinstance(picture, str | Path):
        return read_picture(Path(picture).expanduser(), short_side, fit)
    if isinstance(picture, Image.Image):
        picture = _rgb(ImageOps.exif_transpose(picture), "picture")
    if not isinstance(picture, np.ndarray | Tensor):
        raise UserError(f"a picture must be a path, a PIL image, an array or a tensor; not {type(picture).__name__}")
    found = f"{type(picture).__name__} of {str(picture.dtype).removeprefix('torch.')}, {tuple(picture.shape)}"
    if isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.ndim in (2, 3):
        pixels = torch.from_numpy(np.array(picture))  # a copy: it may be read-only
        pixels = pixels[None] if pixels.ndim == 2 else pixels  # (H, W) → (1, H, W)
        leading = pixels.shape[0] in CHANNELS and (picture.ndim == 2 or pixels.shape[-1] not in CHANNELS)
        picture = pixels if leading else pixels.movedim(-1, 0)  # → (C, H, W)
    if not isinstance(picture, Tensor) or picture.dtype != torch.uint8 or picture.ndim != 3:
        raise UserError(f"{WANTED}; not {found}")
    if picture.shape[0] not in CHANNELS or 0 in picture.shape:
        raise UserError(f"{WANTED}; not {found}")
    return picture
