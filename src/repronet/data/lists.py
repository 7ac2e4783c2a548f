"""Which images are meant: by a folder, a pattern, or a text file with a name a line, of any editor and system."""

from __future__ import annotations

import codecs
import glob
import os
import re
from pathlib import Path

from repronet.data.folders import ARCHIVES, files_below, named_like_image
from repronet.errors import UserError

WEB = ("http://", "https://")

# By its byte order mark; the longer ones first, since UTF-16's is the beginning of UTF-32's.
_MARKED = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def images_in(images: str) -> list[Path]:
    """The files that ``images=`` means, sorted.

    Raises:
        UserError: when there are none.
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
        # Path.glob knows no absolute patterns.
        matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207
        found = [Path(name) for name in matches if Path(name).is_file()]
    if not found and images.startswith(WEB):
        raise UserError(f"images={images}: is an address; download the images first")
    if not found:
        raise UserError(f"images={images}: no image there; give a folder, a file, a pattern or a .txt with names")
    return found


def located(folder: Path, name: str) -> Path:
    """The file ``name`` in ``folder``; where there is none of that name, the one that Windows means by backslashes."""
    path = folder / name
    if "\\" in name and not os.path.isfile(path):  # noqa: PTH113  # Path.is_file() fails for names that are too long
        return folder / name.replace("\\", "/")
    return path


def names_in(file: Path) -> list[str]:
    """The names in ``file``, empty lines and quotes around a whole name left out.

    Raises:
        UserError: when the file cannot be read as text.
    """
    lines = (line.strip() for line in re.split(r"\r\n|\r|\n", text_in(file)))
    return [re.sub(r'^"(.*)"$', r"\1", line) for line in lines if line]


def text_in(file: Path) -> str:
    """What stands in ``file``.

    A byte order mark says the encoding. Without one it is UTF-8, and what is none stands for itself, as names of files
    may be any bytes.

    Raises:
        UserError: when the file cannot be read as text.
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
