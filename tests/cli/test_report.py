"""``repronet report``: one page that stands alone."""

from __future__ import annotations

import csv
import re
import shutil
from html.parser import HTMLParser

import pytest

from repronet import runs
from repronet.analysis.interval import interval


class Page(HTMLParser):
    """Collects what a page points to, and checks that every tag is closed."""

    def __init__(self, text: str):
        super().__init__()
        self.links, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href", "action", "data", "srcset")]
        if tag not in ("img", "meta", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def page(repronet, tmp_path, finished_run, peaked_run):
    """Of two runs, one of them under a name that would be markup."""
    shutil.copytree(finished_run, tmp_path / "runs" / "a <b>&'")
    shutil.copytree(peaked_run, tmp_path / "runs" / "peaked")
    outcome = repronet("report")
    assert (outcome.code, outcome.err) == (0, "")
    return (tmp_path / "report.html").read_text(), outcome.out


def test_a_page_needs_no_other_file(page):
    text, _ = page
    found = Page(text)
    assert not found.open
    assert found.links
    assert all(link.startswith("data:image/png;base64,") for link in found.links)
    assert not re.findall(r"https?://|@import|url\(", text)


def test_a_page_has_the_figures_the_differences_and_words(page, finished_run):
    text, _ = page
    result = runs.read_result(finished_run)
    assert f"{100 * result['test_error']:.2f} %" in text
    assert "<th>optimizer.lr</th><td>0.05</td><td>0.003</td>" in text
    assert "<th>layers</th><td>custom</td><td>custom</td>" not in text
    assert "It diverged: the validation error rose from" in text
    assert "2 epochs: too few to tell anything" in text
    assert result["hardware"]["processor"] in text


def test_names_are_no_markup(page):
    text, _ = page
    assert "<b>" not in text
    assert "a &lt;b&gt;&amp;&#39;" in text


def test_the_terminal_has_the_figures_under_their_headings(page, finished_run):
    lines = page[1].splitlines()
    assert re.split(r" {2,}", lines[0].strip()) == ["run", "test error", "published", "best validation", "epochs"]
    result = runs.read_result(finished_run)
    best, test = (f"{100 * result[name]:.2f} %" for name in ("best_val_error", "test_error"))
    assert re.split(r" {2,}", lines[1].strip())[1:] == [test, "-", best, "2"]
    assert interval(result["test_error"], 1000) in page[0]
    assert max(map(len, lines)) <= 80
    assert lines[-1].startswith("report.html: 2 runs, ")


def test_what_visualize_drew_is_in_the_page(repronet, tmp_path, finished_run):
    shutil.copytree(finished_run, tmp_path / "r")
    assert repronet("visualize", "run=r", "what=filters,confusion").code == 0
    assert repronet("report", "r", "out=pages/mine.html").code == 0
    text = (tmp_path / "pages" / "mine.html").read_text()
    assert re.findall(r"<summary>(\w+)</summary>", text) == ["confusion", "filters", "config"]


def test_a_run_that_has_not_ended(repronet, tmp_path, finished_run):
    shutil.copytree(finished_run, tmp_path / "r", ignore=shutil.ignore_patterns(runs.RESULT, runs.HISTORY))
    outcome = repronet("report", "r")
    assert outcome.code == 0
    assert "0/2" in outcome.out
    assert "No epoch is finished yet." in (tmp_path / "report.html").read_text()


def test_a_paper_of_the_network_is_quoted(repronet, tmp_path, peaked_run):
    shutil.copytree(peaked_run, tmp_path / "r")
    config = (tmp_path / "r" / runs.CONFIG).read_text()
    (tmp_path / "r" / runs.CONFIG).write_text(config.replace("name: mnist5k", "name: mnist"))
    outcome = repronet("report", "r")
    assert "0.95 %" in outcome.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere: no such folder; name run folders, or a folder that holds some"),
        (["."], ".: no run there; name run folders, or a folder that holds some"),
        ([], "runs: no such folder"),
        (["out=page.pdf"], "out=page.pdf: must be the name of a .html file"),
        (["depth=3"], "depth=3: no such key"),
    ],
)
def test_bad_words_are_one_line(repronet, tmp_path, words, message):
    outcome = repronet("report", *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_damaged_run_is_named(repronet, tmp_path, finished_run):
    shutil.copytree(finished_run, tmp_path / "r")
    (tmp_path / "r" / runs.RESULT).write_text("{")
    outcome = repronet("report", "r")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "r: cannot be read as a run (JSONDecodeError" in outcome.err


def test_epochs_that_were_not_validated_are_no_figures(repronet, tmp_path):
    """Every second epoch validated, and a run that ended before its first validation."""
    words = ("trainer.check_val_every_n_epoch=2", "layers=torch")
    assert repronet("train", *words, "trainer.max_epochs=3", "run_dir=r/a").code == 0
    assert repronet("train", *words, "trainer.max_steps=9", "run_dir=r/b").code == 0
    outcome = repronet("report", "r", "out=r.html")
    assert (outcome.code, outcome.err) == (0, "")
    page = (tmp_path / "r.html").read_text()
    assert "nan" not in outcome.out + re.sub(r'src="data:[^"]*"', "", page)
    assert "diverged" not in page
    with (tmp_path / "r" / "a" / "history.csv").open() as file:
        assert [bool(row["val_error"]) for row in csv.DictReader(file)] == [False, True, False]
