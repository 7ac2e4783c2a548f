"""Lists of images as the editors and shells of any system write them."""

from __future__ import annotations

import codecs

import pytest

from repronet.data.lists import names_in
from repronet.errors import UserError

pytestmark = pytest.mark.field

NAMES = ["a/001.png", "caf\u00e9/\u732b.png", "with space.png"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_every_encoding_and_line_end(encoding, end, tmp_path):
    (tmp_path / "list.txt").write_bytes(end.join([*NAMES, "", ""]).encode(encoding))
    assert names_in(tmp_path / "list.txt") == NAMES


def test_both_orders_of_bytes(tmp_path):
    for mark, encoding in ((codecs.BOM_UTF16_BE, "utf-16-be"), (codecs.BOM_UTF32_BE, "utf-32-be")):
        (tmp_path / "list.txt").write_bytes(mark + "\n".join(NAMES).encode(encoding))
        assert names_in(tmp_path / "list.txt") == NAMES


def test_quotes_around_a_name_and_signs_within_it(tmp_path):
    (tmp_path / "list.txt").write_text('"C d/1.png"\n  b.png  \na\u2028"b\x0b.png\n', "utf-8")
    assert names_in(tmp_path / "list.txt") == ["C d/1.png", "b.png", 'a\u2028"b\x0b.png']


def test_bytes_that_are_no_text_stay_a_name(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"caf\xe9.png\n")
    assert names_in(tmp_path / "list.txt") == ["caf\udce9.png"]


UNREADABLE = ["a.png\n".encode("utf-16-le"), codecs.BOM_UTF16_LE + b"a", codecs.BOM_UTF8 + b"\xff"]


@pytest.mark.parametrize("content", UNREADABLE)
def test_what_cannot_be_read_is_refused_in_words(content, tmp_path):
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(UserError, match="save the list as UTF-8") as caught:
        names_in(tmp_path / "list.txt")
    assert "\n" not in str(caught.value)
