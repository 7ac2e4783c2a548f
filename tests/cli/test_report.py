"""``repronet report``: one page that stands alone."""

from __future__ import annotations

import csv
import io
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from repronet import runs
from repronet.analysis.interval import interval
from repronet.cli.commands import report, report_answers, report_runs


class Page(HTMLParser):
    """Collects what a page points to, and checks that every tag is closed."""

    def __init__(self, text: str):
        super().__init__()
        self.links, self.open, self.ids = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href", "action", "data", "srcset")]
        self.ids += [value for name, value in attrs if name == "id"]
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
    within = {link.removeprefix("#") for link in found.links if link.startswith("#")}
    assert within == set(found.ids)
    assert len(set(found.ids)) == len(found.ids)
    inlined = ("data:image/png;base64,", "data:image/jpeg;base64,")
    assert all(link.startswith(inlined) for link in found.links if not link.startswith("#"))
    assert not re.findall(r"https?://|@import|url\(", text)


def test_a_page_has_the_figures_the_differences_and_words(page, finished_run):
    text, _ = page
    result = runs.read_result(finished_run)
    assert f"{100 * result['test_error']:.2f} %" in text
    assert "<th>optimizer.lr</th><td>0.05</td><td>0.003</td>" in text
    assert "<th>layers</th><td>custom</td><td>custom</td>" not in text
    assert "It diverged: the validation error rose from" in text
    assert "2 validated epochs: too few to tell anything" in text
    assert result["hardware"]["processor"] in text


@pytest.mark.parametrize(
    ("cell", "number"),
    [("1,234 s", "1234"), ("8.10% to 9 %", "8.10"), ("31/500", "31"), ("-", "-"), ("2026-01-01", "2026-01-01")],
)
def test_tables_sort_by_the_numbers_that_their_cells_begin_with(cell, number):
    assert report._sorts_by(cell) == number


def test_names_are_no_markup(page):
    text, _ = page
    assert "<b>" not in text
    assert "a &lt;b&gt;&amp;&#39;" in text


def test_the_terminal_has_the_figures_under_their_headings(page, finished_run):
    lines = page[1].splitlines()
    assert re.split(r" {2,}", lines[0].strip()) == ["run", "test error", "best validation", "epochs"]
    result = runs.read_result(finished_run)
    best, test = (f"{100 * result[name]:.2f} %" for name in ("best_val_error", "test_error"))
    assert re.split(r" {2,}", lines[1].strip())[1:] == [test, best, "2"]
    assert interval(result["test_error"], 1000) in page[0]
    assert max(map(len, lines)) <= 80
    assert lines[-1].startswith("report.html: 2 runs, ")


def test_what_visualize_drew_is_in_the_page(repronet, tmp_path, finished_run):
    shutil.copytree(finished_run, tmp_path / "r")
    assert repronet("visualize", "run=r", "what=filters,confusion").code == 0
    assert repronet("report", "r", "out=pages/mine.html").code == 0
    text = (tmp_path / "pages" / "mine.html").read_text()
    drawn = ["answers", "classes", "mistakes", "reliability", "inputs", "filters", "config"]
    assert re.findall(r"<summary>(\w+)</summary>", text) == drawn


def test_a_cell_of_the_confusion_matrix_leads_to_its_images(page, finished_run):
    with (finished_run / runs.ANSWERS).open() as file:
        wrong = [row for row in csv.DictReader(file) if row["class"] != row["answer"]]
    first = max(wrong, key=lambda row: float(row["probability"]))
    anchor = f"run0-{first['class']}-{first['answer']}"
    count = sum((row["class"], row["answer"]) == (first["class"], first["answer"]) for row in wrong)
    assert f'<a href="#{anchor}">{count}</a>' in page[0]
    place = page[0][page[0].index(f'id="{anchor}"') :]
    place = place[: place.index("</div>")]
    assert f"{first['class']} taken for {first['answer']}: {min(count, 6)} of {count}" in place
    assert len(re.findall("<img src=", place)) == min(count, 6)
    assert f"{float(first['probability']):.0%} {first['picture']}<" in place


