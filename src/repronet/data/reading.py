"""Read one image from one file: either correctly, or with an error of one line that names the file.

Networks see 8-bit RGB. Every other kind of image is converted to it by a fixed rule, and nothing is clipped:

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

from repronet.data.folders import ImageFile, shown
from repronet.errors import UserError

try:
    import simplejpeg
except ImportError:  # checked once here: Python would search for a missing package at every image
    simplejpeg = None

Item = TypeVar("Item")
ImageLike = str | Path | Image.Image | np.ndarray | Tensor

# Pillow also knows formats that it hands to other programs (EPS to Ghostscript): a dataset must not start a program.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
PIXEL_LIMIT = 89_478_485  # Pillow's own limit: about a quarter of a gigabyte as RGB
LONGEST = 50  # the largest ratio of the sides: beyond it no crop of the strip shows anything
ORIENTATION = 0x0112  # the EXIF tag
UPRIGHT = 1
SMALLEST_BY_LIBJPEG = 16  # for smaller images, two reductions have the same size
GREY = 128  # the value around an image in a letterbox
CHANNELS = (1, 3)  # grey and RGB
WANTED = "an image must be bytes (uint8) in 1 or 3 channels, (C, H, W) or in numpy also (H, W) or (H, W, C)"

# An image whose header gives more pixels than the limit is refused before it is decoded. Up to twice the limit Pillow
# only warns; this filter turns the warning into an error in every thread.
warnings.simplefilter("error", Image.DecompressionBombWarning)


class ImageError(UserError):
    """A file that is not an image or cannot be read correctly. ``kind`` is a short name of the problem."""

    def __init__(self, path: str, kind: str, detail: str):
        super().__init__(f"{path}: {kind}: {detail}")
        self.path, self.kind, self.detail = path, kind, detail

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        return type(self), (self.path, self.kind, self.detail)  # loader workers send the error as a pickle


@dataclass(frozen=True)
class Reading:
    """An image and how it was converted to 8-bit RGB."""

    pixels: np.ndarray  # uint8 (H, W, 3)
    format: str  # the format of the content, whatever the file is called
    notes: tuple[str, ...]  # one for each rule of the module's table that was applied


def progress(items: Iterable[Item], what: str, total: int | None = None) -> Iterable[Item]:
    """Iterate over the items, with a progress bar on a terminal."""
    return track(items, what, total, console=Console(stderr=True), disable=not sys.stderr.isatty())


def read_image(path: ImageFile, short_side: int | None = None, fit: str = "crop") -> Tensor:
    """Read the image in ``path`` as uint8 (3, H, W), with its shorter side resized to ``short_side`` pixels if given.

    Channels are last in memory, as in files, and because torch's 8-bit resizing is fast in that order.

    Args:
        fit: "crop" leaves the longer side longer, for the caller to crop; otherwise see :func:`squared`.

    Raises:
        ImageError: if the file cannot be read correctly.
    """
    image = torch.from_numpy(read(path, short_side).pixels).permute(2, 0, 1)  # (H, W, 3) → (3, H, W)
    if short_side is None:
        return image
    return resize_short_side(image, short_side) if fit == "crop" else squared(image, short_side, fit)


def read(path: ImageFile, short_side: int | None = None) -> Reading:
    """Read the image in ``path``.

    Args:
        short_side: pixels that the shorter side will be reduced to later. It lets a JPEG be decoded at a half, a
            quarter or an eighth of its size; the result is still at least that large if the image is.

    Raises:
        ImageError: if the file cannot be read correctly.
    """
    name = shown(path) if isinstance(path, Path) else str(path)
    try:
        content = path.read_bytes()
    except IsADirectoryError as error:
        raise ImageError(name, "unreadable", "a folder; give its files") from error
    except OSError as error:
        raise ImageError(name, "unreadable", error.strerror or str(error)) from error
    return decode(content, name, short_side)


def decode(content: bytes, name: str, short_side: int | None = None) -> Reading:
    """As :func:`read`, from a file's ``content``; ``name`` is used in error messages."""
    if not content:
        raise ImageError(name, "empty", "the file has no bytes")
    try:
        opened = Image.open(io.BytesIO(content), formats=FORMATS)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ImageError(name, "too large", f"more than {PIXEL_LIMIT:,} pixels") from error
    except Exception as error:
        detail = f"none of {', '.join(FORMATS)}, or its header is damaged"
        raise ImageError(name, "not an image", detail) from error
    with opened as image:
        width, height = image.size
        if width * height > PIXEL_LIMIT:
            raise ImageError(name, "too large", f"{height}×{width} pixels, more than {PIXEL_LIMIT:,}")
        if max(width, height) > LONGEST * min(width, height):
            raise ImageError(name, "too thin", f"{height}×{width} pixels, one side over {LONGEST} times the other")
        try:
            notes = _notes(image, content)  # may read the whole file to find EXIF
            if image.format in ("JPEG", "MPO") and short_side is not None:
                scale = short_side / min(width, height)  # Pillow decodes to at least this
                image.draft(None, (max(1, int(width * scale)), max(1, int(height * scale))))  # type: ignore[arg-type]
            turned = image.getexif().get(ORIENTATION, UPRIGHT) != UPRIGHT
            pixels = None if turned else _by_libjpeg(image, content)
            if pixels is not None:
                return Reading(pixels, image.format or "", notes)
            upright = ImageOps.exif_transpose(image) if turned else image  # it would copy every image
            upright.load()
        except Exception as error:  # Pillow's decoders raise many kinds of errors
            reason = " ".join(str(error).split()) or type(error).__name__
            if "truncated" in reason or "unexpected end" in reason.lower() or isinstance(error, EOFError):
                raise ImageError(name, "truncated", "the file ends before the image does") from error
            raise ImageError(name, "damaged", reason) from error
        return Reading(_rgb(upright, name), image.format or "", notes)


