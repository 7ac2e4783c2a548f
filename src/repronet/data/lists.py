"""Lists of images: a folder, a pattern, or a text file from any editor or system with one name per line."""

from __future__ import annotations

import codecs
import glob
import os
import re
from pathlib import Path

from repronet.data.folders import ARCHIVES, files_below, named_like_image
from repronet.errors import UserError

WEB = ("http://", "https://")

# Encodings by byte order mark; UTF-32's come before UTF-16's, since UTF-32-LE's mark begins with UTF-16-LE's.
_MARKED = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def images_in(images: str) -> list[Path]:
    """The files that ``images=`` names: sorted, or in the order of a text file.

    Raises:
        UserError: if there are none.
    """
    path = Path(images).expanduser()
    if path.is_dir():
        found = sorted(file for file in files_below(path) if named_like_image(file))
    elif path.suffix.lower() == ".txt" and path.is_file():
        found = [located(path.parent, name) for name in names_in(path)]
    elif path.suffix.lower() in ARCHIVES and path.is_file():
        raise UserError(f"images={images}: is an archive; unpack it and give the folder")
    elif path.exists():
        found = [path]
    else:
        # Path.glob does not support absolute patterns.
        matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207
        found = [Path(name) for name in matches if Path(name).is_file()]
    if not found and images.startswith(WEB):
        raise UserError(f"images={images}: is an address; download the images first")
    if not found:
        raise UserError(f"images={images}: no image there; give a folder, a file, a pattern or a .txt with names")
    return found


def located(folder: Path, name: str) -> Path:
    """The file ``name`` in ``folder``; if it does not exist, backslashes are taken as Windows path separators."""
    path = folder / name
    if "\\" in name and not os.path.isfile(path):  # noqa: PTH113  # Path.is_file() fails for names that are too long
        return folder / name.replace("\\", "/")
    return path


def names_in(file: Path) -> list[str]:
    """The names in ``file``, without empty lines and without quotes around a whole name.

    Raises:
        UserError: if the file cannot be read as text.
    """
    lines = (line.strip() for line in re.split(r"\r\n|\r|\n", text_in(file)))
    return [re.sub(r'^"(.*)"$', r"\1", line) for line in lines if line]


def text_in(file: Path) -> str:
    """The text of ``file``.

    A byte order mark gives the encoding. Without one it is UTF-8; bytes that are not UTF-8 are kept as they are, since
    file names may be any bytes.

    Raises:
        UserError: if the file cannot be read as text.
    """
    try:
        content = file.read_bytes()
        encoding = next((name for mark, name in _MARKED if content.startswith(mark)), "utf-8")
        text = content.decode(encoding, "surrogateescape" if encoding == "utf-8" else "strict")
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: is no {error.encoding} text; save the list as UTF-8") from error
    if "\0" in text:
        raise UserError(f"{file}: has zero bytes, as UTF-16 without a byte order mark; save the list as UTF-8")
    return text