def test_with_many_classes_the_most_frequent_mistakes_are_listed(tmp_path, finished_run, monkeypatch):
    monkeypatch.setattr(report_answers, "MATRIX", 9)
    answered = report_answers.read_answers(finished_run, 0, most=40)
    counts = [pair.count for pair in answered.confused]
    assert answered.matrix is None
    assert counts == sorted(counts, reverse=True)
    assert sum(len(pair.thumbnails) for pair in answered.confused) <= 40
    assert all(pair.label != pair.answer for pair in answered.confused)


def test_runs_named_by_a_time_are_named_by_what_differs(tmp_path, finished_run):
    folder = tmp_path / "lenet5-mnist5k"
    for time, seed, rate in (("10-00-00", 0, 0.1), ("11-00-00", 1, 0.1), ("12-00-00", 1, 0.5), ("13-00-00", 1, 0.5)):
        place = folder / f"2026-01-01_{time}-seed{seed}-0123ab"
        shutil.copytree(finished_run, place)
        config = (place / runs.CONFIG).read_text()
        config = config.replace("seed: 0", f"seed: {seed}").replace("lr: 0.05", f"lr: {rate}")
        config = config.replace("max_epochs: 2", f"max_epochs: {round(100 * rate)}")  # divides them no further
        (place / runs.CONFIG).write_text(config)
    shutil.copytree(finished_run, folder / "mine")
    names = [run.name for run in report_runs.read_runs([folder])]
    same = "lr=0.5 seed=1"
    assert names == ["lr=0.1 seed=0", "lr=0.1 seed=1", f"{same} 12:00:00", f"{same} 13:00:00", "mine"]


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


@pytest.mark.parametrize(("file", "kind"), [(runs.RESULT, "JSONDecodeError"), (runs.ANSWERS, "KeyError")])
def test_a_damaged_run_is_named(repronet, tmp_path, finished_run, file, kind):
    shutil.copytree(finished_run, tmp_path / "r")
    (tmp_path / "r" / file).write_text("{\n0\n")
    outcome = repronet("report", "r")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert f"r: cannot be read as a run ({kind}" in outcome.err


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


def some(count: int, name: str = "run {}", **config: str) -> list[report_runs.Run]:
    """Runs that have ended, without folders; in ``name`` stands the number of each."""
    result = {"test_error": 0.1234, "test_images": 1000, "test_error_top5": 0.05, "epochs": 40}
    result |= {"test_error_by_class": dict.fromkeys(map(str, range(100)), 0.1), "best_val_error": 0.11}
    row = {"epoch": 40, "val_error": 0.1, "val_loss": 1.0, "train_error": 0.05, "train_loss": 0.5, "seconds": 9.0}
    basics = {"model.name": "resnet20", "data.name": "cifar100", "data.folds": count}
    return [
        report_runs.Run(
            Path(),
            name.format(n),
            name.format(n),
            {**basics, **config, "data.fold": n},
            [row],
            {**result, "test_error": 0.1 + 0.01 * n},
        )
        for n in range(count)
    ]


def test_the_terminal_breaks_names_and_headings_and_no_figure():
    found = some(3, "optimizer=sgd lr=0.05 augmentation=cifar_standard weights=pretrained seed={} 12:34:56")
    lines = printed(report._table(found, 80), 80)
    assert max(map(len, lines)) <= 80
    for figure in ("10.00 %", "11.00 %", "12.00 %", "5.00 %"):
        assert any(figure in line for line in lines)
    assert all(any(word in line for line in lines) for word in ("optimizer=sgd", "lr=0.05", "seed=2", "12:34:56"))


def printed(table, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    return console.file.getvalue().splitlines()


def test_folds_have_their_mean_and_deviation():
    [(name, folds)] = report_runs.by_folds(some(5))
    figures = dict(report._over(folds))
    assert (name, len(folds)) == ("resnet20 on cifar100", 5)
    assert figures["test error"] == "12.00 % ± 1.58"  # of 10, 11, 12, 13 and 14 %
    assert not report_runs.by_folds(some(1))
    assert len(report_runs.by_folds([*some(2), *some(2, "other {}", **{"model.name": "lenet5"})])) == 2