def _by_libjpeg(image: Image.Image, content: bytes) -> np.ndarray | None:
    """Decode an RGB JPEG to uint8 (H, W, 3) by libjpeg-turbo without Pillow's copies: a fifth faster, the same bits.

    None without the package simplejpeg, for other images, and for a damaged file, for which Pillow then reports why.
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
    "F": "float, 0..1 scaled to 0..255",
}


def _notes(image: Image.Image, content: bytes) -> tuple[str, ...]:
    notes = []
    if image.mode != "RGB":
        notes.append("16-bit, divided by 257" if image.mode.startswith("I") else _MODES.get(image.mode, image.mode))
    elif image.format == "PNG" and content[24] == 16:  # the bit depth in IHDR; Pillow keeps the upper eight bits
        notes.append("16-bit colours, the upper eight bits kept")
    if image.mode in ("1", "L", "P", "RGB") and "transparency" in image.info:
        notes.append("transparent colours, laid over white")
    if image.getexif().get(ORIENTATION, UPRIGHT) != UPRIGHT:
        notes.append("turned upright as its EXIF orientation says")
    if image.format == "MPO":  # written by cameras: a JPEG followed by more views of the same scene
        notes.append("JPEG with several views, the first is read")
    elif getattr(image, "n_frames", 1) > 1:
        notes.append(f"animation of {image.n_frames} frames, the first is read")  # type: ignore[attr-defined]
    return tuple(notes)


def _rgb(image: Image.Image, name: str) -> np.ndarray:
    """Convert to uint8 (H, W, 3) by the rules of the module's table."""
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > 65_535:
            detail = f"whole numbers from {low} to {high}; 16-bit ones are 0 to 65,535"
            raise ImageError(name, "unknown range", detail)
        grey = (values / 257).round().astype(np.uint8)
    elif image.mode == "F":
        values = np.asarray(image)
        low, high = float(values.min()), float(values.max())  # NaN if any value is NaN
        if not (low >= 0 and high <= 1):
            raise ImageError(name, "unknown range", f"floats from {low:g} to {high:g}; they must be 0 to 1")
        grey = (values * 255).round().astype(np.uint8)
    else:
        if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
            coloured = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", coloured.size, "white"), coloured)
        return np.array(image if image.mode == "RGB" else image.convert("RGB"))
    return np.repeat(grey[:, :, None], 3, axis=2)  # (H, W) → (H, W, 3)


