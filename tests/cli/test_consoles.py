"""Consoles that cannot show every character: the work is done, and \\uNNNN stands for what they lack."""

from __future__ import annotations

import io
import json
import sys

import pytest
from PIL import Image

from repronet.cli import main

pytestmark = pytest.mark.field


def said(monkeypatch, encoding: str, *words: str) -> tuple[int, str]:
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding) for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    with pytest.raises(SystemExit) as stop:
        main(words)
    for stream in streams.values():
        stream.flush()
    return int(stop.value.code or 0), "".join(stream.buffer.getvalue().decode(encoding) for stream in streams.values())


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437"])
@pytest.mark.parametrize("words", [("list",), ("--help",), ("train", "--help"), ("verify", "model=lenet5")])
def test_pages_and_tables(monkeypatch, encoding, words):
    assert said(monkeypatch, encoding, *words)[0] == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_names_of_classes(monkeypatch, tmp_path, encoding):
    for name in ("\u732b", "\U0001f415 dog"):
        (tmp_path / name).mkdir()
        for shade in range(3):
            Image.new("RGB", (20, 20), (shade, len(name), 0)).save(tmp_path / name / f"{shade}.png")
        (tmp_path / name / "notes.txt").write_text("")
    code, text = said(monkeypatch, encoding, "data", "check", f"data.root={tmp_path}")
    assert code == 0
    assert "\\u732b/notes.txt" in text
    code, text = said(monkeypatch, encoding, "data", "check", f"data.root={tmp_path}", "format=json")
    assert json.loads(text)["classes"] == ["\u732b", "\U0001f415 dog"]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_the_line_of_an_error(monkeypatch, encoding):
    code, text = said(monkeypatch, encoding, "eval", "run=/none/\u732b")
    assert code == 2
    assert "run=/none/\\u732b: no run there" in text


def test_bytes_of_a_name_that_are_no_text(monkeypatch):
    code, text = said(monkeypatch, "utf-8", "eval", "run=/none/\udce9")
    assert (code, "\\udce9: no run there" in text) == (2, True)
