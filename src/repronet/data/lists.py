"""Lists of pictures: a text file with a name a line, as the editors and shells of any system write it."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from repronet.errors import UserError

# By its byte order mark; the longer ones first, since UTF-16's is the beginning of UTF-32's.
_MARKED = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def names_in(file: Path) -> list[str]:
    """The names in ``file``, empty lines and quotes around a whole name left out.

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
    lines = (line.strip() for line in re.split(r"\r\n|\r|\n", text))
    return [re.sub(r'^"(.*)"$', r"\1", line) for line in lines if line]