def resize_short_side(image: Tensor, short_side: int) -> Tensor:
    """Resize uint8 (C, H, W) so that its shorter side has ``short_side`` pixels, bilinear with antialiasing."""
    height, width = image.shape[-2:]
    if min(height, width) == short_side:
        return image
    scale = short_side / min(height, width)
    return resized(image, max(short_side, round(height * scale)), max(short_side, round(width * scale)))


def squared(image: Tensor, side: int, fit: str) -> Tensor:
    """Fit a whole uint8 image (C, H, W) into a square (C, side, side).

    Args:
        fit: "squash" resizes both sides to ``side`` and ignores the proportions; "letterbox" resizes the longer side
            and fills the rest with grey, above and below or left and right.
    """
    height, width = image.shape[-2:]
    if height == width or fit == "squash":
        return image if height == width == side else resized(image, side, side)
    scale = side / max(height, width)
    inner = resized(image, max(1, round(height * scale)), max(1, round(width * scale)))
    board = torch.full((side, side, image.shape[0]), GREY, dtype=torch.uint8).permute(2, 0, 1)  # → (C, side, side)
    top, left = (side - inner.shape[1]) // 2, (side - inner.shape[2]) // 2
    board[:, top : top + inner.shape[1], left : left + inner.shape[2]] = inner
    return board


def resized(image: Tensor, height: int, width: int) -> Tensor:
    """Resize uint8 (C, H, W) → (C, height, width), bilinear with antialiasing, the channels last in memory."""
    batch = image.unsqueeze(0).contiguous(memory_format=torch.channels_last)
    # F.interpolate(batch, (height, width), mode="bilinear", antialias=True) would convert a single image to
    # channels first, and converting it back takes as long as the resizing.
    found = torch.empty((1, len(image), height, width), dtype=image.dtype, memory_format=torch.channels_last)
    return torch.ops.aten._upsample_bilinear2d_aa.out(batch, [height, width], False, None, None, out=found)[0]


def centre_crop(image: Tensor, size: int) -> Tensor:
    """Crop the central ``size`` × ``size`` pixels of (…, H, W), whose sides must be at least that long."""
    height, width = image.shape[-2:]
    top, left = (height - size) // 2, (width - size) // 2
    return image[..., top : top + size, left : left + size]


def opened(image: ImageLike, short_side: int | None = None, fit: str = "crop") -> Tensor:
    """Convert an image to uint8 (C, H, W), C = 1 or 3; files are read by :func:`read_image`.

    Args:
        image: a NumPy array is (H, W), (H, W, C), or (C, H, W) if only its first axis can be channels.

    Raises:
        UserError: if it is not an image, has another shape, or is not uint8.
    """
    if isinstance(image, str | Path):
        return read_image(Path(image).expanduser(), short_side, fit)
    if isinstance(image, Image.Image):
        image = _rgb(ImageOps.exif_transpose(image), "image")
    if not isinstance(image, np.ndarray | Tensor):
        raise UserError(f"an image must be a path, a PIL image, an array or a tensor; not {type(image).__name__}")
    found = f"{type(image).__name__} of {str(image.dtype).removeprefix('torch.')}, {tuple(image.shape)}"
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim in (2, 3):
        pixels = torch.from_numpy(np.array(image))  # a copy, since the array may be read-only
        pixels = pixels[None] if pixels.ndim == 2 else pixels  # (H, W) → (1, H, W)
        leading = pixels.shape[0] in CHANNELS and (image.ndim == 2 or pixels.shape[-1] not in CHANNELS)
        image = pixels if leading else pixels.movedim(-1, 0)  # → (C, H, W)
    if not isinstance(image, Tensor) or image.dtype != torch.uint8 or image.ndim != 3:
        raise UserError(f"{WANTED}; not {found}")
    if image.shape[0] not in CHANNELS or 0 in image.shape:
        raise UserError(f"{WANTED}; not {found}")
    return image
